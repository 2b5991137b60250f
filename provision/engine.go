package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// EngineState says what there is of Docker on a machine.
type EngineState string

// The states of an engine.
const (
	EngineRunning EngineState = "running"
	EngineStopped EngineState = "stopped" // installed, its socket does not answer
	EngineMissing EngineState = "missing"
)

// Engine is what a machine's Docker says of itself.
type Engine struct {
	State  EngineState `json:"state"`
	Server string      `json:"server,omitempty"`  // Server header, Docker/20.10.24 (linux)
	Number string      `json:"version,omitempty"` // 20.10.24
	API    string      `json:"api,omitempty"`     // newest API version, 1.41
	MinAPI string      `json:"min_api,omitempty"`
	// Embedded says that this is lab's own engine of an embedded machine.
	Embedded bool `json:"embedded,omitempty"`
}

// embeddedServer is how the engine of an embedded machine names itself.
const embeddedServer = "lab-engine"

// API versions: the client library speaks 1.40 and newer by itself and any
// older one if it is forced to; without labels (1.18) we could not tell our
// containers from others.
const (
	libraryAPI = "1.40"
	oldestAPI  = "1.18"
)

// EngineVersion asks the engine over its socket, by plain HTTP without a
// version in the path: that works with every engine ever made.
func (h *Host) EngineVersion(ctx context.Context) (Engine, error) {
	return engineVersion(ctx, h.machine.Name, h.dialDocker)
}

// dialDocker reaches the machine's socket, whatever the address is.
func (h *Host) dialDocker(ctx context.Context, _, _ string) (net.Conn, error) {
	return h.Dial(ctx, "unix", dockerSocket)
}

// engineVersion asks /version. An engine of 20.10 starts two programs to answer
// it; engineAPI is for those who ask often.
func engineVersion(ctx context.Context, machine string, dial DialFunc) (Engine, error) {
	header, body, err := askEngine(ctx, machine, dial, "/version")
	if err != nil {
		return Engine{}, err
	}
	return parseVersion(header.Get("Server"), body)
}

// engineAPI asks an engine for no more than a client of it must know. Most
// engines say it in the headers of /_ping; those that do not, and those that may
// want a newer client than this one, are asked for their version.
func engineAPI(ctx context.Context, machine string, dial DialFunc) (Engine, error) {
	header, _, err := askEngine(ctx, machine, dial, "/_ping")
	if err != nil {
		return Engine{}, err
	}
	api := header.Get("Api-Version")
	if api == "" || VersionLess(client.MaxAPIVersion, api) {
		return engineVersion(ctx, machine, dial)
	}
	return Engine{State: EngineRunning, Server: header.Get("Server"), API: api}, nil
}

// askEngine gets a path that needs no API version.
func askEngine(ctx context.Context, machine string, dial DialFunc, path string) (http.Header, []byte, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: dial, ResponseHeaderTimeout: versionWait}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: ask Docker for %s: %w", machine, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: read Docker's answer to %s: %w", machine, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: Docker's %s answers %s", machine, path, resp.Status)
	}
	return resp.Header, body, nil
}

func parseVersion(server string, body []byte) (Engine, error) {
	var v struct {
		Version, ApiVersion, MinAPIVersion string
		Platform                           struct{ Name string }
		Components                         []struct{ Name string }
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return Engine{}, fmt.Errorf("read Docker's version: %w", err)
	}
	if v.ApiVersion == "" {
		return Engine{}, fmt.Errorf("read Docker's version: no ApiVersion in %s", shorten(string(body), 80))
	}
	names := []string{server, v.Platform.Name}
	for _, c := range v.Components {
		names = append(names, c.Name)
	}
	return Engine{
		State: EngineRunning, Server: server, Number: v.Version, API: v.ApiVersion, MinAPI: v.MinAPIVersion,
		Embedded: strings.Contains(strings.ToLower(strings.Join(names, " ")), embeddedServer),
	}, nil
}

// Docker returns a client of the machine's engine over the SSH connection. It
// is made once and closed with the host. The API version is fixed at what the
// engine said: the library's own negotiation speaks 1.56 to engines below
// 1.40. The error id is docker-too-old below 1.18.
func (h *Host) Docker(ctx context.Context) (*client.Client, error) {
	h.mu.Lock()
	cached := h.docker
	h.mu.Unlock()
	if cached != nil {
		return cached, nil
	}
	c, err := newDocker(ctx, h.machine.Name, h.dialDocker)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.docker != nil {
		c.Close()
		return h.docker, nil
	}
	h.docker = c
	return c, nil
}

// MissingImages returns those of the images that the machine's engine lacks.
func (h *Host) MissingImages(ctx context.Context, names []string) ([]string, error) {
	docker, err := h.Docker(ctx)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, name := range names {
		_, err := docker.ImageInspect(ctx, name)
		if errdefs.IsNotFound(err) {
			missing = append(missing, name)
		} else if err != nil {
			return nil, fmt.Errorf("%s: look for image %s: %w", h.machine.Name, name, err)
		}
	}
	return missing, nil
}

// DockerTCP returns a client of the engine that listens on a machine's own
// address, without SSH: for a look that must be quick. Whoever changes anything
// goes by Docker, over the connection that is known to be the machine's.
func DockerTCP(ctx context.Context, m lab.Machine, port int) (*client.Client, error) {
	addr := net.JoinHostPort(m.IP.String(), strconv.Itoa(port))
	return newDocker(ctx, m.Name, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	})
}

// An engine that hangs takes connections and answers none. These say how long
// one may take to begin its answer: starting or stopping a container on a
// starved machine takes its time, and an engine that has just been started may
// leave the first question waiting for 16 s (see engineOpts).
const (
	answerWait  = 2 * time.Minute
	versionWait = 30 * time.Second
)

// newDocker makes a client that speaks what the engine behind dial speaks.
func newDocker(ctx context.Context, machine string, dial DialFunc) (*client.Client, error) {
	engine, err := engineAPI(ctx, machine, dial)
	if err != nil {
		return nil, err
	}
	version, err := clientVersion(engine)
	if err != nil {
		return nil, &lab.Error{ID: "docker-too-old", Op: "talk to Docker", Machine: machine, Err: err,
			Advice: "use a machine with a Docker engine of 2016 or newer (1.12), best 19.03 or newer"}
	}
	c, err := client.New(
		client.WithHTTPClient(&http.Client{
			Transport:     &http.Transport{DialContext: dial, ResponseHeaderTimeout: answerWait, MaxIdleConns: 6, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: client.CheckRedirect,
		}),
		client.WithHost("unix://"+dockerSocket), client.WithDialContext(dial), client.WithAPIVersion(version),
	)
	if err != nil {
		return nil, fmt.Errorf("%s: make Docker client: %w", machine, err)
	}
	return c, nil
}

// AwaitDocker waits until the engine's socket answers.
func (h *Host) AwaitDocker(ctx context.Context, wait time.Duration) (Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var engine Engine
	err := lab.Until(ctx, 50*time.Millisecond, "Docker's socket on "+h.machine.Name, remembering(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		var err error
		engine, err = h.EngineVersion(ctx)
		return err
	}))
	return engine, err
}

// clientVersion is the API version to speak with an engine.
func clientVersion(e Engine) (string, error) {
	switch {
	case VersionLess(e.API, oldestAPI):
		return "", fmt.Errorf("engine %s speaks API %s, at least %s is needed", e.Number, e.API, oldestAPI)
	case e.MinAPI != "" && VersionLess(client.MaxAPIVersion, e.MinAPI):
		return "", fmt.Errorf("engine %s wants API %s or newer, this lab speaks %s", e.Number, e.MinAPI, client.MaxAPIVersion)
	case VersionLess(client.MaxAPIVersion, e.API):
		return client.MaxAPIVersion, nil
	}
	return e.API, nil
}

// VersionLess compares dotted numbers; text after a number (20.10.24+dfsg1)
// does not count.
func VersionLess(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if x, y := versionPart(as, i), versionPart(bs, i); x != y {
			return x < y
		}
	}
	return false
}

func versionPart(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	end := 0
	for end < len(parts[i]) && parts[i][end] >= '0' && parts[i][end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(parts[i][:end])
	return n
}
