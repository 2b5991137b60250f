package stack

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// world is a platform in memory: engines whose containers bring up doubles of
// the four programs, some time after they were started.
type world struct {
	t        *testing.T
	platform Platform
	network  *labtest.Network
	engines  map[string]*engine
	delay    time.Duration // from a container's start to its program's answer
	marathon *marathonDouble

	mu     sync.Mutex
	log    []string             // what happened, in order
	slaves map[string]time.Time // by address: since when they are registered
	close  []func() error
}

func newWorld(t *testing.T, p Platform) *world {
	w := &world{t: t, platform: p, network: labtest.NewNetwork(), engines: map[string]*engine{}, slaves: map[string]time.Time{},
		delay: 300 * time.Millisecond, marathon: &marathonDouble{frameworkID: "f-1", apps: map[string]map[string]any{}}}
	for _, n := range p.Nodes {
		w.engines[n.Name] = &engine{world: w, node: n.Name, images: map[string]bool{}}
	}
	t.Cleanup(w.stop)
	return w
}

func (w *world) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.close {
		c()
	}
	w.close = nil
}

func (w *world) machines() map[string]Machine {
	out := map[string]Machine{}
	for name, e := range w.engines {
		out[name] = Machine{Docker: e, Shell: e}
	}
	return out
}

func (w *world) clients() Clients {
	return w.platform.Clients(w.network.Host("10.255.255.254").Dial)
}

func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// run starts a container's program.
func (w *world) run(name, node string) {
	time.AfterFunc(w.delay, func() {
		ip := w.platform.Master().IP.String()
		ports := w.platform.Spec.Ports
		switch {
		case name == nameZooKeeper:
			w.listen(ip, ports.ZooKeeper, w.zookeeper)
		case name == nameMaster:
			w.serve(ip, ports.Mesos, w.mesos())
		case name == nameMarathon:
			w.serve(ip, ports.Marathon, w.marathon)
		case name == nameMarathonLB:
			w.serve(ip, ports.LBStats, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/haproxy" {
					fmt.Fprint(rw, "# pxname,svname,stot,status\nnginx_10000,FRONTEND,9,OPEN\nnginx_10000,127_168_59_2_31001,5,UP\n")
				} else if spoilt := w.marathon.spoiltNow(); r.URL.Path == "/_lab_spoilt" && spoilt != "" {
					fmt.Fprint(rw, spoilt)
				} else if r.URL.Path == "/_lab_spoilt" {
					http.NotFound(rw, r) // as a real one
				}
			}))
		case strings.HasPrefix(name, nameSlave):
			for _, n := range w.platform.Nodes {
				if n.Name == node {
					w.mu.Lock()
					w.slaves[n.IP.String()] = time.Now()
					w.mu.Unlock()
				}
			}
		}
		w.say("%s up", name)
	})
}

func (w *world) listen(ip string, port int, handle func(net.Conn)) {
	l, err := w.network.Host(ip).Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return // runs already
	}
	w.mu.Lock()
	w.close = append(w.close, l.Close)
	w.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
}

func (w *world) serve(ip string, port int, h http.Handler) {
	l, err := w.network.Host(ip).Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return
	}
	s := &http.Server{Handler: h}
	w.mu.Lock()
	w.close = append(w.close, s.Close)
	w.mu.Unlock()
	go s.Serve(l)
}

func (w *world) zookeeper(c net.Conn) {
	defer c.Close()
	word := make([]byte, 4)
	if _, err := io.ReadFull(bufio.NewReader(c), word); err != nil {
		return
	}
	answer := "imok"
	if string(word) == "srvr" {
		answer = "Zookeeper version: 3.4.8--1, built on 02/06/2016 03:18 GMT\nConnections: 4\nZxid: 0x1a\nMode: standalone\nNode count: 12\n"
	}
	io.WriteString(c, answer)
}

func (w *world) mesos() http.Handler {
	pid := fmt.Sprintf("master@%s:%d", w.platform.Master().IP, w.platform.Spec.Ports.Mesos)
	elected := time.Now().Add(w.delay)
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		state := MesosState{PID: pid, Version: "0.26.0", Leader: pid, ElectedTime: 1467811127.5}
		if time.Now().Before(elected) {
			state.Leader = ""
		}
		w.mu.Lock()
		for ip, since := range w.slaves {
			state.Slaves = append(state.Slaves, Slave{ID: "S-" + ip, PID: "slave(1)@" + ip + ":5051", Hostname: ip, Active: true, RegisteredTime: float64(since.Unix())})
			state.ActivatedSlaves++
		}
		w.mu.Unlock()
		json.NewEncoder(rw).Encode(state)
	})
}

// engine is a Docker engine in memory.
type engine struct {
	world *world
	node  string

	mu         sync.Mutex
	images     map[string]bool // lab/… are always there
	containers []*fakeContainer
	next       int
	exits      string // name of a container that exits at once, always
	commands   []string
	latest     string // what a command prints
	silent     bool
}

type fakeContainer struct {
	id, name string
	options  client.ContainerCreateOptions
	state    container.ContainerState
	restarts int
	shows    string // in place of the image's name
}

func (e *engine) find(id string) (*fakeContainer, error) {
	for _, c := range e.containers {
		if c.id == id || c.name == id {
			return c, nil
		}
	}
	return nil, errdefs.ErrNotFound.WithMessage("no such container: " + id)
}

func (e *engine) lock(ctx context.Context) func() {
	if e.silent {
		<-ctx.Done()
	}
	e.mu.Lock()
	return e.mu.Unlock
}

func (e *engine) ContainerList(ctx context.Context, o client.ContainerListOptions) (client.ContainerListResult, error) {
	defer e.lock(ctx)()
	if err := ctx.Err(); err != nil {
		return client.ContainerListResult{}, err
	}
	var out client.ContainerListResult
	for _, c := range e.containers {
		if o.All || c.state == container.StateRunning {
			out.Items = append(out.Items, container.Summary{ID: c.id, Names: []string{"/" + c.name}, Image: cmp.Or(c.shows, c.options.Config.Image), Labels: c.options.Config.Labels, State: c.state})
		}
	}
	return out, nil
}

func (e *engine) ContainerInspect(ctx context.Context, id string, _ client.ContainerInspectOptions) (client.ContainerInspectResult, error) {
	defer e.lock(ctx)()
	c, err := e.find(id)
	if err != nil {
		return client.ContainerInspectResult{}, err
	}
	if c.name == e.exits {
		c.restarts += 2 // since the last look
	}
	return client.ContainerInspectResult{Container: container.InspectResponse{ID: c.id, RestartCount: c.restarts, State: &container.State{Status: c.state, ExitCode: 1}}}, nil
}

func (e *engine) ContainerCreate(ctx context.Context, o client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	defer e.lock(ctx)()
	if _, err := e.find(o.Name); err == nil {
		return client.ContainerCreateResult{}, errdefs.ErrConflict.WithMessage("name in use: " + o.Name)
	}
	if !strings.HasPrefix(o.Config.Image, "lab/") && !e.images[o.Config.Image] {
		return client.ContainerCreateResult{}, errdefs.ErrNotFound.WithMessage("no such image: " + o.Config.Image)
	}
	e.next++
	id := fmt.Sprintf("%s-%d", e.node, e.next)
	e.containers = append(e.containers, &fakeContainer{id: id, name: o.Name, options: o, state: container.StateCreated})
	e.world.say("create %s", o.Name)
	return client.ContainerCreateResult{ID: id}, nil
}

func (e *engine) ContainerStart(ctx context.Context, id string, _ client.ContainerStartOptions) (client.ContainerStartResult, error) {
	defer e.lock(ctx)()
	c, err := e.find(id)
	if err != nil {
		return client.ContainerStartResult{}, err
	}
	e.world.say("start %s", c.name)
	c.state = container.StateRunning
	if c.name == e.exits {
		c.state = container.StateRestarting
	} else {
		e.world.run(c.name, e.node)
	}
	return client.ContainerStartResult{}, nil
}

func (e *engine) ContainerUnpause(ctx context.Context, id string, _ client.ContainerUnpauseOptions) (client.ContainerUnpauseResult, error) {
	defer e.lock(ctx)()
	c, err := e.find(id)
	if err == nil {
		c.state = container.StateRunning
		e.world.say("unpause %s", c.name)
	}
	return client.ContainerUnpauseResult{}, err
}

func (e *engine) ContainerStop(ctx context.Context, id string, _ client.ContainerStopOptions) (client.ContainerStopResult, error) {
	defer e.lock(ctx)()
	c, err := e.find(id)
	if err == nil {
		c.state = container.StateExited
		e.world.say("stop %s", c.name)
	}
	return client.ContainerStopResult{}, err
}

func (e *engine) ContainerRemove(ctx context.Context, id string, _ client.ContainerRemoveOptions) (client.ContainerRemoveResult, error) {
	defer e.lock(ctx)()
	c, err := e.find(id)
	if err == nil {
		e.world.say("remove %s", c.name)
		e.containers = slices.DeleteFunc(e.containers, func(o *fakeContainer) bool { return o == c })
	}
	return client.ContainerRemoveResult{}, err
}

func (e *engine) Run(_ context.Context, cmd string, _ io.Reader) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.commands = append(e.commands, cmd)
	return []byte(e.latest), nil
}

var _ Docker = (*client.Client)(nil)
