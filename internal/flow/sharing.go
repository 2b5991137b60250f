package flow

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/scenarios/framework"
)

// Framework runs a framework of lab's own at the leading master. Its stream has
// no end, so it has a client of its own, without a time-out.
func (c *cluster) Framework(ctx context.Context, spec framework.Spec, saw func(framework.Decision)) error {
	spec.Image = c.platform.Images.Nginx
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	defer transport.CloseIdleConnections()
	return framework.Run(ctx, &http.Client{Transport: transport}, c.Mesos.Base, spec, saw)
}

// Holdings reads the master's state. What frameworks that are none of ours have
// of a slave is what the slave has given without ours.
func (c *cluster) Holdings(ctx context.Context, ours []string) (scenarios.Holdings, error) {
	s, err := c.Mesos.State(ctx)
	if err != nil {
		return scenarios.Holdings{}, err
	}
	h := scenarios.Holdings{}
	if h.Weights, err = weights(s.Flags["weights"]); err != nil {
		return h, err
	}
	type taken struct{ cpus, mem float64 }
	others := map[string]taken{} // by slave
	for _, f := range s.Frameworks {
		if !slices.Contains(ours, f.Name) {
			for _, t := range f.Tasks {
				others[t.SlaveID] = taken{others[t.SlaveID].cpus + t.Resources.CPUs, others[t.SlaveID].mem + t.Resources.Mem}
			}
		}
		if !f.Active && len(f.Tasks) == 0 {
			continue // one of the past, that a slave has told a new master of
		}
		h.Frameworks = append(h.Frameworks, scenarios.Holding{Name: f.Name, Role: f.Role, CPUs: f.UsedResources.CPUs, Mem: f.UsedResources.Mem, Tasks: len(f.Tasks)})
	}
	for _, slave := range s.Slaves {
		h.Slaves = append(h.Slaves, scenarios.SlaveRoom{CPUs: slave.Resources.CPUs, Mem: slave.Resources.Mem,
			TakenCPUs: others[slave.ID].cpus, TakenM: others[slave.ID].mem})
	}
	return h, nil
}

// weights reads the master's flag: role=2,other=1.5.
func weights(flag string) (map[string]float64, error) {
	out := map[string]float64{}
	for _, part := range strings.FieldsFunc(flag, func(r rune) bool { return r == ',' }) {
		role, text, _ := strings.Cut(part, "=")
		w, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("the master's flag --weights=%s: %w", flag, err)
		}
		out[strings.TrimSpace(role)] = w
	}
	return out, nil
}
