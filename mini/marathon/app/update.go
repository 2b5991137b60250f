package app

// Update is a definition as a client sent it: nil means "not mentioned". PUT
// merges it into the app that exists, POST into the defaults.
type Update struct {
	ID                    *string
	Cmd, User, Executor   *string
	Args                  *[]string
	Env, Labels           *map[string]string
	Instances             *int
	CPUs, Mem, Disk       *float64
	Constraints           *[]Constraint
	URIs                  *[]string
	Fetch                 *[]Fetch
	StoreURLs             *[]string
	Ports                 *[]int
	PortDefinitions       *[]PortDefinition
	RequirePorts          *bool
	BackoffSeconds        *int
	BackoffFactor         *float64
	MaxLaunchDelaySeconds *int
	Container             *Container
	HealthChecks          *[]HealthCheck
	ReadinessChecks       *[]ReadinessCheck
	Dependencies          *[]string
	UpgradeStrategy       *UpgradeStrategy
	AcceptedResourceRoles *[]string
	IPAddress             *IPAddress
	Residency             *Residency
	// Version alone asks for a rollback to that version.
	Version *Time
}

// ParseUpdate reads one definition. Unknown keys are ignored, as 1.1.1 does.
// The error is a *SyntaxError or a *TypeError.
func ParseUpdate(body []byte) (Update, error) {
	var u Update
	err := Read(body, func(v Value) { u = ReadUpdate(v) })
	return u, err
}

// ParseNew reads one definition whose id is mandatory (POST).
func ParseNew(body []byte) (Update, error) {
	var u Update
	err := Read(body, func(v Value) { u = ReadNew(v) })
	return u, err
}

// ParseUpdates reads an array of definitions; each needs its id.
func ParseUpdates(body []byte) ([]Update, error) {
	var us []Update
	err := Read(body, func(v Value) {
		for _, e := range v.List() {
			us = append(us, ReadNew(e))
		}
	})
	return us, err
}

// ReadNew reads one definition whose id is mandatory.
func ReadNew(v Value) Update {
	u := ReadUpdate(v)
	if f, ok := v.Field("id"); !ok && v.v != nil {
		f.Fail("error.path.missing")
	}
	return u
}

// opt reads a key if it is there.
func opt[T any](v Value, key string, dst **T, read func(Value) T) {
	if f, ok := v.Field(key); ok {
		x := read(f)
		*dst = &x
	}
}

// or reads a key, or gives the default.
func or[T any](v Value, key string, def T, read func(Value) T) T {
	if f, ok := v.Field(key); ok {
		return read(f)
	}
	return def
}

// need reads a key that must be there.
func need[T any](v Value, key string, read func(Value) T) T {
	f, ok := v.Field(key)
	if !ok {
		f.Fail("error.path.missing")
		var zero T
		return zero
	}
	return read(f)
}

func each[T any](read func(Value) T) func(Value) []T {
	return func(v Value) []T {
		out := []T{}
		for _, e := range v.List() {
			out = append(out, read(e))
		}
		return out
	}
}

// ReadUpdate reads one definition at a place of a document.
func ReadUpdate(v Value) Update {
	var u Update
	if !v.Object() {
		return u
	}
	for key, dst := range map[string]**string{"id": &u.ID, "cmd": &u.Cmd, "user": &u.User, "executor": &u.Executor} {
		opt(v, key, dst, Value.Text)
	}
	for key, dst := range map[string]**float64{"cpus": &u.CPUs, "mem": &u.Mem, "disk": &u.Disk, "backoffFactor": &u.BackoffFactor} {
		opt(v, key, dst, Value.Number)
	}
	for key, dst := range map[string]**int{"instances": &u.Instances, "backoffSeconds": &u.BackoffSeconds, "maxLaunchDelaySeconds": &u.MaxLaunchDelaySeconds} {
		opt(v, key, dst, Value.Int)
	}
	for key, dst := range map[string]**[]string{"args": &u.Args, "uris": &u.URIs, "storeUrls": &u.StoreURLs,
		"dependencies": &u.Dependencies, "acceptedResourceRoles": &u.AcceptedResourceRoles} {
		opt(v, key, dst, Value.Texts)
	}
	opt(v, "env", &u.Env, Value.Map)
	opt(v, "labels", &u.Labels, Value.Map)
	opt(v, "constraints", &u.Constraints, each(readConstraint))
	opt(v, "fetch", &u.Fetch, each(readFetch))
	opt(v, "ports", &u.Ports, Value.Ints)
	opt(v, "portDefinitions", &u.PortDefinitions, each(readPortDefinition))
	opt(v, "requirePorts", &u.RequirePorts, Value.Bool)
	opt(v, "container", &u.Container, readContainer)
	opt(v, "healthChecks", &u.HealthChecks, each(readHealthCheck))
	opt(v, "readinessChecks", &u.ReadinessChecks, each(readReadinessCheck))
	opt(v, "upgradeStrategy", &u.UpgradeStrategy, readStrategy)
	opt(v, "ipAddress", &u.IPAddress, readIPAddress)
	opt(v, "residency", &u.Residency, readResidency)
	opt(v, "version", &u.Version, Value.Time)
	u.contradictions(v)
	return u
}

func readConstraint(v Value) Constraint {
	c := Constraint(v.Texts())
	if len(c) < 2 || len(c) > 3 {
		v.Fail("error.expected.constraint: [field, operator] or [field, operator, value]")
	}
	return c
}

func readFetch(v Value) Fetch {
	return Fetch{need(v, "uri", Value.Text), or(v, "extract", true, Value.Bool),
		or(v, "executable", false, Value.Bool), or(v, "cache", false, Value.Bool)}
}

func readPortDefinition(v Value) PortDefinition {
	p := PortDefinition{Port: or(v, "port", 0, Value.Int), Protocol: or(v, "protocol", "tcp", Value.Text),
		Labels: or(v, "labels", map[string]string{}, Value.Map)}
	opt(v, "name", &p.Name, Value.Text)
	return p
}

func readContainer(v Value) Container {
	c := Container{Type: or(v, "type", "DOCKER", func(v Value) string { return v.OneOf("DOCKER", "MESOS") }),
		Volumes: or(v, "volumes", []Volume{}, each(readVolume))}
	opt(v, "docker", &c.Docker, readDocker)
	return c
}

func readVolume(v Value) Volume {
	vol := Volume{ContainerPath: need(v, "containerPath", Value.Text),
		Mode: need(v, "mode", func(v Value) string { return v.OneOf("RO", "RW") })}
	opt(v, "hostPath", &vol.HostPath, Value.Text)
	if f, ok := v.Field("persistent"); ok {
		vol.Persistent = f.Raw()
	}
	if f, ok := v.Field("external"); ok {
		vol.External = f.Raw()
	}
	return vol
}

func readDocker(v Value) Docker {
	d := Docker{Image: need(v, "image", Value.Text),
		Privileged:     or(v, "privileged", false, Value.Bool),
		Parameters:     or(v, "parameters", []Parameter{}, each(readParameter)),
		ForcePullImage: or(v, "forcePullImage", false, Value.Bool)}
	d.Network = or(v, "network", "", func(v Value) string { return v.OneOf("BRIDGE", "HOST", "NONE") })
	d.PortMappings = or(v, "portMappings", nil, each(readPortMapping))
	return d
}

func readParameter(v Value) Parameter {
	return Parameter{need(v, "key", Value.Text), need(v, "value", Value.Text)}
}

func readPortMapping(v Value) PortMapping {
	p := PortMapping{or(v, "containerPort", 0, Value.Int), or(v, "hostPort", 0, Value.Int),
		or(v, "servicePort", 0, Value.Int), or(v, "protocol", "tcp", Value.Text), nil,
		or(v, "labels", map[string]string{}, Value.Map)}
	opt(v, "name", &p.Name, Value.Text)
	return p
}

func readHealthCheck(v Value) HealthCheck {
	h := HealthCheck{
		Protocol:               or(v, "protocol", "HTTP", func(v Value) string { return v.OneOf("HTTP", "HTTPS", "TCP", "COMMAND") }),
		GracePeriodSeconds:     or(v, "gracePeriodSeconds", 300, Value.Int),
		IntervalSeconds:        or(v, "intervalSeconds", 60, Value.Int),
		TimeoutSeconds:         or(v, "timeoutSeconds", 20, Value.Int),
		MaxConsecutiveFailures: or(v, "maxConsecutiveFailures", 3, Value.Int),
		IgnoreHTTP1xx:          or(v, "ignoreHttp1xx", false, Value.Bool)}
	opt(v, "path", &h.Path, Value.Text)
	opt(v, "portIndex", &h.PortIndex, Value.Int)
	opt(v, "port", &h.Port, Value.Int)
	opt(v, "command", &h.Command, func(v Value) Command { return Command{need(v, "value", Value.Text)} })
	return h
}

func readReadinessCheck(v Value) ReadinessCheck {
	return ReadinessCheck{or(v, "name", "readinessCheck", Value.Text),
		or(v, "protocol", "HTTP", func(v Value) string { return v.OneOf("HTTP", "HTTPS") }),
		or(v, "path", "/", Value.Text), or(v, "portName", "http-api", Value.Text),
		or(v, "intervalSeconds", 30, Value.Int), or(v, "timeoutSeconds", 10, Value.Int),
		or(v, "httpStatusCodesForReady", []int{200}, Value.Ints), or(v, "preserveLastResponse", false, Value.Bool)}
}

func readStrategy(v Value) UpgradeStrategy {
	if !v.Object() {
		return UpgradeStrategy{}
	}
	return UpgradeStrategy{or(v, "minimumHealthCapacity", 1, Value.Number), or(v, "maximumOverCapacity", 1, Value.Number)}
}

func readIPAddress(v Value) IPAddress {
	ip := IPAddress{or(v, "groups", []string{}, Value.Texts), or(v, "labels", map[string]string{}, Value.Map),
		Discovery{[]DiscoveryPort{}}}
	if d, ok := v.Field("discovery"); ok {
		ip.Discovery.Ports = or(d, "ports", ip.Discovery.Ports, each(func(v Value) DiscoveryPort {
			return DiscoveryPort{or(v, "number", 0, Value.Int), or(v, "name", "", Value.Text),
				or(v, "protocol", "tcp", Value.Text), or(v, "labels", map[string]string{}, Value.Map)}
		}))
	}
	return ip
}

func readResidency(v Value) Residency {
	return Residency{or(v, "relaunchEscalationTimeoutSeconds", 3600, Value.Int),
		or(v, "taskLostBehavior", "WAIT_FOREVER", func(v Value) string { return v.OneOf("WAIT_FOREVER", "RELAUNCH_AFTER_TIMEOUT") })}
}
