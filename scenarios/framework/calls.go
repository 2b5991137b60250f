package framework

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// shortID tells the tasks of one life of a framework from those of another.
func shortID(framework string) string { return framework[strings.LastIndex(framework, "-")+1:] }

func (f *scheduler) task(d Decision) object {
	scalar := func(name string, v float64) object {
		return object{"name": name, "type": "SCALAR", "role": "*", "scalar": object{"value": v}}
	}
	variables := []object{}
	for name, v := range f.spec.Env {
		variables = append(variables, object{"name": name, "value": v})
	}
	return object{
		"name": f.spec.Name, "task_id": value{d.Task}, "agent_id": value{d.Agent},
		"resources": []object{scalar("cpus", f.spec.CPUs), scalar("mem", f.spec.Mem)},
		"command":   object{"shell": false, "environment": object{"variables": variables}},
		"container": object{"type": "DOCKER", "docker": object{"image": f.spec.Image, "network": "BRIDGE"}},
	}
}

func (f *scheduler) call(ctx context.Context, kind, part string, body object) error {
	resp, err := f.post(ctx, object{"type": kind, "framework_id": f.id, part: body})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (f *scheduler) post(ctx context.Context, call object) (*http.Response, error) {
	body, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if f.stream != "" {
		req.Header.Set("Mesos-Stream-Id", f.stream)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return nil, fmt.Errorf("%v: %s: %s", call["type"], resp.Status, strings.TrimSpace(string(text)))
	}
	return resp, nil
}
