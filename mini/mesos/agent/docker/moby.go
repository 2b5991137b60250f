package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// DialFunc opens a connection to a unix socket, as mini.Env.Dial does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Moby is the Engine behind a unix socket.
type Moby struct {
	dial   func(ctx context.Context, _, _ string) (net.Conn, error)
	socket string

	mu  sync.Mutex
	api *client.Client
}

var _ Engine = (*Moby)(nil)

// NewMoby returns an Engine that dials the socket (an absolute path) when it
// is first needed.
func NewMoby(dial DialFunc, socket string) *Moby {
	return &Moby{socket: socket, dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, "unix", socket)
	}}
}

// Close ends idle connections.
func (m *Moby) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.api != nil {
		m.api.Close()
	}
}

type engineVersion struct {
	Version    string
	APIVersion string `json:"ApiVersion"`
	Platform   struct{ Name string }
}

// Version implements Engine.
func (m *Moby) Version(ctx context.Context) (string, error) {
	v, err := m.ask(ctx)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s (API %s)", v.Platform.Name, v.Version, v.APIVersion)), nil
}

// ask reads /version with plain HTTP: the client library would speak a too
// new API to an engine older than it supports, and say nothing.
func (m *Moby) ask(ctx context.Context) (engineVersion, error) {
	tr := &http.Transport{DialContext: m.dial, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	var v engineVersion
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/version", nil)
	if err != nil {
		return v, err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return v, fmt.Errorf("ask docker engine at %s for its version: %w", m.socket, err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&v); err != nil || resp.StatusCode != http.StatusOK {
		return v, fmt.Errorf("ask docker engine at %s for its version: %s: %w", m.socket, resp.Status, errors.Join(err, errUnreadable))
	}
	if v.APIVersion == "" || versions.LessThan(v.APIVersion, client.MinAPIVersion) {
		return v, fmt.Errorf("docker engine %s at %s speaks API %s only, this agent needs %s or newer", v.Version, m.socket, v.APIVersion, client.MinAPIVersion)
	}
	return v, nil
}

var errUnreadable = errors.New("not the answer of a docker engine")

// client returns the library's client, made for the version that the engine
// really speaks.
func (m *Moby) client(ctx context.Context) (*client.Client, error) {
	m.mu.Lock()
	api := m.api
	m.mu.Unlock()
	if api != nil {
		return api, nil
	}
	v, err := m.ask(ctx)
	if err != nil {
		return nil, err
	}
	speak := v.APIVersion
	if versions.GreaterThan(speak, client.MaxAPIVersion) {
		speak = client.MaxAPIVersion
	}
	api, err = client.New(client.WithHost("unix://"+m.socket), client.WithDialContext(m.dial), client.WithAPIVersion(speak))
	if err != nil {
		return nil, fmt.Errorf("client of docker engine at %s: %w", m.socket, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.api == nil {
		m.api = api
	}
	return m.api, nil
}

// Pull implements Engine.
func (m *Moby) Pull(ctx context.Context, image string, force bool) error {
	api, err := m.client(ctx)
	if err != nil {
		return err
	}
	if !force {
		if _, err := api.ImageInspect(ctx, image); err == nil || !cerrdefs.IsNotFound(err) {
			return err
		}
	}
	r, err := api.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Wait(ctx)
}

// Create implements Engine.
func (m *Moby) Create(ctx context.Context, s Spec) error {
	options, err := createOptions(s)
	if err != nil {
		return err
	}
	api, err := m.client(ctx)
	if err != nil {
		return err
	}
	_, err = api.ContainerCreate(ctx, options)
	return err
}

// Start implements Engine.
func (m *Moby) Start(ctx context.Context, name string) error {
	api, err := m.client(ctx)
	if err != nil {
		return err
	}
	_, err = api.ContainerStart(ctx, name, client.ContainerStartOptions{})
	return notFound(err)
}

// Inspect implements Engine.
func (m *Moby) Inspect(ctx context.Context, name string) (Info, error) {
	api, err := m.client(ctx)
	if err != nil {
		return Info{}, err
	}
	r, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return Info{}, notFound(err)
	}
	// `docker inspect` prints a list, and that is what Mesos passes on.
	info := Info{Raw: slices.Concat([]byte("["), r.Raw, []byte("]"))}
	if st := r.Container.State; st != nil {
		info.Running = st.Running
		info.Started = st.Status != container.StateCreated
		info.ExitCode, info.PID = st.ExitCode, st.Pid
	}
	if n := r.Container.NetworkSettings; n != nil {
		for _, e := range n.Networks {
			if e != nil && e.IPAddress.IsValid() && !e.IPAddress.IsUnspecified() {
				info.IPs = append(info.IPs, e.IPAddress.String())
			}
		}
		slices.Sort(info.IPs)
	}
	return info, nil
}

// Wait implements Engine.
func (m *Moby) Wait(ctx context.Context, name string) (int, error) {
	api, err := m.client(ctx)
	if err != nil {
		return 0, err
	}
	w := api.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	// One of the two always comes, also after ctx's end: a select on
	// ctx.Done would leave the library's goroutine behind.
	select {
	case r := <-w.Result:
		if r.Error != nil && r.Error.Message != "" {
			return 0, errors.New(r.Error.Message)
		}
		return int(r.StatusCode), nil
	case err := <-w.Error:
		return 0, notFound(err)
	}
}

// Stop implements Engine.
func (m *Moby) Stop(ctx context.Context, name string, grace time.Duration) error {
	api, err := m.client(ctx)
	if err != nil {
		return err
	}
	seconds := int(math.Ceil(grace.Seconds()))
	_, err = api.ContainerStop(ctx, name, client.ContainerStopOptions{Timeout: &seconds})
	return notFound(err)
}

// Remove implements Engine.
func (m *Moby) Remove(ctx context.Context, name string) error {
	api, err := m.client(ctx)
	if err != nil {
		return err
	}
	_, err = api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// Exec implements Engine.
func (m *Moby) Exec(ctx context.Context, name string, cmd, env []string) (int, error) {
	api, err := m.client(ctx)
	if err != nil {
		return 0, err
	}
	x, err := api.ExecCreate(ctx, name, client.ExecCreateOptions{Cmd: cmd, Env: env, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return 0, notFound(err)
	}
	a, err := api.ExecAttach(ctx, x.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, err
	}
	defer a.Close()
	stop := context.AfterFunc(ctx, a.Close)
	defer stop()
	if _, err := io.Copy(io.Discard, a.Reader); err != nil && ctx.Err() == nil {
		return 0, fmt.Errorf("output of exec: %w", err)
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	r, err := api.ExecInspect(ctx, x.ID, client.ExecInspectOptions{})
	if err != nil {
		return 0, err
	}
	if r.Running {
		return 0, errors.New("the command closed its output and still runs")
	}
	return r.ExitCode, nil
}

// Logs implements Engine.
func (m *Moby) Logs(ctx context.Context, name string, stdout, stderr io.Writer) error {
	api, err := m.client(ctx)
	if err != nil {
		return err
	}
	r, err := api.ContainerLogs(ctx, name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return notFound(err)
	}
	defer r.Close()
	if _, err := stdcopy.StdCopy(stdout, stderr, r); err != nil {
		return fmt.Errorf("output of container %s: %w", name, err)
	}
	return nil
}

// List implements Engine.
func (m *Moby) List(ctx context.Context, prefix string) ([]string, error) {
	api, err := m.client(ctx)
	if err != nil {
		return nil, err
	}
	r, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("name", prefix)})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range r.Items {
		for _, n := range c.Names {
			// The engine's filter finds the words anywhere in a name.
			if n = strings.TrimPrefix(n, "/"); strings.HasPrefix(n, prefix) {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func notFound(err error) error {
	if cerrdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}
