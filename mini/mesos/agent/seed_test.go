package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos"
	"github.com/mesoslab/lab/mini/mesos/agent"
	"github.com/mesoslab/lab/mini/zookeeper"
)

// seed is the seed's platform up to Mesos: ZooKeeper and a master on node1, an
// agent on node2, each started with the words of the seed's scripts. Docker is
// the engine of embedded machines.
type seed struct {
	t   *testing.T
	net *labtest.Network
}

const node1, node2 = "192.168.59.1", "192.168.59.2"

// run starts a program on a machine and returns a function that ends it.
func (s *seed) run(p mini.Program, ip, root string, dial func(context.Context, string, string) (net.Conn, error), environ []string, words ...string) (stop func()) {
	h := s.net.Host(ip)
	if dial == nil {
		dial = h.Dial
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if code := p(ctx, mini.Env{Args: words, Environ: environ, Root: root, Hostname: "host-" + ip,
			Listen: h.Listen, Dial: dial, Stdout: s.t.Output(), Stderr: s.t.Output()}); code != 0 {
			s.t.Errorf("%q ended with %d", words, code)
		}
	}()
	stop = func() { cancel(); <-over }
	s.t.Cleanup(stop)
	return stop
}

// docker serves an engine on the machine and returns how to dial its socket.
func (s *seed) docker(ip, root string) func(context.Context, string, string) (net.Conn, error) {
	h := s.net.Host(ip)
	e, err := engine.New(s.t.Context(), engine.Config{
		Dir: filepath.Join(root, "var/lib/docker"), MachineRoot: root, Hostname: "node2", IP: ip, CPUs: 1, MemoryMiB: 1024,
		Catalogue: []engine.Image{{Name: "nginx", Cmd: []string{"nginx"}}},
		Start:     func(context.Context, engine.Command) (engine.Process, error) { return still{make(chan int, 1)}, nil },
		Exec:      func(context.Context, engine.ExecCommand) (int, error) { return 0, nil },
		Listen:    h.Listen,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := h.Listen(s.t.Context(), "tcp", ":2375")
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{Handler: e.Handler()}
	go server.Serve(l)
	s.t.Cleanup(func() {
		server.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no patience
		e.Close(ctx)
	})
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if network == "unix" {
			if address != "/var/run/docker.sock" {
				return nil, os.ErrNotExist
			}
			return h.Dial(ctx, "tcp", ip+":2375")
		}
		return h.Dial(ctx, network, address)
	}
}

// still is a process that does nothing until it is signalled.
type still struct{ end chan int }

func (p still) Pid() int       { return 0 }
func (p still) Pause() error   { return nil }
func (p still) Unpause() error { return nil }

func (p still) Wait(ctx context.Context) (int, error) {
	select {
	case code := <-p.end:
		return code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (p still) Signal(s syscall.Signal) error {
	select {
	case p.end <- 128 + int(s):
		return nil
	default:
		return os.ErrProcessDone
	}
}

func (s *seed) get(url string, into any) error {
	h := s.net.Host("192.168.59.254")
	tr := &http.Transport{DialContext: h.Dial, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	return err
}

// eventually waits for a condition, in the bubble's time.
func (s *seed) eventually(what string, f func() error) {
	s.t.Helper()
	var err error
	for range 600 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("%s: %v", what, err)
}

func (s *seed) activated(want float64) {
	s.t.Helper()
	s.eventually("activated slaves", func() error {
		var st struct {
			Activated float64 `json:"activated_slaves"`
			Slaves    []struct{ Hostname string }
		}
		if err := s.get("http://"+node1+":5050/state.json", &st); err != nil {
			return err
		}
		if st.Activated != want || (want > 0 && st.Slaves[0].Hostname != node2) {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
}

// The agent finds its master through ZooKeeper, comes back under its id after
// a restart, and follows a restarted master.
func TestSeedPlatform(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &seed{t: t, net: labtest.NewNetwork()}
		root := t.TempDir()
		dial := s.docker(node2, root)
		startSlave := func() func() {
			return s.run(agent.Run, node2, root, dial, []string{"MASTER_IP=" + node1, "LOCAL_IP=" + node2,
				"LAB_MACHINE_CPUS=1", "LAB_MACHINE_MEMORY_MIB=1024", "LAB_MACHINE_DISK_MIB=10240"}, "start-mesos-slave.sh")
		}
		startMaster := func() func() {
			return s.run(mesos.Run, node1, t.TempDir(), nil, []string{"LOCAL_IP=" + node1, "MESOS_SLAVE_PING_TIMEOUT=2secs",
				"MESOS_MAX_SLAVE_PING_TIMEOUTS=3"}, "start-mesos-master.sh")
		}
		// As in the seed, nobody waits for anybody.
		stop := startSlave()
		stopMaster := startMaster()
		s.run(zookeeper.Run, node1, t.TempDir(), nil, nil, "start-foreground")
		s.activated(1)
		id := func() (out string) {
			var st struct {
				ID, Hostname string
				Resources    map[string]any
			}
			s.eventually("agent's state", func() error { return s.get("http://"+node2+":5051/state.json", &st) })
			if st.Hostname != node2 || st.Resources["cpus"] != 1.0 || st.Resources["mem"] != 512.0 || st.Resources["disk"] != 5120.0 {
				t.Errorf("agent %+v", st)
			}
			return st.ID
		}
		before := id()
		stop()
		s.activated(0)
		startSlave()
		s.activated(1)
		if after := id(); after != before || after == "" {
			t.Errorf("its id was %s and is %s", before, after)
		}
		stopMaster()
		startMaster()
		s.activated(1)
		if after := id(); after != before {
			t.Errorf("its id was %s and is %s below the new master", before, after)
		}
	})
}
