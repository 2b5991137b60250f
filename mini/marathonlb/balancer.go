package marathonlb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// configuration is one state of all services, as data and as text.
type configuration struct {
	services []service
	problems []problem
	model    proxy.Config
	text     string
}

// unbound is the claim of the service whose port err says cannot be bound, or
// "".
func (c *configuration) unbound(err error) string {
	var e *proxy.BindError
	if !errors.As(err, &e) {
		return ""
	}
	for _, s := range c.services {
		if s.name() == e.Frontend {
			return s.claim()
		}
	}
	return ""
}

// Balancer is what balances. The proxy in Go is one; a real HAProxy can
// stand here as well, fed with the text.
type Balancer interface {
	// Apply brings a configuration into force, all or nothing.
	Apply(ctx context.Context, model proxy.Config, text string) error
	// Stats returns rows as HAProxy's statistics have them.
	Stats() []proxy.Stat
	// Pids are the processes that serve.
	Pids() []int
	// Close ends every connection and returns when all is over.
	Close()
}

// goProxy is the Balancer without HAProxy: package proxy in this process.
type goProxy struct{ *proxy.Proxy }

func (g goProxy) Apply(ctx context.Context, model proxy.Config, _ string) error {
	return g.Proxy.Apply(ctx, model)
}

func (g goProxy) Pids() []int { return []int{os.Getpid()} }

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
	f, err := os.CreateTemp(filepath.Dir(name), ".haproxy-*")
	if err != nil {
		return false, fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return false, errors.Join(fmt.Errorf("write configuration: %w", err), os.Remove(f.Name()))
	}
	return true, nil
}
