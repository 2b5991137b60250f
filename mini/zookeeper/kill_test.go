package zookeeper

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/mesoslab/lab/mini"
)

// childEnv makes the test binary a server over the folder it names.
const childEnv = "LAB_TEST_ZOOKEEPER_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(childEnv); root != "" {
		os.Exit(child(root))
	}
	os.Exit(m.Run())
}

// child serves until its standard input ends, so it never outlives a test. Its
// first line is its address.
func child(root string) int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return Run(ctx, mini.Env{
		Args: []string{"/conf/zoo.cfg"}, Root: root, Stdout: io.Discard, Stderr: os.Stderr,
		Listen: func(ctx context.Context, network, addr string) (net.Listener, error) {
			ln, err := loopback(ctx, network, addr)
			if err == nil {
				fmt.Println(ln.Addr())
			}
			return ln, err
		},
	})
}

// spawn starts a server as a process of its own, to be killed.
func spawn(t *testing.T, root string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+root)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			cmd.Process.Kill()
			cmd.Wait()
			stdin.Close()
		})
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), kill
}

// What was acknowledged before SIGKILL is there afterwards, in the midst of
// writes and snapshots.
func TestSIGKILLAmidWrites(t *testing.T) {
	root := t.TempDir()
	zooCfg(t, root, "snapCount=50\n")
	known := make(map[string]int64) // path to czxid
	var owner int64
	for round := range 4 {
		addr, kill := spawn(t, root)
		c := dial(t, addr, 30*time.Second, nil)
		if round == 0 {
			c.create(t, "/q", 0)
			c.create(t, "/eph", zk.FlagEphemeral)
			owner = c.SessionID()
		}
		if _, st, err := c.Get("/eph"); err != nil || st.EphemeralOwner != owner {
			t.Fatalf("round %d: ephemeral: %+v, %v", round, st, err)
		}
		for p, czxid := range known {
			if ok, st, err := c.Exists(p); err != nil || !ok || st.Czxid != czxid {
				t.Fatalf("round %d: %s: %v, %+v, %v", round, p, ok, st, err)
			}
		}
		acknowledged := writeUntilKilled(t, addr, 200+37*round, kill)
		// Their numbers are looked up from what the dead one left.
		after := start(t, root, loopback, "/conf/zoo.cfg")
		c2 := dial(t, after.addr, 30*time.Second, nil)
		for _, p := range acknowledged {
			ok, st, err := c2.Exists(p)
			if err != nil || !ok {
				t.Fatalf("round %d: %s was acknowledged and is lost: %v", round, p, err)
			}
			if _, twice := known[p]; twice {
				t.Fatalf("round %d: %s was given twice", round, p)
			}
			known[p] = st.Czxid
		}
		c2.Close()
		after.end()
	}
}

// writeUntilKilled lets several clients create nodes, kills the server after n
// of them, and returns the paths of all that were acknowledged.
func writeUntilKilled(t *testing.T, addr string, n int, kill func()) []string {
	t.Helper()
	paths := make(chan string, 10_000)
	var writers sync.WaitGroup
	for range 4 {
		w := dial(t, addr, 30*time.Second, nil)
		writers.Go(func() {
			for {
				p, err := w.Create("/q/n-", []byte("data"), zk.FlagSequence, zk.WorldACL(zk.PermAll))
				if err != nil {
					return
				}
				paths <- p
			}
		})
	}
	var acknowledged []string
	for range n {
		acknowledged = append(acknowledged, <-paths)
	}
	kill()
	writers.Wait()
	close(paths)
	for p := range paths {
		acknowledged = append(acknowledged, p)
	}
	return acknowledged
}
