package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is an Engine without processes, for tests and synctest bubbles. Its
// zero value has no images. A container runs until Exit, Stop or Remove.
type Memory struct {
	// OnExec answers Exec; nil means exit code 0 at once. It runs without
	// Memory's lock and should return when ctx ends.
	OnExec func(ctx context.Context, name string, cmd []string) (int, error)
	// OnStop is asked with how much grace a container is stopped, and says
	// how long it takes to end by itself and with which exit code; nil means
	// at once, with 143.
	OnStop func(name string, grace time.Duration) (time.Duration, int)
	// Used is what every running container uses.
	Used Usage

	mu         sync.Mutex
	images     map[string]bool
	remote     map[string]time.Duration
	containers map[string]*record
	down       error
	started    []string
}

type record struct {
	spec    Spec
	started bool
	code    int
	ended   chan struct{} // closed when it is not running any more
	output  []byte
	printed chan struct{} // closed, and made anew, when output grows
}

var _ Engine = (*Memory)(nil)

// AddImage puts an image into the engine.
func (m *Memory) AddImage(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.images == nil {
		m.images = map[string]bool{}
	}
	m.images[name] = true
}

// Publish puts an image into the registry; pulling it takes that long.
func (m *Memory) Publish(name string, pull time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.remote == nil {
		m.remote = map[string]time.Duration{}
	}
	m.remote[name] = pull
}

// SetDown makes every call fail with err, as a stopped engine does, until
// SetDown(nil). Containers go on.
func (m *Memory) SetDown(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// Exit ends a running container by itself, with this exit code.
func (m *Memory) Exit(name string, code int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(name, code)
}

// Print lets a container write to its standard output.
func (m *Memory) Print(name, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.containers[name]; c != nil {
		c.output = append(c.output, text...)
		close(c.printed)
		c.printed = make(chan struct{})
	}
}

// Running returns the names of the containers that run, sorted.
func (m *Memory) Running() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for name, c := range m.containers {
		if c.running() {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Started returns the names of all containers that were ever started, in
// order, so that tests can tell that none was started twice.
func (m *Memory) Started() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.started)
}

// SpecOf returns what a container was made from.
func (m *Memory) SpecOf(name string) (Spec, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.containers[name]
	if !ok {
		return Spec{}, false
	}
	return c.spec, true
}

// Version implements Engine.
func (m *Memory) Version(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return "in-memory engine", m.down
}

// Pull implements Engine.
func (m *Memory) Pull(ctx context.Context, image string, force bool) error {
	m.mu.Lock()
	err, there := m.down, m.images[image]
	takes, published := m.remote[image]
	m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case there && !force:
		return nil
	case !published && !there:
		return fmt.Errorf("pull access denied for %s, repository does not exist or may require 'docker login'", image)
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	m.AddImage(image)
	return nil
}

// Create implements Engine.
func (m *Memory) Create(_ context.Context, s Spec) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down != nil:
		return m.down
	case !m.images[s.Image]:
		return fmt.Errorf("no such image: %s", s.Image)
	case m.containers[s.Name] != nil:
		return fmt.Errorf("the container name %q is already in use", s.Name)
	}
	if m.containers == nil {
		m.containers = map[string]*record{}
	}
	m.containers[s.Name] = &record{spec: s, printed: make(chan struct{})}
	return nil
}

// Start implements Engine.
func (m *Memory) Start(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.find(name)
	if err != nil {
		return err
	}
	if c.started {
		return errors.New("the twin starts a container once")
	}
	c.started, c.ended = true, make(chan struct{})
	m.started = append(m.started, name)
	return nil
}

// Inspect implements Engine.
func (m *Memory) Inspect(_ context.Context, name string) (Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.find(name)
	if err != nil {
		return Info{}, err
	}
	info := Info{Running: c.running(), Started: c.started, ExitCode: c.code}
	if info.Running {
		info.PID = 4242
		if c.spec.Network == "bridge" {
			info.IPs = []string{"172.17.0.2"}
		}
	}
	raw, err := json.Marshal([]any{map[string]any{"Name": "/" + name, "State": map[string]any{"Running": info.Running, "ExitCode": c.code}}})
	info.Raw = raw
	return info, err
}

// Wait implements Engine.
func (m *Memory) Wait(ctx context.Context, name string) (int, error) {
	m.mu.Lock()
	c, err := m.find(name)
	var ended chan struct{}
	if err == nil {
		ended = c.ended
	}
	m.mu.Unlock()
	if err != nil || ended == nil {
		return 0, err
	}
	select {
	case <-ended:
		m.mu.Lock()
		defer m.mu.Unlock()
		return c.code, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Stop implements Engine.
func (m *Memory) Stop(ctx context.Context, name string, grace time.Duration) error {
	m.mu.Lock()
	c, err := m.find(name)
	var ended chan struct{}
	if err == nil {
		ended = c.ended
	}
	m.mu.Unlock()
	if err != nil || ended == nil {
		return err
	}
	takes, code := time.Duration(0), 143
	if m.OnStop != nil {
		takes, code = m.OnStop(name, grace)
	}
	if grace == 0 || takes > grace {
		takes, code = grace, 137
	}
	select {
	case <-time.After(takes):
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	m.Exit(name, code)
	return nil
}

// Remove implements Engine.
func (m *Memory) Remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(name); errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	m.end(name, 137)
	delete(m.containers, name)
	return nil
}

// Exec implements Engine.
func (m *Memory) Exec(ctx context.Context, name string, cmd, _ []string) (int, error) {
	m.mu.Lock()
	c, err := m.find(name)
	running := err == nil && c.running()
	m.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case !running:
		return 0, fmt.Errorf("container %s is not running", name)
	case m.OnExec == nil:
		return 0, nil
	}
	return m.OnExec(ctx, name, cmd)
}

// Logs implements Engine. All output is standard output.
func (m *Memory) Logs(ctx context.Context, name string, stdout, _ io.Writer) error {
	for written := 0; ; {
		m.mu.Lock()
		c, err := m.find(name)
		if err != nil {
			m.mu.Unlock()
			if written > 0 && errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		}
		more, running := slices.Clone(c.output[written:]), c.running()
		printed, ended := c.printed, c.ended
		m.mu.Unlock()
		n, err := stdout.Write(more)
		if written += n; err != nil {
			return err
		}
		if !running {
			return nil
		}
		select {
		case <-printed:
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Usage implements Engine. A container that does not run uses nothing.
func (m *Memory) Usage(_ context.Context, name string) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.find(name)
	if err != nil || !c.running() {
		return Usage{}, err
	}
	return m.Used, nil
}

// List implements Engine.
func (m *Memory) List(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return nil, m.down
	}
	var out []string
	for name := range m.containers {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (m *Memory) find(name string) (*record, error) {
	if m.down != nil {
		return nil, m.down
	}
	c := m.containers[name]
	if c == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	return c, nil
}

// end marks a running container as ended; the lock must be held.
func (m *Memory) end(name string, code int) {
	if c := m.containers[name]; c != nil && c.running() {
		c.code = code
		close(c.ended)
	}
}

func (c *record) running() bool {
	if !c.started {
		return false
	}
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}
