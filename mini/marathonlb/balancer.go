package marathonlb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/mini/marathonlb/haproxy"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// configuration is one state of all services, as data and as text.
type configuration struct {
	services []service
	problems []problem
	open     shared
	model    proxy.Config
	text     string
}

// balancer is what balances: it takes a configuration and serves it.
type balancer interface {
	// Apply brings a configuration into force, all or nothing. A service port
	// that cannot be bound is a *proxy.BindError, lines that a real HAProxy does
	// not take are a *haproxy.RefusedError.
	Apply(ctx context.Context, c *configuration) error
	// Stats returns rows as HAProxy's statistics have them.
	Stats(ctx context.Context) ([]proxy.Stat, error)
	// Pids are the processes that serve.
	Pids(ctx context.Context) ([]int, error)
	// Close ends every connection and returns when all is over.
	Close()
}

// goProxy is the balancer without HAProxy: package proxy in this process.
type goProxy struct{ *proxy.Proxy }

var _ balancer = goProxy{}

func (g goProxy) Apply(ctx context.Context, c *configuration) error {
	return g.Proxy.Apply(ctx, c.model)
}

func (g goProxy) Stats(context.Context) ([]proxy.Stat, error) { return g.Proxy.Stats(), nil }

func (g goProxy) Pids(context.Context) ([]int, error) { return []int{os.Getpid()}, nil }

// realProxy is the balancer that is a real HAProxy.
type realProxy struct {
	*haproxy.HAProxy
	limits proxy.Limits
}

var _ balancer = realProxy{}

func (r realProxy) Apply(ctx context.Context, c *configuration) error {
	return r.HAProxy.Apply(ctx, c.model.Frontends, sections(c.services, c.open, r.limits))
}

// runFolder is where a real HAProxy has its files, one folder for each
// statistics' port.
const runFolder = "/var/run/marathon-lb/"

// choose makes the balancer that --haproxy asks for. With "auto" a HAProxy that
// is missing, too old, or does not start leaves the proxy in Go, and the log
// says so.
func (lb *balance) choose(ctx context.Context) (balancer, error) {
	inGo := func() balancer {
		return goProxy{proxy.New(proxy.Network{Listen: lb.env.Listen, Dial: lb.env.Dial}, lb.limits, lb.log)}
	}
	if lb.options.haproxy == "never" {
		return inGo(), nil
	}
	var real *haproxy.HAProxy
	program, err := lb.find(ctx)
	if err == nil {
		real, err = haproxy.Start(ctx, lb.env, haproxy.Options{Program: program, Folder: runFolder + lb.options.statsPort, Limits: lb.limits, Log: lb.log})
	}
	switch {
	case err == nil:
		lb.log("HAProxy %s balances (%s)", program.Version, program.Path)
		return realProxy{real, lb.limits}, nil
	case lb.options.haproxy == "auto" && ctx.Err() == nil:
		lb.log("the proxy in Go balances: %v", err)
		return inGo(), nil
	}
	return nil, fmt.Errorf("--haproxy %s: %w", lb.options.haproxy, err)
}

// writeFile replaces name by rename, so that readers see the old text or the
// new one; it reports whether anything had to be written.
func writeFile(name, content string) (bool, error) {
	old, err := os.ReadFile(name)
	if err == nil && string(old) == content {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return false, fmt.Errorf("write configuration: %w", err)
	}
	if err := atomicfile.Write(name, []byte(content), 0o644); err != nil {
		return false, fmt.Errorf("write configuration: %w", err)
	}
	return true, nil
}
