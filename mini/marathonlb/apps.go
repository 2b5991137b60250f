package marathonlb

import (
	"encoding/json"
	"fmt"
	"io"
)

// app is what is read of an app of GET /v2/apps?embed=apps.tasks. Absent,
// null and empty mean the same (Marathon ≥ 1.5 omits what 1.1.1 prints).
type app struct {
	ID              string            `json:"id"`
	Version         string            `json:"version"`
	Instances       int               `json:"instances"`
	Labels          map[string]string `json:"labels"`
	HealthChecks    []healthCheck     `json:"healthChecks"`
	Ports           []int             `json:"ports"`
	PortDefinitions []servicePort     `json:"portDefinitions"`
	Container       *container        `json:"container"`
	IPAddress       json.RawMessage   `json:"ipAddress"`
	Tasks           []task            `json:"tasks"`
}

type servicePort struct {
	Port int `json:"port"`
}

type mapping struct {
	ServicePort int `json:"servicePort"`
}

type container struct {
	PortMappings []mapping `json:"portMappings"` // Marathon ≥ 1.5
	Docker       *struct {
		PortMappings []mapping `json:"portMappings"`
	} `json:"docker"`
}

type healthCheck struct {
	Protocol               string `json:"protocol"`
	Path                   string `json:"path"`
	Port                   *int   `json:"port"`
	PortIndex              *int   `json:"portIndex"`
	IntervalSeconds        int    `json:"intervalSeconds"`
	TimeoutSeconds         int    `json:"timeoutSeconds"`
	MaxConsecutiveFailures int    `json:"maxConsecutiveFailures"`
}

type task struct {
	ID                 string `json:"id"`
	Host               string `json:"host"`
	Ports              []int  `json:"ports"`
	HealthCheckResults []struct {
		Alive bool `json:"alive"`
	} `json:"healthCheckResults"`

	drained bool // by mergeDeployments: nothing new may go there
}

// decodeApps reads the answer of /v2/apps.
func decodeApps(r io.Reader) ([]app, error) {
	var body struct {
		Apps []app `json:"apps"`
	}
	if err := json.NewDecoder(r).Decode(&body); err != nil {
		return nil, fmt.Errorf("decode apps: %w", err)
	}
	return body.Apps, nil
}

// servicePorts returns the app's service ports in the order of their index.
func (a app) servicePorts() []int {
	var ports []int
	for _, d := range a.PortDefinitions {
		ports = append(ports, d.Port)
	}
	if len(ports) == 0 {
		ports = a.Ports
	}
	if c := a.Container; len(ports) == 0 && c != nil {
		mappings := c.PortMappings
		if len(mappings) == 0 && c.Docker != nil {
			mappings = c.Docker.PortMappings
		}
		for _, m := range mappings {
			ports = append(ports, m.ServicePort)
		}
	}
	return ports
}

// check returns the health check that counts for a service port: the first
// whose port is set or whose index is the port's (contracts 11.3).
func (a app) check(index int) *healthCheck {
	for i := range a.HealthChecks {
		c := &a.HealthChecks[i]
		if c.Port != nil && *c.Port != 0 || c.PortIndex != nil && *c.PortIndex == index {
			return c
		}
	}
	return nil
}
