package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mesoslab/lab"
)

// articleImage is what the article's nginx.json runs.
const articleImage = "nginx:1.10"

// Definition is an application as Marathon gets it.
type Definition struct {
	ID   string          // with the slash in front
	JSON json.RawMessage // one object
}

// LoadDefinition reads a Marathon JSON file; name stands for it in errors. It
// checks no more than that it is one app: the rest is Marathon's business.
func LoadDefinition(name string, data []byte) (Definition, error) {
	fail := func(err error) (Definition, error) {
		return Definition{}, &lab.Error{ID: "app-invalid", Op: "read app", Err: fmt.Errorf("%w: %s: %w", lab.ErrUsage, name, err),
			Advice: "the file must hold one Marathon application: a JSON object with an id"}
	}
	var head struct{ ID string }
	if err := json.Unmarshal(data, &head); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
			return fail(fmt.Errorf("line %d: %w", line, err))
		}
		return fail(err)
	}
	if strings.Trim(head.ID, "/") == "" {
		return fail(errors.New("no id"))
	}
	return Definition{ID: "/" + strings.Trim(head.ID, "/"), JSON: data}, nil
}

// sampleApp is what SampleApp writes; the order of its fields is nginx.json's.
type sampleApp struct {
	ID           string            `json:"id"`
	Labels       map[string]string `json:"labels"`
	CPUs         float64           `json:"cpus"`
	Mem          float64           `json:"mem"`
	Instances    int               `json:"instances"`
	HealthChecks []sampleCheck     `json:"healthChecks"`
	Container    AppContainer      `json:"container"`
}

type sampleCheck struct {
	Path                   string `json:"path"`
	Protocol               string `json:"protocol,omitempty"`
	GracePeriodSeconds     int    `json:"gracePeriodSeconds,omitempty"`
	IntervalSeconds        int    `json:"intervalSeconds,omitempty"`
	TimeoutSeconds         int    `json:"timeoutSeconds,omitempty"`
	MaxConsecutiveFailures int    `json:"maxConsecutiveFailures,omitempty"`
}

// SampleApp is the article's nginx: two instances behind the load balancer.
// With article it is as nginx.json says, so that Marathon's defaults hold (the
// first health check after 60 s); else it is checked every second, which a
// lesson can wait for. Image and service port are the platform's.
func (p Platform) SampleApp(article bool) Definition {
	check := sampleCheck{Path: "/"}
	if !article {
		check.Protocol, check.GracePeriodSeconds, check.IntervalSeconds, check.TimeoutSeconds = "HTTP", 10, 1, 1
		check.MaxConsecutiveFailures = 3
	}
	data, err := json.MarshalIndent(sampleApp{
		ID: "nginx", Labels: map[string]string{"HAPROXY_GROUP": "external"},
		CPUs: 0.2, Mem: 20, Instances: 2, HealthChecks: []sampleCheck{check},
		Container: AppContainer{Type: "DOCKER", Docker: &AppDocker{
			Image: p.Images.Nginx, Network: "BRIDGE",
			PortMappings: []PortMapping{{ContainerPort: 80, ServicePort: p.Spec.Ports.App, Protocol: "tcp"}},
		}},
	}, "", "  ")
	if err != nil {
		panic("stack: the sample app marshals: " + err.Error())
	}
	return Definition{ID: "/nginx", JSON: data}
}
