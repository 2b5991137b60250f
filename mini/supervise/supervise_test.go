//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/proctab"
)

// TestMain makes this test binary the supervisor, and the commands that it
// runs: "hang FILE" ignores SIGTERM and never ends, "daemon FILE" starts one in
// a session of its own, without any environment, and ends.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "mini":
		os.Exit(Run(os.Args[3:], os.Environ(), os.Stderr))
	case "hang":
		signal.Ignore(syscall.SIGTERM)
		if err := os.WriteFile(os.Args[2]+".new", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			panic(err)
		}
		if err := os.Rename(os.Args[2]+".new", os.Args[2]); err != nil {
			panic(err)
		}
		select {}
	case "daemon":
		cmd := exec.Command(os.Args[0], "hang", os.Args[2])
		cmd.Env = []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		os.Exit(0)
	case "eat": // so many MiB, which stay
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		b := make([]byte, n<<20)
		for i := range b {
			b[i] = byte(i)
		}
		for {
			runtime.KeepAlive(b)
			time.Sleep(time.Hour)
		}
	}
	os.Exit(m.Run())
}

// work is one order in a folder of its own.
type work struct {
	t     *testing.T
	dir   string
	order Order
}

func newWork(t *testing.T, argv ...string) work {
	dir := t.TempDir()
	o := Order{Path: argv[0], Argv: argv, Environ: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "A=1"}, Dir: dir, Grace: time.Hour}
	for name, dst := range map[string]*string{"stdout": &o.Stdout, "stderr": &o.Stderr, "claim": &o.Claim, "result": &o.Result} {
		*dst = filepath.Join(dir, name)
	}
	return work{t, dir, o}
}

// shell runs a script; $0 in it is this test binary.
func shell(t *testing.T, script string) work {
	return newWork(t, "sh", "-c", script, self(t))
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (j work) file(name string) string { return filepath.Join(j.dir, name) }

func (j work) start(p *Plain) proctab.ID {
	j.t.Helper()
	if err := j.order.Write(j.file("order")); err != nil {
		j.t.Fatal(err)
	}
	id, err := p.Start(j.t.Context(), j.dir, j.file("order"))
	if err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() {
		ctx, cancel := patience(context.Background())
		defer cancel()
		if err := p.Stop(ctx, id, 0); err != nil {
			j.t.Error(err)
		}
		if err := p.Wait(ctx, id); err != nil {
			j.t.Error(err)
		}
	})
	return id
}

func patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Minute)
}

func (j work) wait(p *Plain, id proctab.ID) {
	j.t.Helper()
	ctx, cancel := patience(j.t.Context())
	defer cancel()
	if err := p.Wait(ctx, id); err != nil {
		j.t.Fatal(err)
	}
}

func (j work) result() Result {
	j.t.Helper()
	r, err := ReadResult(j.order.Result)
	if err != nil {
		j.t.Fatal(err)
	}
	return r
}

// pids waits until the hanging processes of these names are up.
func (j work) pids(names ...string) []proctab.ID {
	j.t.Helper()
	ctx, cancel := patience(j.t.Context())
	defer cancel()
	var out []proctab.ID
	for _, name := range names {
		err := lab.Until(ctx, 5*time.Millisecond, name+" to run", func(context.Context) error {
			text, err := os.ReadFile(j.file(name))
			if err != nil {
				return err
			}
			pid, err := strconv.Atoi(string(text))
			if err != nil {
				return err
			}
			id, err := proctab.Of(pid)
			out = append(out, id)
			return err
		})
		if err != nil {
			j.t.Fatal(err)
		}
	}
	return out
}

func (j work) mustBeGone(ids []proctab.ID) {
	j.t.Helper()
	for _, id := range ids {
		if s := id.State(); s != proctab.Gone {
			j.t.Errorf("process %d is %s", id.PID, s)
		}
	}
}

// tree is a shell with children of every kind that ignore SIGTERM.
const tree = `"$0" daemon daemon; "$0" hang child & (exec "$0" hang grandchild) & wait; wait`

var treeNames = []string{"daemon", "child", "grandchild"}

func TestHowCommandsEnd(t *testing.T) {
	p := NewPlain(self(t))
	for _, c := range []struct {
		name string
		work work
		want string
		code int
	}{
		{"success", shell(t, "exit 0"), "exited with status 0", 0},
		{"failure", shell(t, "exit 3"), "exited with status 3", 3},
		{"signal", shell(t, "kill -9 $$"), "terminated with signal Killed", 137},
		{"missing", newWork(t, "no-such-program"), "could not be started: no-such-program: no such program in PATH=/usr/local/bin:/usr/bin:/bin", 127},
		{"unreadable", newWork(t, "/no/such/program"), "could not be started: fork/exec /no/such/program: no such file or directory", 127},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := c.work
			j.t = t
			j.wait(p, j.start(p))
			r := j.result()
			if r.String() != c.want || r.Code() != c.code {
				t.Errorf("%q with code %d, want %q with %d", r, r.Code(), c.want, c.code)
			}
		})
	}
}

// ignoredSignals reads SigIgn of /proc/pid/status as a mask. The kernel's 32 and
// 33 belong to glibc (nptl(7)): its posix_spawn, by which make starts programs,
// has them ignored.
func ignoredSignals(t *testing.T, lines []string) uint64 {
	t.Helper()
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "SigIgn:\t"); ok {
			mask, err := strconv.ParseUint(text, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return mask &^ (1<<31 | 1<<32)
		}
	}
	t.Fatalf("no SigIgn in %q", lines)
	return 0
}

func TestWhatACommandGets(t *testing.T) {
	// Ignored here, as a machine ignores them; not so in the command.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT)
	t.Cleanup(func() { signal.Reset(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT) })
	j := shell(t, `pwd; env; grep SigIgn /proc/self/status; ls /proc/self/fd; cat; echo oops >&2; echo "$@"`)
	j.order.Argv = append(j.order.Argv, "x y", "z")
	if err := os.WriteFile(j.order.Stdout, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := NewPlain(self(t))
	j.wait(p, j.start(p))
	out, _ := os.ReadFile(j.order.Stdout)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, want := range []string{"before", j.dir, "A=1", "LAB_CONTAINER=" + j.dir, "x y z"} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if ignored := ignoredSignals(t, lines); ignored != 0 {
		t.Errorf("the command ignores signals: %#x", ignored)
	}
	for _, line := range lines {
		if name, _, ok := strings.Cut(line, "="); ok && !slices.Contains([]string{"A", "PATH", "PWD", "SHLVL", "_", "OLDPWD", "LAB_CONTAINER"}, name) {
			t.Errorf("%s comes from somewhere else", line)
		}
		if line == "4" { // ls has opened 3 itself
			t.Error("the command has the pipe, or a file of the supervisor")
		}
	}
	if errs, _ := os.ReadFile(j.order.Stderr); string(errs) != "oops\n" {
		t.Errorf("stderr %q", errs)
	}
}

func TestStopEndsEveryDescendant(t *testing.T) {
	t.Parallel()
	p := NewPlain(self(t))
	j := shell(t, tree)
	id := j.start(p)
	ids := j.pids(treeNames...)
	if err := p.Stop(t.Context(), id, time.Hour); err != nil {
		t.Fatal(err)
	}
	// The shell hears SIGTERM, its children do not: nothing is over yet.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.Wait(ctx, id); err == nil {
		t.Fatal("the supervisor has left its descendants")
	}
	if _, err := ReadResult(j.order.Result); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a result already: %v", err)
	}
	if err := p.Stop(t.Context(), id, time.Millisecond); err != nil { // less grace
		t.Fatal(err)
	}
	j.wait(p, id)
	j.mustBeGone(ids)
	if r := j.result(); r.String() != "terminated with signal Terminated" {
		t.Errorf("the shell %s", r)
	}
}

func TestGraceIsNeverMadeLonger(t *testing.T) {
	t.Parallel()
	p := NewPlain(self(t))
	j := shell(t, tree)
	id := j.start(p)
	ids := j.pids(treeNames...)
	for _, grace := range []time.Duration{100 * time.Millisecond, time.Hour} {
		if err := p.Stop(t.Context(), id, grace); err != nil {
			t.Fatal(err)
		}
	}
	j.wait(p, id)
	j.mustBeGone(ids)
}

func TestTheEndOfTheCommandEndsTheRest(t *testing.T) {
	t.Parallel()
	p := NewPlain(self(t))
	j := shell(t, `"$0" daemon daemon; "$0" hang child & while ! [ -e daemon ] || ! [ -e child ]; do sleep 0.01; done; exit 7`)
	j.order.Grace = 50 * time.Millisecond
	id := j.start(p)
	ids := j.pids("daemon", "child")
	j.wait(p, id)
	j.mustBeGone(ids)
	if r := j.result(); r.Exit != 7 {
		t.Errorf("%s", r)
	}
}

// TestTheEndOfThePipe closes it, as the death of a machine does, also while
// everything is frozen.
func TestTheEndOfThePipe(t *testing.T) {
	t.Parallel()
	for _, frozen := range []bool{false, true} {
		t.Run(map[bool]string{false: "running", true: "frozen"}[frozen], func(t *testing.T) {
			t.Parallel()
			p := NewPlain(self(t))
			j := shell(t, tree)
			j.order.Grace = 50 * time.Millisecond
			id := j.start(p)
			ids := append(j.pids(treeNames...), id)
			if frozen {
				freeze(t, ids)
			}
			p.find(id).control.Close()
			j.wait(p, id)
			j.mustBeGone(ids)
			if r := j.result(); r.Signal != int(syscall.SIGTERM) {
				t.Errorf("the shell %s", r)
			}
		})
	}
}

func freeze(t *testing.T, ids []proctab.ID) {
	t.Helper()
	for _, id := range ids {
		if err := id.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := patience(t.Context())
	defer cancel()
	if err := proctab.Await(ctx, ids, proctab.Stopped); err != nil {
		t.Fatal(err)
	}
}

// TestKilledSupervisor sends SIGKILL: the command dies with it, what carries
// the mark is found, and nobody claims to know how it ended.
func TestKilledSupervisor(t *testing.T) {
	t.Parallel()
	p := NewPlain(self(t))
	j := shell(t, `"$0" hang child & (exec setsid "$0" hang session) & echo up; wait`)
	id := j.start(p)
	ids := j.pids("child", "session")
	if err := id.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	j.wait(p, id)
	j.mustBeGone(ids)
	if left := proctab.Marked(EnvContainer, j.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := ReadResult(j.order.Result); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a result: %v", err)
	}
}

// TestTheCommandDiesWithItsSupervisor does without the mark.
func TestTheCommandDiesWithItsSupervisor(t *testing.T) {
	t.Parallel()
	j := newWork(t, self(t), "hang", "command")
	j.order.Argv[2] = j.file("command")
	if err := j.order.Write(j.file("order")); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command(self(t), "mini", "supervise", j.file("order"))
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	ids := j.pids("command")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	ctx, cancel := patience(t.Context())
	defer cancel()
	if err := proctab.Await(ctx, ids, proctab.Gone); err != nil {
		t.Error(err)
	}
}

// TestOrdersThatWereGivenUp are not carried out, and none is twice.
func TestOrdersThatWereGivenUp(t *testing.T) {
	p := NewPlain(self(t))
	for name, owner := range map[string]proctab.ID{"given up": {}, "another's": {PID: 1, Start: "x"}} {
		j := shell(t, "echo ran")
		if err := Claim(j.order.Claim, owner); err != nil {
			t.Fatal(err)
		}
		j.wait(p, j.start(p))
		if out, _ := os.ReadFile(j.order.Stdout); len(out) != 0 {
			t.Errorf("%s: %q", name, out)
		}
		if id, err := Claimed(j.order.Claim); err != nil || id != owner {
			t.Errorf("%s: claimed by %v, %v", name, id, err)
		}
	}
	j := shell(t, "echo ran; echo once")
	id := j.start(p)
	j.wait(p, id)
	if owner, err := Claimed(j.order.Claim); err != nil || owner != id {
		t.Errorf("claimed by %v, %v; started as %v", owner, err, id)
	}
	if err := Claim(j.order.Claim, proctab.ID{}); !errors.Is(err, ErrClaimed) {
		t.Errorf("claimed a second time: %v", err)
	}
}

func TestCommandsOfAnotherUser(t *testing.T) {
	j := shell(t, "id -un; touch mine")
	j.order.User = "nobody"
	if err := os.Chmod(filepath.Dir(j.dir), 0o755); err != nil { // TempDir is this user's
		t.Fatal(err)
	}
	p := NewPlain(self(t))
	j.wait(p, j.start(p))
	out, _ := os.ReadFile(j.order.Stdout)
	switch r := j.result(); {
	case os.Geteuid() == 0 && (r != Result{} || string(out) != "nobody\n"):
		t.Errorf("%s as %q", r, out)
	case os.Geteuid() != 0 && r.Failed != "user nobody: only root can run commands as another user":
		t.Errorf("%s", r)
	}
	j = shell(t, "exit 0")
	j.order.User = "no-such-user"
	j.wait(p, j.start(p))
	if r := j.result(); !strings.Contains(r.Failed, "no-such-user") {
		t.Errorf("%s", r)
	}
}

func TestRunRefusesNonsense(t *testing.T) {
	j := shell(t, "echo ran")
	if err := j.order.Write(j.file("order")); err != nil {
		t.Fatal(err)
	}
	broken := j.file("broken")
	if err := os.WriteFile(broken, []byte(`{"path":"sh","argv":["sh"],"dir":"here"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"usage":                      {"a", "b"},
		"descriptor 3 is no pipe":    {j.file("order")},
		`"here" is no absolute path`: {broken},
		"no such file":               {j.file("missing")},
	} {
		cmd := exec.Command(self(t), append([]string{"mini", "supervise"}, args...)...)
		var errs strings.Builder
		cmd.Stderr = &errs
		if !strings.Contains(want, "descriptor") {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			cmd.ExtraFiles = []*os.File{r}
		}
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%q: %v, %q; want %q", args, err, errs.String(), want)
		}
	}
	if _, err := os.Stat(j.order.Stdout); err == nil {
		t.Error("the command ran")
	}
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte(`{"path":"sh","argv":["sh"],"dir":"/d","stdout":"/o","stderr":"/e","claim":"/c","result":"/r","grace":3}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(t.TempDir(), "order")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := ReadOrder(name)
		if err != nil {
			return
		}
		if err := o.Write(name); err != nil {
			t.Fatal(err)
		}
		if again, err := ReadOrder(name); err != nil || again.Path != o.Path || !slices.Equal(again.Argv, o.Argv) || !filepath.IsAbs(o.Dir) {
			t.Fatalf("%+v became %+v, %v", o, again, err)
		}
	})
}

// A child of the command eats more than there is for both.
func TestMemoryLimitKills(t *testing.T) {
	p := NewPlain(self(t))
	j := shell(t, `"$0" eat 300 & sleep 1000`)
	j.order.MemoryLimit = 200 << 20
	id := j.start(p)
	ctx, cancel := patience(t.Context())
	defer cancel()
	if err := p.Wait(ctx, id); err != nil {
		t.Fatal(err)
	}
	r, err := ReadResult(j.file("result"))
	if err != nil || r.Memory <= 200<<20 || r.Signal != int(syscall.SIGKILL) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestBelowTheMemoryLimit(t *testing.T) {
	p := NewPlain(self(t))
	j := newWork(t, "sh", "-c", "sleep 1")
	j.order.MemoryLimit = 200 << 20
	id := j.start(p)
	ctx, cancel := patience(t.Context())
	defer cancel()
	if err := p.Wait(ctx, id); err != nil {
		t.Fatal(err)
	}
	if r, err := ReadResult(j.file("result")); err != nil || r != (Result{}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestUsage(t *testing.T) {
	p := NewPlain(self(t))
	j := shell(t, `"$0" eat 100 & wait`)
	id := j.start(p)
	ctx, cancel := patience(t.Context())
	defer cancel()
	err := lab.Until(ctx, 20*time.Millisecond, "memory", func(ctx context.Context) error {
		u, err := UsageOf(ctx, id)
		if err == nil && (u.RSS < 100<<20 || u.Processes != 3 || u.User == 0) {
			err = fmt.Errorf("%+v", u)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := p.Stop(ctx, id, 0); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := UsageOf(ctx, id); !errors.Is(err, proctab.ErrGone) {
		t.Errorf("after its end: %v", err)
	}
}
