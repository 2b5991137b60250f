package mesos

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper"
)

// machine runs programs of one host of an in-memory network.
type machine struct {
	t    *testing.T
	ip   string
	host *labtest.Host
	root string
}

func newMachine(t *testing.T, n *labtest.Network, ip string) *machine {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &machine{t: t, ip: ip, host: n.Host(ip), root: root}
}

// start runs a program until stop, which returns its exit code; done is
// closed when it ended by itself.
func (m *machine) start(p mini.Program, environ []string, args ...string) (stop func() int, done <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	code := -1
	name := m.ip
	if len(args) > 0 {
		name += " " + args[0]
	}
	log := &lines{t: m.t, name: name}
	go func() {
		defer close(ended)
		code = p(ctx, mini.Env{Args: args, Environ: environ, Root: m.root, Hostname: "host-" + m.ip,
			Listen: m.host.Listen, Dial: m.dial, Stdout: log, Stderr: log})
	}()
	m.t.Cleanup(func() { cancel(); <-ended })
	return func() int { cancel(); <-ended; return code }, ended
}

// dial reaches the machine's Docker engine, too: in memory, unix sockets are
// port 2375.
func (m *machine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		network, address = "tcp", m.ip+":2375"
	}
	return m.host.Dial(ctx, network, address)
}

// engine is a Docker engine that says which it is and has no containers.
func (m *machine) engine() {
	l, err := m.host.Listen(context.Background(), "tcp", ":2375")
	if err != nil {
		m.t.Fatal(err)
	}
	s := mini.Env{Environ: []string{"LAB_GUARD_NAMES=docker,api.moby.localhost"}}.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Api-Version", "1.44")
		switch {
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			io.WriteString(w, "[]")
		case strings.HasSuffix(r.URL.Path, "/version"):
			io.WriteString(w, `{"Platform":{"Name":"none"},"Version":"1","ApiVersion":"1.44","MinAPIVersion":"1.24"}`)
		case strings.HasSuffix(r.URL.Path, "/_ping"):
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	go s.Serve(l)
	m.t.Cleanup(func() { s.Close() })
}

type lines struct {
	t    *testing.T
	name string
	mu   sync.Mutex
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("%s: %s", l.name, bytes.TrimSpace(p))
	return len(p), nil
}

// activated asks a master how many agents are active; -1 if it does not say.
func activated(m *machine, addr string) float64 {
	c := mini.Env{Dial: m.host.Dial}.HTTPClient()
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://" + addr + "/state.json")
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	s := struct {
		Activated *float64 `json:"activated_slaves"`
	}{}
	if err != nil || json.Unmarshal(b, &s) != nil || s.Activated == nil {
		return -1
	}
	return *s.Activated
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}

// TestSeed starts what the seed's script starts, in its order and without
// waiting in between: ZooKeeper, the master, two slaves.
func TestSeed(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		node1, node2, node3 := newMachine(t, n, "10.0.0.1"), newMachine(t, n, "10.0.0.2"), newMachine(t, n, "10.0.0.3")
		node1.start(zookeeper.Run, nil)
		stopMaster, _ := node1.start(Run, []string{"LOCAL_IP=10.0.0.1", "MESOS_SLAVE_PING_TIMEOUT=2secs", "MESOS_MAX_SLAVE_PING_TIMEOUTS=3"}, "start-mesos-master.sh")
		for _, m := range []*machine{node2, node3} {
			m.engine()
			m.start(Run, []string{"MASTER_IP=10.0.0.1", "LOCAL_IP=" + m.ip, "MESOS_RESOURCES=cpus:2;mem:1024;disk:1000"}, "start-mesos-slave.sh")
		}
		await(t, "two activated slaves", func() bool { return activated(node1, "10.0.0.1:5050") == 2 })

		stopMaster()
		node1.start(Run, []string{"LOCAL_IP=10.0.0.1"}, "start-mesos-master.sh")
		await(t, "both back at a restarted master", func() bool { return activated(node1, "10.0.0.1:5050") == 2 })
	})
}

// TestZooKeeperGone: the leading master ends with code 1 about one session
// time-out after ZooKeeper died (measured: 10.05 to 10.19 s).
func TestZooKeeperGone(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		node1 := newMachine(t, n, "10.0.0.1")
		stopZK, _ := node1.start(zookeeper.Run, nil)
		stop, done := node1.start(Run, []string{"LOCAL_IP=10.0.0.1"}, "start-mesos-master.sh")
		await(t, "a leading master", func() bool { return activated(node1, "10.0.0.1:5050") == 0 })
		stopZK()
		gone := time.Now()
		<-done
		if d := time.Since(gone); d < 9*time.Second || d > 12*time.Second {
			t.Errorf("the master ended after %v", d)
		}
		if code := stop(); code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
	})
}

// TestFailover: the second master leads when the first one's session is over.
func TestFailover(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		zk, one, two, slave := newMachine(t, n, "10.0.0.9"), newMachine(t, n, "10.0.0.1"), newMachine(t, n, "10.0.0.4"), newMachine(t, n, "10.0.0.2")
		zk.start(zookeeper.Run, nil)
		flags := []string{"mesos-master", "--zk=zk://10.0.0.9:2181/mesos", "--quorum=1", "--work_dir=/var/lib/mesos", "--hostname_lookup=false"}
		one.start(Run, nil, append(flags, "--ip=10.0.0.1")...)
		await(t, "the first to lead", func() bool { return activated(zk, "10.0.0.1:5050") == 0 })
		two.start(Run, nil, append(flags, "--ip=10.0.0.4")...)
		slave.engine()
		slave.start(Run, nil, "mesos-agent", "--master=zk://10.0.0.9:2181/mesos", "--ip=10.0.0.2", "--work_dir=/tmp/mesos",
			"--resources=cpus:2;mem:1024;disk:1000", "--hostname_lookup=false")
		await(t, "the slave at the first", func() bool { return activated(zk, "10.0.0.1:5050") == 1 })
		if got := activated(zk, "10.0.0.4:5050"); got != -1 {
			t.Errorf("the second master answers with a state: %v", got)
		}
		n.Cut("10.0.0.1")
		cut := time.Now()
		await(t, "the slave at the second", func() bool { return activated(zk, "10.0.0.4:5050") == 1 })
		if d := time.Since(cut); d < 8*time.Second || d > 25*time.Second {
			t.Errorf("failed over after %v", d)
		}
		n.Mend("10.0.0.1")
	})
}

func TestDispatch(t *testing.T) {
	for _, c := range []struct {
		args, environ []string
		code          int
		says          string
	}{
		{nil, nil, 127, "which program"},
		{[]string{"mesos-execute"}, nil, 127, "mesos-execute: no such program"},
		{[]string{"start-mesos-master.sh"}, nil, 1, "LOCAL_IP is not set"},
		{[]string{"/usr/sbin/mesos-master", "--version"}, nil, 0, "mesos 1.3.2"},
		{[]string{"mesos-master", "--frobnicate"}, nil, 1, "Failed to load unknown flag 'frobnicate'"},
		{[]string{"start-mesos-master.sh", "--slave_ping_timeout=2s"}, []string{"LOCAL_IP=10.0.0.1"}, 1, "Unknown duration unit 's'"},
	} {
		var out bytes.Buffer
		code := Run(t.Context(), mini.Env{Args: c.args, Environ: c.environ, Root: t.TempDir(), Stdout: &out, Stderr: &out})
		if code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("%q: %d %s; want %d …%s…", c.args, code, out.String(), c.code, c.says)
		}
	}
}

func TestStartMaster(t *testing.T) {
	env := mini.Env{Environ: []string{"LOCAL_IP=192.168.59.1", "LAB_ZK_PORT=12181"}}
	args, err := startMaster(env)
	want := "--ip=192.168.59.1 --zk=zk://192.168.59.1:12181/mesos --quorum=1 --work_dir=/var/lib/mesos --log_dir=/log/mesos --hostname_lookup=false"
	if got := strings.Join(args, " "); err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
