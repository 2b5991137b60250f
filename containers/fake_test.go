package containers

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
)

// fakeEngine is a Docker engine's twin whose machines are hosts of an
// in-memory network. A frozen machine that is still plugged in goes on
// greeting, so that a provider that forgets to unplug it is found out.
type fakeEngine struct {
	net *labtest.Network
	// fail, if set, is asked before each change and may refuse it.
	fail func(call string) error
	// hangs, if set, is asked before each change and each ping, and may make
	// the engine leave it unanswered.
	hangs              func(call string) bool
	noRights           bool // no container gets the rights of a machine
	api, system        string
	security           []string
	root, cgroup, arch string
	noForward          bool
	unreachable        error

	mu         sync.Mutex
	calls      []string // changes, in their order
	images     map[string]map[string]string
	networks   map[string]*fakeNetwork
	containers map[string]*fakeContainer
	volumes    map[string]map[string]string
	serial     int
}

type fakeNetwork struct {
	id     string
	subnet netip.Prefix
	labels map[string]string
}

type fakeContainer struct {
	id      string
	o       client.ContainerCreateOptions
	state   container.ContainerState
	code    int
	started time.Time
	ended   time.Time
	pid     int
	plugged bool
	address netip.Addr
	residue bool // connections of a life that ended unplugged
	key     []byte
	hostKey []byte
	close   func()
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{
		net: labtest.NewNetwork(), api: "1.41", images: map[string]map[string]string{}, networks: map[string]*fakeNetwork{},
		containers: map[string]*fakeContainer{}, volumes: map[string]map[string]string{},
	}
}

// act notes a change and lets the test refuse it. It locks the engine.
func (e *fakeEngine) act(ctx context.Context, format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	if e.hangs != nil && e.hangs(call) {
		<-ctx.Done()
	}
	e.mu.Lock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.calls = append(e.calls, call)
	if e.fail != nil {
		return e.fail(call)
	}
	return nil
}

func (e *fakeEngine) Ping(ctx context.Context, _ client.PingOptions) (client.PingResult, error) {
	if e.hangs != nil && e.hangs("ping") {
		<-ctx.Done()
		return client.PingResult{}, ctx.Err()
	}
	return client.PingResult{APIVersion: e.api}, e.unreachable
}

func (e *fakeEngine) Info(context.Context, client.InfoOptions) (r client.SystemInfoResult, err error) {
	r.Info.NCPU, r.Info.CPUCfsQuota, r.Info.OSType = 4, true, "linux"
	r.Info.OperatingSystem, r.Info.SecurityOptions = e.system, e.security
	r.Info.ServerVersion, r.Info.DockerRootDir, r.Info.CgroupVersion, r.Info.Architecture = "20.10.24+dfsg1", e.root, e.cgroup, e.arch
	r.Info.IPv4Forwarding = !e.noForward
	return r, nil
}

func (e *fakeEngine) ImageInspect(_ context.Context, ref string, _ ...client.ImageInspectOption) (r client.ImageInspectResult, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	labels, ok := e.images[ref]
	if !ok {
		return r, fmt.Errorf("image %s: %w", ref, errdefs.ErrNotFound)
	}
	text, err := json.Marshal(map[string]any{"Id": ref, "Config": map[string]any{"Labels": labels}})
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r.InspectResponse)
}

func (e *fakeEngine) ImageImport(ctx context.Context, src client.ImageImportSource, ref string, o client.ImageImportOptions) (client.ImageImportResult, error) {
	if _, err := io.Copy(io.Discard, src.Source); err != nil {
		return nil, fmt.Errorf("the request's body broke off: %w", err)
	}
	err := e.act(ctx, "import %q", ref)
	defer e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	labels := map[string]string{}
	for _, change := range o.Changes {
		if text, ok := strings.CutPrefix(change, "LABEL "); ok {
			key, value, _ := strings.Cut(text, "=")
			labels[key] = value
		}
	}
	e.images["sha256:fake"] = labels
	return io.NopCloser(strings.NewReader(`{"status":"sha256:fake"}` + "\n")), nil
}

func (e *fakeEngine) ImageBuild(ctx context.Context, build io.Reader, o client.ImageBuildOptions) (r client.ImageBuildResult, err error) {
	files := tar.NewReader(build)
	var names []string
	for {
		h, err := files.Next()
		if err != nil {
			break
		}
		names = append(names, h.Name)
	}
	slices.Sort(names)
	err = e.act(ctx, "build %s", strings.Join(names, " "))
	defer e.mu.Unlock()
	text := `{"stream":"Step 1/3 : FROM debian\n"}` + "\n"
	if err != nil {
		text += `{"errorDetail":{"message":"no route"},"error":"no route"}` + "\n"
	} else {
		e.images[o.Tags[0]] = o.Labels
	}
	return client.ImageBuildResult{Body: io.NopCloser(strings.NewReader(text))}, nil
}

func (e *fakeEngine) ImageTag(ctx context.Context, o client.ImageTagOptions) (r client.ImageTagResult, err error) {
	err = e.act(ctx, "tag")
	defer e.mu.Unlock()
	if err == nil {
		e.images[o.Target] = e.images[o.Source]
	}
	return r, err
}

func (e *fakeEngine) NetworkList(_ context.Context, o client.NetworkListOptions) (r client.NetworkListResult, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, n := range e.networks {
		if matches(n.labels, o.Filters) {
			r.Items = append(r.Items, network.Summary{Network: network.Network{Name: name, ID: n.id, Labels: n.labels,
				IPAM: network.IPAM{Config: []network.IPAMConfig{{Subnet: n.subnet}}}}})
		}
	}
	return r, nil
}

func matches(labels map[string]string, f client.Filters) bool {
	for want := range f["label"] {
		key, value, _ := strings.Cut(want, "=")
		if labels[key] != value {
			return false
		}
	}
	return true
}

func (e *fakeEngine) NetworkCreate(ctx context.Context, name string, o client.NetworkCreateOptions) (r client.NetworkCreateResult, err error) {
	err = e.act(ctx, "network-create %s", name)
	defer e.mu.Unlock()
	if err != nil {
		return r, err
	}
	if e.networks[name] != nil {
		return r, errdefs.ErrConflict
	}
	for _, n := range e.networks {
		if n.subnet.Overlaps(o.IPAM.Config[0].Subnet) {
			return r, errors.New("Pool overlaps with other one on this address space")
		}
	}
	e.serial++
	e.networks[name] = &fakeNetwork{id: fmt.Sprint("net", e.serial), subnet: o.IPAM.Config[0].Subnet, labels: o.Labels}
	return r, nil
}

func (e *fakeEngine) NetworkRemove(ctx context.Context, id string, _ client.NetworkRemoveOptions) (r client.NetworkRemoveResult, err error) {
	err = e.act(ctx, "network-remove %s", id)
	defer e.mu.Unlock()
	if err != nil {
		return r, err
	}
	maps.DeleteFunc(e.networks, func(_ string, n *fakeNetwork) bool { return n.id == id })
	return r, nil
}

func (e *fakeEngine) NetworkConnect(ctx context.Context, name string, o client.NetworkConnectOptions) (r client.NetworkConnectResult, err error) {
	card := e.find(o.Container)
	err = e.act(ctx, "connect %s", card.o.Name)
	defer e.mu.Unlock()
	if err == nil {
		e.plug(card, o.EndpointConfig.IPAMConfig.IPv4Address)
	}
	return r, err
}

// plug lets the host be heard, ends of an unheard life first.
func (e *fakeEngine) plug(card *fakeContainer, a netip.Addr) {
	card.plugged, card.address = true, a
	if card.residue {
		e.net.Crash(a.String())
		card.residue = false
	}
	e.net.Mend(a.String())
}

func (e *fakeEngine) NetworkDisconnect(ctx context.Context, name string, o client.NetworkDisconnectOptions) (r client.NetworkDisconnectResult, err error) {
	card := e.find(o.Container)
	err = e.act(ctx, "disconnect %s", card.o.Name)
	defer e.mu.Unlock()
	if err == nil {
		card.plugged = false
		e.net.Cut(card.address.String())
	}
	return r, err
}

func (e *fakeEngine) VolumeCreate(ctx context.Context, o client.VolumeCreateOptions) (r client.VolumeCreateResult, err error) {
	err = e.act(ctx, "volume-create %s", o.Name)
	defer e.mu.Unlock()
	if err == nil && e.volumes[o.Name] == nil {
		e.volumes[o.Name] = o.Labels
	}
	return r, err
}

func (e *fakeEngine) VolumeList(_ context.Context, o client.VolumeListOptions) (r client.VolumeListResult, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, labels := range e.volumes {
		if matches(labels, o.Filters) {
			r.Items = append(r.Items, volume.Volume{Name: name, Labels: labels})
		}
	}
	return r, nil
}

func (e *fakeEngine) VolumeRemove(ctx context.Context, name string, _ client.VolumeRemoveOptions) (r client.VolumeRemoveResult, err error) {
	err = e.act(ctx, "volume-remove %s", name)
	defer e.mu.Unlock()
	if err == nil {
		delete(e.volumes, name)
	}
	return r, err
}

// find returns a container by id or name, or an empty one.
func (e *fakeEngine) find(id string) *fakeContainer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.lookup(id); c != nil {
		return c
	}
	return &fakeContainer{}
}

func (e *fakeEngine) lookup(id string) *fakeContainer {
	for _, c := range e.containers {
		if c.id == id || c.o.Name == id {
			return c
		}
	}
	return nil
}

func (e *fakeEngine) ContainerList(_ context.Context, o client.ContainerListOptions) (r client.ContainerListResult, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if matches(c.o.Config.Labels, o.Filters) {
			r.Items = append(r.Items, container.Summary{ID: c.id, Names: []string{"/" + c.o.Name}, Labels: c.o.Config.Labels, State: c.state})
		}
	}
	return r, nil
}

func (e *fakeEngine) ContainerInspect(_ context.Context, id string, _ client.ContainerInspectOptions) (r client.ContainerInspectResult, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.lookup(id)
	if c == nil {
		return r, fmt.Errorf("container %s: %w", id, errdefs.ErrNotFound)
	}
	alive := c.state == container.StateRunning || c.state == container.StatePaused
	r.Container = container.InspectResponse{ID: c.id, Name: "/" + c.o.Name, Config: c.o.Config, HostConfig: c.o.HostConfig,
		State: &container.State{Status: c.state, Running: alive, Paused: c.state == container.StatePaused, ExitCode: c.code, Pid: c.pid,
			StartedAt: c.started.Format(time.RFC3339Nano), FinishedAt: c.ended.Format(time.RFC3339Nano)},
		NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}},
	}
	if c.plugged {
		r.Container.NetworkSettings.Networks[string(c.o.HostConfig.NetworkMode)] = &network.EndpointSettings{IPAddress: c.address}
	}
	return r, nil
}
