//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/silence"
	"github.com/mesoslab/lab/mini/supervise"
)

// tree is a shell with children of every kind that ignore SIGTERM.
type tree struct {
	t      *testing.T
	dir    string
	name   string
	result string
}

// grow has a machine run one, through a container that asks for it.
func grow(t *testing.T, d docker, name string, grace time.Duration) tree {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	o := supervise.Order{
		Path: "sh", Argv: []string{"sh", "-c", `"$0" daemon daemon; "$0" hang child & (exec "$0" hang grandchild) & wait; wait`, self},
		Environ: []string{"PATH=/usr/bin:/bin"}, Dir: dir, Grace: grace,
		Stdout: file("stdout"), Stderr: file("stderr"), Claim: file("claim"), Result: file("result"),
	}
	if err := o.Write(file("order")); err != nil {
		t.Fatal(err)
	}
	d.run(name, "lab/echo", []string{"ask", name, file("order")}, nil)
	return tree{t, dir, name, o.Result}
}

// processes waits until all of the tree runs: the supervisor comes first.
func (tr tree) processes() []proctab.ID {
	tr.t.Helper()
	ctx, cancel := context.WithTimeout(tr.t.Context(), time.Minute)
	defer cancel()
	var out []proctab.ID
	err := lab.Until(ctx, 5*time.Millisecond, "the tree to grow", func(context.Context) error {
		id, err := supervise.Claimed(filepath.Join(tr.dir, "claim"))
		if err != nil {
			return err
		}
		out = []proctab.ID{id}
		for _, name := range []string{"daemon", "child", "grandchild"} {
			text, err := os.ReadFile(filepath.Join(tr.dir, name))
			if err != nil {
				return err
			}
			pid, err := strconv.Atoi(string(text))
			if err != nil {
				return err
			}
			id, err := proctab.Of(pid)
			if err != nil {
				return err
			}
			out = append(out, id)
		}
		return nil
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	return out
}

func await(t *testing.T, ids []proctab.ID, want proctab.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := proctab.Await(ctx, ids, want); err != nil {
		t.Errorf("want all %s: %v", want, err)
	}
}

// allowRoot lets the machines run commands where this test is root.
func allowRoot(t *testing.T, p *Provider, plan lab.Plan) lab.Plan {
	t.Helper()
	plan.Spec.Local.AllowRootCmd = true
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestNoForeignProcessSurvives ends supervisor, machine and power in every
// way. Nothing of the tree may live on, marked or not.
func TestNoForeignProcessSurvives(t *testing.T) {
	p, plan, ms := up(t, 1)
	plan = allowRoot(t, p, plan)
	power := func(w lab.Power) func([]proctab.ID) error {
		return func([]proctab.ID) error { return p.Power(t.Context(), plan, []string{"node1"}, w) }
	}
	machineOf := func() proctab.ID {
		id, ok := folder.Folder(filepath.Join(plan.Dir, "machines", "node1")).Holder()
		if !ok {
			t.Fatal("nobody holds the machine's lock")
		}
		return id
	}
	for i, c := range []struct {
		what string
		do   func(ids []proctab.ID) error
	}{
		{"kill -9 of the supervisor", func(ids []proctab.ID) error { return ids[0].Signal(syscall.SIGKILL) }},
		{"kill -9 of the machine", func([]proctab.ID) error { return machineOf().Signal(syscall.SIGKILL) }},
		{"kill -9 of a machine without power", func(ids []proctab.ID) error {
			err := power(lab.PowerCut)(nil)
			await(t, ids, proctab.Stopped)
			return errors.Join(err, machineOf().Signal(syscall.SIGKILL))
		}},
		{"a crash", power(lab.PowerCrash)},
		{"a clean shutdown", power(lab.PowerOff)},
		{"a power cut, and power back", func(ids []proctab.ID) error {
			err := power(lab.PowerCut)(nil)
			await(t, ids, proctab.Stopped)
			return errors.Join(err, power(lab.PowerOn)(nil))
		}},
		{"destroy", func([]proctab.ID) error { return p.Destroy(t.Context(), plan) }},
	} {
		if err := power(lab.PowerOn)(nil); err != nil {
			t.Fatalf("before %s: %v", c.what, err)
		}
		tr := grow(t, dockerOf(t, ms[0]), fmt.Sprintf("tree%d", i), 50*time.Millisecond)
		ids := tr.processes()
		if err := c.do(ids); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		await(t, ids, proctab.Gone)
		if left := proctab.Marked(supervise.EnvContainer, tr.name); len(left) > 0 {
			t.Errorf("after %s: %v live", c.what, left)
		}
		if t.Failed() {
			t.Fatalf("so much for %s", c.what)
		}
	}
}

// TestForeignProcessesPauseWithTheirMachine and go on with it. What they listen
// on themselves takes nobody meanwhile, nor when the power is cut.
func TestForeignProcessesPauseWithTheirMachine(t *testing.T) {
	p, plan, ms := up(t, 1)
	plan = allowRoot(t, p, plan)
	power := func(w lab.Power) {
		t.Helper()
		if err := p.Power(t.Context(), plan, []string{"node1"}, w); err != nil {
			t.Fatal(err)
		}
	}
	tr := grow(t, dockerOf(t, ms[0]), "tree", time.Second)
	ids := tr.processes()
	var addresses []string
	for _, name := range []string{"daemon", "child", "grandchild"} {
		address, err := os.ReadFile(filepath.Join(tr.dir, name+".address"))
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, string(address))
	}
	open := func() {
		t.Helper()
		for _, address := range addresses {
			c, err := net.DialTimeout("tcp", address, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
	open()
	for range 2 {
		power(lab.PowerPause)
		await(t, ids, proctab.Stopped)
		silent(t, addresses...)
		power(lab.PowerOn)
		await(t, ids, proctab.Running)
		open()
	}
	power(lab.PowerCut)
	await(t, ids, proctab.Stopped)
	silent(t, addresses...)
	power(lab.PowerOn)
	await(t, ids, proctab.Gone)
}

// silent asserts that nobody gets through, where this system can do that to
// listeners of foreign programs.
func silent(t *testing.T, addresses ...string) {
	t.Helper()
	if err := silence.Supported(); err != nil {
		if os.Getenv("LAB_TEST_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Log("silence needs socket filters:", err)
		return
	}
	deaf(t, addresses...)
}

// TestForeignProcessesOutliveWhoAskedForThem: they are the machine's, and in
// its record; the end of the container that asked is not theirs.
func TestForeignProcessesOutliveWhoAskedForThem(t *testing.T) {
	p, plan, ms := up(t, 1)
	plan = allowRoot(t, p, plan)
	d := dockerOf(t, ms[0])
	ids := grow(t, d, "tree", time.Second).processes()
	d.call("DELETE", "/containers/tree?force=1", nil, 204)
	d.run("other", "lab/echo", []string{":7000"}, nil) // the engine is done with it
	for _, id := range ids {
		if s := id.State(); s != proctab.Running {
			t.Errorf("process %d is %s", id.PID, s)
		}
	}
	procs, err := folder.Folder(filepath.Join(plan.Dir, "machines", "node1")).Procs()
	if err != nil {
		t.Fatal(err)
	}
	recorded := false
	for _, r := range procs {
		recorded = recorded || r.ID == ids[0] && r.Name == "tree"
	}
	if !recorded {
		t.Errorf("the supervisor %v is not in procs.json: %v", ids[0], procs)
	}
}

// TestCleanShutdownAsksFirst: SIGTERM, and a result that says so.
func TestCleanShutdownAsksFirst(t *testing.T) {
	p, plan, ms := up(t, 1)
	plan = allowRoot(t, p, plan)
	tr := grow(t, dockerOf(t, ms[0]), "tree", time.Second)
	tr.processes()
	if err := p.Power(t.Context(), plan, []string{"node1"}, lab.PowerOff); err != nil {
		t.Fatal(err)
	}
	if r, err := supervise.ReadResult(tr.result); err != nil || r.Signal != int(syscall.SIGTERM) {
		t.Errorf("%v, %v", r, err)
	}
}

// TestRootNeedsLeave: what a machine may run for root stands in its settings,
// which change while it runs.
func TestRootNeedsLeave(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is refused")
	}
	p, plan, ms := up(t, 1)
	d := dockerOf(t, ms[0])
	refused := grow(t, d, "refused", 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := lab.Until(ctx, 10*time.Millisecond, "the refusal", func(context.Context) error {
		if log := string(d.call("GET", "/containers/refused/logs?stdout=1", nil, 200)); !strings.Contains(log, "local.allow_root_cmd") {
			return errors.New(log)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(refused.dir, "claim")); err == nil {
		t.Error("it was started all the same")
	}
	plan = allowRoot(t, p, plan)
	grow(t, d, "allowed", 0).processes()
	plan.Spec.Local.AllowRootCmd = false
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	grow(t, d, "again", 0)
	err = lab.Until(ctx, 10*time.Millisecond, "the refusal", func(context.Context) error {
		if log := string(d.call("GET", "/containers/again/logs?stdout=1", nil, 200)); !strings.Contains(log, "local.allow_root_cmd") {
			return errors.New(log)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
