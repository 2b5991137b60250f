//go:build linux

package rig

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/moby/client"
)

// Docker opens the engine of node n on tcp/2375, as anybody can.
func (l *Lab) Docker(n int) *client.Client {
	l.tb.Helper()
	c, err := client.New(client.WithHost("tcp://" + l.IP(n) + ":2375"))
	if err != nil {
		l.tb.Fatal(err)
	}
	l.tb.Cleanup(func() { c.Close() })
	return c
}

// Container is a running container: who, since when, as which process.
type Container struct{ ID, Name, Started string }

// Containers lists the running containers of nodes 1 to n by node/name.
func (l *Lab) Containers(n int) map[string]Container {
	l.tb.Helper()
	out := map[string]Container{}
	for i := range n {
		docker := l.Docker(i + 1)
		list, err := docker.ContainerList(l.tb.Context(), client.ContainerListOptions{})
		if err != nil {
			l.tb.Fatal(err)
		}
		for _, c := range list.Items {
			name := c.Names[slices.Index(c.Names, slices.MinFunc(c.Names, func(a, b string) int { return len(a) - len(b) }))][1:]
			info, err := docker.ContainerInspect(l.tb.Context(), c.ID, client.ContainerInspectOptions{})
			if err != nil {
				l.tb.Fatal(err)
			}
			out[fmt.Sprintf("node%d/%s", i+1, name)] = Container{c.ID, name, info.Container.State.StartedAt}
		}
	}
	return out
}

// PIDOf returns the first process of a container.
func (l *Lab) PIDOf(ctx context.Context, n int, container string) int {
	l.tb.Helper()
	info, err := l.Docker(n).ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	if err != nil {
		l.tb.Fatal(err)
	}
	return info.Container.State.Pid
}
