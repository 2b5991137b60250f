//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/containers"
	"github.com/mesoslab/lab/internal/labtest/dockerd"
)

// Inside is dockerd.Inside with the machine image built: it returns nil to a
// test that has run, and passed, inside the engine's namespaces.
func Inside(tb testing.TB) *dockerd.Engine {
	tb.Helper()
	return dockerd.Inside(tb, func(ctx context.Context, host string) error {
		return containers.New(containers.Options{Host: host}).EnsureImage(ctx, nil)
	})
}

// NewDocker prepares a lab of machines in containers on the article's own
// addresses. There can be one at a time. What is left of it when the test ends
// fails the test, and is removed.
func NewDocker(tb testing.TB, engine *dockerd.Engine) *Lab {
	tb.Helper()
	l := prepare(tb, "docker")
	l.engine, l.Subnet = engine, lab.ArticleSubnet
	l.Env = append(l.Env, "XDG_CACHE_HOME="+filepath.Join(builtIn, "cache")) // the stack's images are made once
	tb.Cleanup(func() {
		if _, err := os.Lstat(l.Dir()); err != nil {
			return
		}
		l.tellIfFailed()
		if r := l.Run("destroy"); r.Code != 0 {
			tb.Errorf("clean up: %s", r)
		}
	})
	return l
}

// EngineBelow opens the engine on which the machines are containers.
func (l *Lab) EngineBelow() *client.Client {
	l.tb.Helper()
	c, err := client.New(client.WithHost(l.engine.Host))
	if err != nil {
		l.tb.Fatal(err)
	}
	l.tb.Cleanup(func() { c.Close() })
	return c
}

// MachineContainer is the container that a node's machine is; card that which
// holds its address.
func (l *Lab) MachineContainer(n int) (machine, card string) {
	l.tb.Helper()
	name := l.Status().ID
	machine = fmt.Sprintf("%s-%s-node%d", l.Name, name, n)
	return machine, machine + "-net"
}

// mustLeaveEngine checks the engine and its namespaces. What containerd holds
// of a removed container ends a moment after it.
func (l *Lab) mustLeaveEngine() {
	l.tb.Helper()
	ctx, cancel := context.WithTimeout(l.tb.Context(), 10*time.Second)
	defer cancel()
	err := lab.Until(ctx, 50*time.Millisecond, "the engine to be empty", func(ctx context.Context) error {
		left, err := l.engine.Left(ctx)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left behind: %q", left)
		}
		return err
	})
	if err != nil {
		l.tb.Error(err)
	}
}

// tellIfFailed prints what the lab did last and what there is of it.
func (l *Lab) tellIfFailed() {
	if !l.tb.Failed() {
		return
	}
	if data, err := os.ReadFile(filepath.Join(l.Dir(), "events.jsonl")); err == nil {
		l.tb.Logf("the lab's last events:\n%s", tail(string(data), 30))
	}
	l.tb.Log(l.Run("status"))
	c := l.EngineBelow()
	list, err := c.ContainerList(context.Background(), client.ContainerListOptions{All: true})
	if err != nil {
		l.tb.Log(err)
	}
	for _, x := range list.Items {
		l.tb.Log(x.Names, x.Status)
	}
}
