package app

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var portName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]*$`) })

// checker collects problems of one app.
type checker struct{ problems []Problem }

func (c *checker) bad(path, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	for i := range c.problems {
		if c.problems[i].Path == path {
			c.problems[i].Errors = append(c.problems[i].Errors, msg)
			return
		}
	}
	c.problems = append(c.problems, Problem{path, []string{msg}})
}

func (c *checker) atLeast(path string, v, low float64) {
	if v < low {
		c.bad(path, "got %v, expected %v or more", v, low)
	}
}

func (c *checker) share(path string, v float64) {
	if v > 1 {
		c.bad(path, "is greater than 1")
	}
	if v < 0 {
		c.bad(path, "is less than 0")
	}
}

func (c *checker) port(path string, p int) {
	if p < 0 || p > 65535 {
		c.bad(path, "got %d, expected between 0 and 65535", p)
	}
}

// Validate checks everything that can be seen in one app. The error is an
// *InvalidError with all problems at once. Call it after Normalize.
func (a App) Validate() error {
	c := &checker{}
	if !ValidID(a.ID) {
		c.bad("/id", "must fully match regular expression '%s' in every part between slashes", segment())
	}
	a.checkCommand(c)
	a.checkNumbers(c)
	for i, k := range a.Constraints {
		if p := k.problem(); p != "" {
			c.bad(fmt.Sprintf("/constraints(%d)", i), "%s", p)
		}
	}
	if a.AcceptedResourceRoles != nil && len(a.AcceptedResourceRoles) == 0 {
		c.bad("/acceptedResourceRoles", "must not be empty")
	}
	a.checkPorts(c)
	a.checkContainer(c)
	for i, h := range a.HealthChecks {
		a.checkHealth(c, fmt.Sprintf("/healthChecks(%d)", i), h)
	}
	a.checkReadiness(c)
	a.checkUnsupported(c)
	if len(c.problems) > 0 {
		return &InvalidError{c.problems}
	}
	return nil
}

func (a App) checkCommand(c *checker) {
	cmd, args := a.Cmd != nil, len(a.Args) > 0
	if (cmd && args) || (!cmd && !args && a.Container == nil) {
		c.bad("/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.")
	}
	if cmd && *a.Cmd == "" {
		c.bad("/cmd", "must not be empty")
	}
}

func (a App) checkNumbers(c *checker) {
	c.atLeast("/instances", float64(a.Instances), 0)
	c.atLeast("/cpus", a.CPUs, 0)
	c.atLeast("/mem", a.Mem, 0)
	c.atLeast("/disk", a.Disk, 0)
	c.atLeast("/backoffSeconds", float64(a.BackoffSeconds), 0)
	c.atLeast("/backoffFactor", a.BackoffFactor, 1)
	c.atLeast("/maxLaunchDelaySeconds", float64(a.MaxLaunchDelaySeconds), 0)
	c.share("/upgradeStrategy/minimumHealthCapacity", a.UpgradeStrategy.MinimumHealthCapacity)
	c.share("/upgradeStrategy/maximumOverCapacity", a.UpgradeStrategy.MaximumOverCapacity)
	if a.SingleInstance() && a.Instances > 1 {
		c.bad("/instances", "Single instance app may only have one instance")
	}
}

func (a App) checkPorts(c *checker) {
	var seen []int
	var names []string
	for i, d := range a.PortDefinitions {
		path := fmt.Sprintf("/portDefinitions(%d)", i)
		c.port(path+"/port", d.Port)
		if !slices.Contains([]string{"tcp", "udp"}, d.Protocol) {
			c.bad(path+"/protocol", "%q is not one of (tcp,udp)", d.Protocol)
		}
		if d.Name != nil {
			names = checkName(c, path, *d.Name, names)
		}
		if d.Port != 0 && slices.Contains(seen, d.Port) {
			c.bad("/portDefinitions", "Ports must be unique.")
		}
		seen = append(seen, d.Port)
	}
}

func checkName(c *checker, path, name string, seen []string) []string {
	if !portName().MatchString(name) {
		c.bad(path+"/name", "must fully match regular expression '%s'", portName())
	}
	if slices.Contains(seen, name) {
		c.bad(path[:strings.LastIndexByte(path, '(')], "Port names must be unique.")
	}
	return append(seen, name)
}

func (a App) checkContainer(c *checker) {
	if a.Container == nil {
		return
	}
	d := a.Container.Docker
	if d == nil {
		if a.Container.Type == "DOCKER" {
			c.bad("/container/docker", "must not be empty")
		}
		return
	}
	if d.Image == "" {
		c.bad("/container/docker/image", "must not be empty")
	}
	var names []string
	for i, m := range d.PortMappings {
		path := fmt.Sprintf("/container/docker/portMappings(%d)", i)
		c.port(path+"/containerPort", m.ContainerPort)
		c.port(path+"/hostPort", m.HostPort)
		c.port(path+"/servicePort", m.ServicePort)
		if !slices.Contains([]string{"tcp", "udp", "udp,tcp"}, m.Protocol) {
			c.bad(path+"/protocol", "%q is not one of (tcp,udp)", m.Protocol)
		}
		if m.Name != nil {
			names = checkName(c, path, *m.Name, names)
		}
	}
}

func (a App) checkHealth(c *checker, path string, h HealthCheck) {
	c.atLeast(path+"/gracePeriodSeconds", float64(h.GracePeriodSeconds), 0)
	c.atLeast(path+"/timeoutSeconds", float64(h.TimeoutSeconds), 0)
	c.atLeast(path+"/maxConsecutiveFailures", float64(h.MaxConsecutiveFailures), 0)
	c.atLeast(path+"/intervalSeconds", float64(h.IntervalSeconds), 0)
	if h.Protocol == "COMMAND" {
		if h.Command == nil || h.Command.Value == "" {
			c.bad(path, "COMMAND health checks need a command value")
		}
		return
	}
	if h.Command != nil {
		c.bad(path, "%s health checks take no command", h.Protocol)
	}
	if h.Port != nil {
		c.port(path+"/port", *h.Port)
	} else if h.PortIndex != nil && (*h.PortIndex < 0 || *h.PortIndex >= len(a.Ports)) {
		c.bad(path, "Health check port indices must address an element of the ports array or container port mappings.")
	}
}

func (a App) checkReadiness(c *checker) {
	if len(a.ReadinessChecks) > 1 {
		c.bad("/readinessChecks", "more than one readiness check is not supported")
	}
	for i, r := range a.ReadinessChecks {
		path := fmt.Sprintf("/readinessChecks(%d)", i)
		c.atLeast(path+"/intervalSeconds", float64(r.IntervalSeconds), 1)
		if r.TimeoutSeconds >= r.IntervalSeconds {
			c.bad(path+"/timeoutSeconds", "must be smaller than the interval")
		}
		if _, ok := a.NamedPort(r.PortName); !ok {
			c.bad(path+"/portName", "%q is no named port of the app", r.PortName)
		}
	}
}

// checkUnsupported refuses what this Marathon would silently not do.
func (a App) checkUnsupported(c *checker) {
	if a.Residency != nil {
		c.bad("/residency", "resident apps are not supported by this Marathon")
	}
	if a.IPAddress != nil {
		c.bad("/ipAddress", "ip-per-task is not supported by this Marathon")
	}
	if len(a.StoreURLs) > 0 {
		c.bad("/storeUrls", "there is no artifact store in this Marathon")
	}
	if a.Executor != "" && a.Executor != "//cmd" {
		c.bad("/executor", "custom executors are not supported by this Marathon")
	}
	if a.Container == nil {
		return
	}
	for i, v := range a.Container.Volumes {
		if v.Persistent != nil || v.External != nil {
			c.bad(fmt.Sprintf("/container/volumes(%d)", i), "persistent and external volumes are not supported by this Marathon")
		} else if v.HostPath == nil {
			c.bad(fmt.Sprintf("/container/volumes(%d)/hostPath", i), "must not be empty")
		}
	}
}

// NamedPort finds the index of a port by its name.
func (a App) NamedPort(name string) (int, bool) {
	if a.Mapped() {
		for i, m := range a.Container.Docker.PortMappings {
			if m.Name != nil && *m.Name == name {
				return i, true
			}
		}
		return 0, false
	}
	for i, d := range a.PortDefinitions {
		if d.Name != nil && *d.Name == name {
			return i, true
		}
	}
	return 0, false
}
