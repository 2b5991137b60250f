//go:build unix

package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/local/handoff"
	"github.com/mesoslab/lab/local/machine"
	"github.com/mesoslab/lab/mini/supervise"
)

// TestMain is the lab binary, too: machines and their processes run this test
// under lab's words.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "machine" {
		os.Exit(machine.Main(context.Background(), os.Args[2:], machine.Config{Catalogue: testCatalogue(), Log: os.Stderr}))
	}
	if len(os.Args) > 2 && os.Args[1] == "mini" {
		os.Exit(mini(os.Args[2:]))
	}
	if len(os.Args) == 3 && (os.Args[1] == "hang" || os.Args[1] == "daemon") {
		os.Exit(foreign(os.Args[1], os.Args[2]))
	}
	os.Exit(m.Run())
}

func testCatalogue() []engine.Image {
	return []engine.Image{
		{Name: "lab/echo", Entrypoint: []string{"/lab", "mini"}, Cmd: []string{"echo", ":7000"}, ExposedPorts: []string{"7000/tcp"}},
		{Name: "lab/sh", Cmd: []string{"sh"}},
	}
}

// mini are the programs of this test: "echo ADDRESS…" serves an echo on each,
// "orphan" starts a process in a session of its own and waits, "ask NAME ORDER"
// has the machine carry out an order.
func mini(args []string) int {
	if args[0] == "supervise" {
		return supervise.Run(args[1:], os.Environ(), os.Stderr)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	w, err := handoff.FromEnviron(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch args[0] {
	case "echo":
		for _, address := range args[1:] {
			l, err := w.Listen(ctx, "tcp", address)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			fmt.Println("listening on", l.Addr())
			go serveEcho(l)
		}
	case "orphan":
		if err := startOrphan(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println("started")
	case "ask":
		id, err := w.Programs.Start(ctx, args[1], args[2])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("supervised by", id.PID)
	case "linger": // ignores SIGTERM, as a process that hangs
		signal.Ignore(syscall.SIGTERM)
		select {}
	}
	<-ctx.Done()
	return 0
}

func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

// lifeLine is a pipe whose writing end this process never closes: machines of
// a test that was killed die with it.
var lifeLine = sync.OnceValues(func() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	keep = w
	return r, nil
})

var keep *os.File

func newProvider(t *testing.T) *Provider {
	t.Helper()
	r, err := lifeLine()
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{DieWithFD: r})
}

// shortDir is a temporary folder with a short path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newPlan(t *testing.T, machines int) lab.Plan {
	t.Helper()
	spec := lab.Spec{Subnet: labtest.Subnet(t), Slaves: machines - 1}.WithDefaults()
	if machines == 1 {
		p := netip.MustParsePrefix(spec.Subnet)
		return lab.Plan{Dir: shortDir(t), ID: "0badcafe", Spec: spec, Nodes: []lab.Node{
			{Name: "node1", Role: lab.RoleMaster, IP: p.Addr().Next(), CPUs: 1, MemoryMiB: 1024, DiskMiB: 10240}}}
	}
	nodes, err := spec.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	return lab.Plan{Dir: shortDir(t), ID: "0badcafe", Spec: spec, Nodes: nodes}
}

// up makes a lab and destroys it with the test, which then must have left no
// process.
func up(t *testing.T, machines int) (*Provider, lab.Plan, []lab.Machine) {
	t.Helper()
	p, plan := newProvider(t), newPlan(t, machines)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		checkLogs(t, plan)
		if t.Failed() {
			showLogs(t, plan)
		}
		if err := p.Destroy(ctx, plan); err != nil {
			t.Errorf("destroy: %v", err)
		}
		if left := processesOf(plan.Dir); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}
	})
	ms, err := p.Up(t.Context(), plan)
	if err != nil {
		t.Fatalf("up: %v", err)
	}
	return p, plan, ms
}

// checkLogs fails a test whose machines saw a bug in themselves.
func checkLogs(t *testing.T, plan lab.Plan) {
	t.Helper()
	for _, n := range plan.Nodes {
		text, _ := os.ReadFile(plan.Dir + "/machines/" + n.Name + "/log")
		for _, bug := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if strings.Contains(string(text), bug) {
				t.Errorf("%s in the log of %s:\n%s", bug, n.Name, text)
			}
		}
	}
}

func showLogs(t *testing.T, plan lab.Plan) {
	for _, n := range plan.Nodes {
		for _, name := range []string{"log", "state.json", "root/var/log/docker.log"} {
			if text, err := os.ReadFile(plan.Dir + "/machines/" + n.Name + "/" + name); err == nil {
				t.Logf("%s %s:\n%s", n.Name, name, text)
			}
		}
	}
}

func TestConformance(t *testing.T) {
	labtest.TestProvider(t, func(t *testing.T) (lab.Provider, lab.Plan) {
		t.Parallel()
		plan := newPlan(t, 2)
		t.Cleanup(func() {
			if left := processesOf(plan.Dir); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
		})
		return newProvider(t), plan
	})
}

// processesOf looks for processes by what they run and where they are.
func processesOf(dir string) []string {
	var out []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		for _, link := range []string{"exe", "cwd"} {
			if to, err := os.Readlink("/proc/" + e.Name() + "/" + link); err == nil && strings.HasPrefix(to, dir+"/") {
				cmd, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
				out = append(out, e.Name()+" "+strings.ReplaceAll(string(cmd), "\x00", " "))
				break
			}
		}
	}
	return out
}
