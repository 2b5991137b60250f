package app

import (
	"maps"
	"slices"
)

// App is a complete application definition. Field order and keys are those
// of Marathon 1.1.1's answers: every key is there, unset is null.
type App struct {
	ID                    string            `json:"id"` // absolute, "/nginx"
	Cmd                   *string           `json:"cmd"`
	Args                  []string          `json:"args"` // nil = null
	User                  *string           `json:"user"`
	Env                   map[string]string `json:"env"`
	Instances             int               `json:"instances"`
	CPUs                  float64           `json:"cpus"`
	Mem                   float64           `json:"mem"`  // MiB
	Disk                  float64           `json:"disk"` // MiB
	Executor              string            `json:"executor"`
	Constraints           []Constraint      `json:"constraints"`
	URIs                  []string          `json:"uris"` // derived from Fetch
	Fetch                 []Fetch           `json:"fetch"`
	StoreURLs             []string          `json:"storeUrls"`
	Ports                 []int             `json:"ports"` // service ports, derived from PortDefinitions
	PortDefinitions       []PortDefinition  `json:"portDefinitions"`
	RequirePorts          bool              `json:"requirePorts"`
	BackoffSeconds        int               `json:"backoffSeconds"`
	BackoffFactor         float64           `json:"backoffFactor"`
	MaxLaunchDelaySeconds int               `json:"maxLaunchDelaySeconds"`
	Container             *Container        `json:"container"`
	HealthChecks          []HealthCheck     `json:"healthChecks"`
	ReadinessChecks       []ReadinessCheck  `json:"readinessChecks"`
	Dependencies          []string          `json:"dependencies"` // absolute ids of apps or groups
	UpgradeStrategy       UpgradeStrategy   `json:"upgradeStrategy"`
	Labels                map[string]string `json:"labels"`
	AcceptedResourceRoles []string          `json:"acceptedResourceRoles"` // nil = null
	IPAddress             *IPAddress        `json:"ipAddress"`
	Version               Time              `json:"version"`
	Residency             *Residency        `json:"residency"`
	VersionInfo           *VersionInfo      `json:"versionInfo,omitempty"`
}

// VersionInfo tells when the app was last changed, by scaling and otherwise.
// LastConfigChangeAt names the configuration a task runs with: scaling
// leaves it alone.
type VersionInfo struct {
	LastScalingAt      Time `json:"lastScalingAt"`
	LastConfigChangeAt Time `json:"lastConfigChangeAt"`
}

// Fetch is one artifact the Mesos fetcher brings into the sandbox.
type Fetch struct {
	URI        string `json:"uri"`
	Extract    bool   `json:"extract"`
	Executable bool   `json:"executable"`
	Cache      bool   `json:"cache"`
}

// PortDefinition is one port of an app in host networking.
type PortDefinition struct {
	Port     int               `json:"port"` // service port; 0 = choose one
	Protocol string            `json:"protocol"`
	Name     *string           `json:"name,omitempty"`
	Labels   map[string]string `json:"labels"`
}

// Container says what a task runs in.
type Container struct {
	Type    string   `json:"type"` // DOCKER or MESOS
	Volumes []Volume `json:"volumes"`
	Docker  *Docker  `json:"docker,omitempty"`
}

// Volume is a path of the agent's host seen in the container.
type Volume struct {
	ContainerPath string  `json:"containerPath"`
	HostPath      *string `json:"hostPath,omitempty"`
	Mode          string  `json:"mode"`                 // RO or RW
	Persistent    any     `json:"persistent,omitempty"` // refused by Validate
	External      any     `json:"external,omitempty"`   // refused by Validate
}

// Docker is the image and its wiring.
type Docker struct {
	Image          string        `json:"image"`
	Network        string        `json:"network,omitempty"`     // BRIDGE, HOST, NONE or unset
	PortMappings   []PortMapping `json:"portMappings,omitzero"` // nil = not printed
	Privileged     bool          `json:"privileged"`
	Parameters     []Parameter   `json:"parameters"`
	ForcePullImage bool          `json:"forcePullImage"`
}

// PortMapping publishes a container's port on a host port.
type PortMapping struct {
	ContainerPort int               `json:"containerPort"` // 0 = same as the host port
	HostPort      int               `json:"hostPort"`      // 0 = any of the offer
	ServicePort   int               `json:"servicePort"`   // 0 = choose one
	Protocol      string            `json:"protocol"`      // tcp, udp or "udp,tcp"
	Name          *string           `json:"name,omitempty"`
	Labels        map[string]string `json:"labels"`
}

// Parameter is passed through to the docker command.
type Parameter struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// HealthCheck is one way to find out whether a task is well (contracts 2.4).
type HealthCheck struct {
	Path                   *string  `json:"path,omitempty"`
	Protocol               string   `json:"protocol"` // HTTP, HTTPS, TCP, COMMAND
	PortIndex              *int     `json:"portIndex,omitempty"`
	Port                   *int     `json:"port,omitempty"`
	Command                *Command `json:"command,omitempty"`
	GracePeriodSeconds     int      `json:"gracePeriodSeconds"`
	IntervalSeconds        int      `json:"intervalSeconds"`
	TimeoutSeconds         int      `json:"timeoutSeconds"`
	MaxConsecutiveFailures int      `json:"maxConsecutiveFailures"`
	IgnoreHTTP1xx          bool     `json:"ignoreHttp1xx"`
}

// Command is the shell line of a COMMAND check.
type Command struct {
	Value string `json:"value"`
}

// ReadinessCheck decides during a deployment when a new task may count.
type ReadinessCheck struct {
	Name                    string `json:"name"`
	Protocol                string `json:"protocol"` // HTTP or HTTPS
	Path                    string `json:"path"`
	PortName                string `json:"portName"`
	IntervalSeconds         int    `json:"intervalSeconds"`
	TimeoutSeconds          int    `json:"timeoutSeconds"`
	HTTPStatusCodesForReady []int  `json:"httpStatusCodesForReady"`
	PreserveLastResponse    bool   `json:"preserveLastResponse"`
}

// UpgradeStrategy bounds how far below and above its instances an app may go
// while it is replaced. Each is a share between 0 and 1.
type UpgradeStrategy struct {
	MinimumHealthCapacity float64 `json:"minimumHealthCapacity"`
	MaximumOverCapacity   float64 `json:"maximumOverCapacity"`
}

// IPAddress asks for an address per task.
type IPAddress struct {
	Groups    []string          `json:"groups"`
	Labels    map[string]string `json:"labels"`
	Discovery Discovery         `json:"discovery"`
}

// Discovery lists the ports of an app with its own address.
type Discovery struct {
	Ports []DiscoveryPort `json:"ports"`
}

// DiscoveryPort is one of them.
type DiscoveryPort struct {
	Number   int               `json:"number"`
	Name     string            `json:"name"`
	Protocol string            `json:"protocol"`
	Labels   map[string]string `json:"labels"`
}

// Residency says how tasks with persistent volumes are brought back.
type Residency struct {
	RelaunchEscalationTimeoutSeconds int    `json:"relaunchEscalationTimeoutSeconds"`
	TaskLostBehavior                 string `json:"taskLostBehavior"`
}

// singleInstance is the label that forbids a second instance, even for the
// moment of an upgrade.
const singleInstance = "MARATHON_SINGLE_INSTANCE_APP"

// Default is an app of the given id with 1.1.1's defaults.
func Default(id string) App {
	return App{
		ID: id, Env: map[string]string{}, Instances: 1, CPUs: 1, Mem: 128,
		Constraints: []Constraint{}, URIs: []string{}, Fetch: []Fetch{}, StoreURLs: []string{},
		Ports: []int{0}, PortDefinitions: []PortDefinition{anyPort()},
		BackoffSeconds: 1, BackoffFactor: 1.15, MaxLaunchDelaySeconds: 3600,
		HealthChecks: []HealthCheck{}, ReadinessChecks: []ReadinessCheck{}, Dependencies: []string{},
		UpgradeStrategy: UpgradeStrategy{1, 1}, Labels: map[string]string{},
	}
}

func anyPort() PortDefinition {
	return PortDefinition{Protocol: "tcp", Labels: map[string]string{}}
}

// ConfigVersion names the configuration that a task launched from this
// definition runs with.
func (a App) ConfigVersion() Time {
	if a.VersionInfo == nil {
		return a.Version
	}
	return a.VersionInfo.LastConfigChangeAt
}

// Mapped reports whether the app's ports are docker port mappings.
func (a App) Mapped() bool {
	return a.Container != nil && a.Container.Docker != nil && a.Container.Docker.PortMappings != nil &&
		a.Container.Docker.Network == "BRIDGE"
}

// SingleInstance reports whether at most one task may ever run.
func (a App) SingleInstance() bool { return a.Labels[singleInstance] == "true" }

// Clone copies everything that Apply and Normalize change in place of the
// copy: the containers of ports and their elements.
func (a App) Clone() App {
	a.Env, a.Labels = maps.Clone(a.Env), maps.Clone(a.Labels)
	a.Ports, a.PortDefinitions = slices.Clone(a.Ports), slices.Clone(a.PortDefinitions)
	a.HealthChecks = slices.Clone(a.HealthChecks)
	a.Dependencies = slices.Clone(a.Dependencies)
	if a.Container != nil {
		c := *a.Container
		if c.Docker != nil {
			d := *c.Docker
			d.PortMappings = slices.Clone(d.PortMappings)
			c.Docker = &d
		}
		a.Container = &c
	}
	if a.VersionInfo != nil {
		v := *a.VersionInfo
		a.VersionInfo = &v
	}
	return a
}
