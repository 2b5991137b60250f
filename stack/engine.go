package stack

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Docker is what the stack needs of a machine's engine; *client.Client has it.
type Docker interface {
	ContainerList(ctx context.Context, o client.ContainerListOptions) (client.ContainerListResult, error)
	ContainerInspect(ctx context.Context, id string, o client.ContainerInspectOptions) (client.ContainerInspectResult, error)
	ContainerCreate(ctx context.Context, o client.ContainerCreateOptions) (client.ContainerCreateResult, error)
	ContainerStart(ctx context.Context, id string, o client.ContainerStartOptions) (client.ContainerStartResult, error)
	ContainerUnpause(ctx context.Context, id string, o client.ContainerUnpauseOptions) (client.ContainerUnpauseResult, error)
	ContainerStop(ctx context.Context, id string, o client.ContainerStopOptions) (client.ContainerStopResult, error)
	ContainerRemove(ctx context.Context, id string, o client.ContainerRemoveOptions) (client.ContainerRemoveResult, error)
}

// Runner runs command lines on a machine; *provision.Host does.
type Runner interface {
	Run(ctx context.Context, cmd string, stdin io.Reader) ([]byte, error)
}

// logFiles is how many files of Container.LogSize an engine keeps.
const logFiles = "3"

// createOptions is a definition in the Docker API's words.
func createOptions(c Container) client.ContainerCreateOptions {
	host := &container.HostConfig{
		Binds: c.Binds, NetworkMode: container.NetworkMode(c.Network), Privileged: c.Privileged,
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(c.Restart)},
	}
	if c.LogSize != "" {
		host.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": c.LogSize, "max-file": logFiles}}
	}
	if c.PidHost {
		host.PidMode = "host"
	}
	return client.ContainerCreateOptions{
		Name:       c.Name,
		Config:     &container.Config{Image: c.Image, Cmd: c.Cmd, Env: c.Env, Labels: c.Labels},
		HostConfig: host,
	}
}

// create makes a container. Its image must be there: bringing it is another
// room's work (provision/images).
func create(ctx context.Context, d Docker, c Container) (string, error) {
	made, err := d.ContainerCreate(ctx, createOptions(c))
	if errdefs.IsNotFound(err) {
		return "", &lab.Error{ID: "image-missing", Op: "create " + c.Name, Machine: c.Node, Err: err,
			Advice: "the engine had " + c.Image + " a moment ago; lab create brings it again"}
	}
	if err != nil {
		return "", fmt.Errorf("%s: create %s: %w", c.Node, c.Name, err)
	}
	return made.ID, nil
}

// remove ends a container by its stop signal and removes it.
func remove(ctx context.Context, d Docker, node, name, id string) error {
	grace := 5
	if _, err := d.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &grace}); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("%s: stop %s: %w", node, name, err)
	}
	if _, err := d.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("%s: remove %s: %w", node, name, err)
	}
	return nil
}

// start makes a container run, from whatever state it is in.
func start(ctx context.Context, d Docker, c Container, id string, state container.ContainerState) error {
	var err error
	switch state {
	case container.StateRunning, container.StateRestarting:
	case container.StatePaused:
		_, err = d.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	default:
		_, err = d.ContainerStart(ctx, id, client.ContainerStartOptions{})
	}
	if err != nil {
		return fmt.Errorf("%s: start %s: %w", c.Node, c.Name, err)
	}
	return nil
}

// existing is a container that an engine has.
type existing struct {
	id, name, image string
	labels          map[string]string
	state           container.ContainerState
	status          string
}

// list returns all containers of an engine, running or not.
func list(ctx context.Context, d Docker) ([]existing, error) {
	result, err := d.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, err
	}
	var out []existing
	for _, s := range result.Items {
		e := existing{id: s.ID, image: s.Image, labels: s.Labels, state: s.State, status: s.Status}
		for _, n := range s.Names { // links add names with a second slash
			if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
				e.name = n
			}
		}
		if e.state == "" {
			e.state = stateOf(s.Status)
		}
		out = append(out, e)
	}
	return out, nil
}

// stateOf reads the state from the words for people: engines before API 1.23
// give nothing else.
func stateOf(status string) container.ContainerState {
	switch {
	case strings.Contains(status, "(Paused)"):
		return container.StatePaused
	case strings.HasPrefix(status, "Up"):
		return container.StateRunning
	case strings.HasPrefix(status, "Restarting"):
		return container.StateRestarting
	case strings.HasPrefix(status, "Created"):
		return container.StateCreated
	case strings.HasPrefix(status, "Dead"):
		return container.StateDead
	}
	return container.StateExited
}
