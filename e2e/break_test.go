//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/local/silence"
	"github.com/mesoslab/lab/scenarios/watch"
)

// TestKilledBreak ends lab break with SIGKILL while its fault is in force, for
// every fault: the next command knows, and heal makes the lab whole.
func TestKilledBreak(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	for verb, state := range map[string]lab.MachineState{"kill": lab.StateCut, "crash": lab.StateOff, "pause": lab.StatePaused, "stop": lab.StateOff} {
		t.Run(verb, func(t *testing.T) {
			l := l.In(t)
			r := l.Start("break", verb, "slave1", "--for", "10m")
			r.AwaitEvent("⚡ node2 ")
			r.Signal(syscall.SIGKILL)
			r.Wait(nil)
			s := l.Status()
			if s.Whole || len(s.Faults) != 1 || s.Faults[0].Nodes[0] != "node2" || s.Faults[0].By != "lab break" {
				t.Errorf("after the kill: %+v", s.Faults)
			}
			for _, p := range s.Power {
				if p.Machine.Name == "node2" && p.State != state {
					t.Errorf("node2 is %s, want %s", p.State, state)
				}
			}
			l.Refuse(1, []string{"it is broken already", "lab heal mends it"}, "break", "pause", "node2")
			if r := l.Must("heal"); !strings.Contains(r.Stdout, "undone: ") {
				t.Error(r)
			}
			noFaults(t, l)
			answering(t, l, 2)
		})
	}
	l.Must("destroy")
	l.MustBeGone()
}

// TestKilledBreakInside does the same to what runs on machines: the Docker
// daemon, containers of the platform, a task.
func TestKilledBreakInside(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	for words, happens := range map[string]string{
		"stop docker on=slave1":          "⚡ docker on node2 is stopped",
		"kill docker on=slave2":          "⚡ docker on node3 is killed",
		"pause docker on=master":         "⚡ docker on node1 freezes",
		"kill mesos_slave on=slave1":     "⚡ mesos_slave1 is killed",
		"stop marathon-lb":               "⚡ marathon-lb is stopped",
		"pause mesos_master":             "⚡ mesos_master freezes",
		"restart zookeeper":              "⚡ zookeeper restarts", // with a length of time: stopped until then
		"wipe zookeeper":                 "⚡ zookeeper starts again, without its data",
		"pause task of=nginx pick=first": " freezes",
	} {
		t.Run(words, func(t *testing.T) {
			l := l.In(t)
			r := l.Start(slices.Concat([]string{"break"}, strings.Fields(words), []string{"--for", "10m"})...)
			r.AwaitEvent(happens)
			r.Signal(syscall.SIGKILL)
			r.Wait(nil)
			verb, _, _ := strings.Cut(words, " ")
			s := l.Status()
			if len(s.Faults) != 1 || s.Whole || !strings.HasPrefix(s.Faults[0].Fault, verb+" ") || s.Faults[0].By != "lab break" {
				t.Errorf("after the kill: whole %t, %+v", s.Whole, s.Faults)
			}
			if r := l.Must("heal"); !strings.Contains(r.Stdout, "undone: "+verb) {
				t.Error(r)
			}
			noFaults(t, l)
			answering(t, l, 2)
		})
	}
	l.Must("destroy")
	l.MustBeGone()
}

// TestKilledCut cuts a slave off and ends lab with SIGKILL: Mesos gives the
// slave up while its task still answers on its own port, side by side with the
// new one. Heal joins the two sides, and the surplus goes.
func TestKilledCut(t *testing.T) {
	if err := silence.Supported(); err != nil {
		labtest.Missing(t, "cuts need socket filters: "+err.Error())
	}
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	r := l.Start("break", "cut", "slave1", "--for", "10m")
	r.AwaitEvent("⚡ node2 is cut off")
	r.Signal(syscall.SIGKILL)
	r.Wait(nil)
	old := ""
	for _, task := range l.Status().Marathon.Tasks {
		if task.Node == "node2" && len(task.Ports) > 0 {
			old = fmt.Sprintf("%s:%d", task.Host, task.Ports[0])
		}
	}
	l.Await("the slave on node2 to be given up", func(context.Context) error {
		s := l.Status()
		if n := len(s.Mesos.Slaves); n != 1 {
			return fmt.Errorf("mesos has %d slaves", n)
		}
		for _, a := range s.Marathon.Apps {
			if a.Running < a.Instances {
				return fmt.Errorf("%d of %d tasks run", a.Running, a.Instances)
			}
		}
		return nil
	})
	if old != "" { // a task was there: it lives on
		resp, err := http.Get("http://" + old + "/")
		if err != nil {
			t.Errorf("the old task on the cut machine: %v", err)
		} else {
			resp.Body.Close()
		}
	}
	s := l.Status()
	if len(s.Faults) != 1 || s.Faults[0].Fault != "cut node2" || s.Whole {
		t.Errorf("after the kill: whole %t, %+v", s.Whole, s.Faults)
	}
	l.Refuse(2, []string{"fault-unsupported", "delays and loses nothing"}, "break", "slow", "node3", "delay=100ms")
	l.Must("heal")
	noFaults(t, l)
	answering(t, l, 2)
	l.Must("destroy")
	l.MustBeGone()
}

// TestInterruptedBreak presses Ctrl-C while a fault is in force: that undoes
// it, and is told as an interruption.
func TestInterruptedBreak(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	r := l.Start("break", "kill", "node2", "node3", "--for", "10m")
	r.AwaitEvent("⚡ node3 ")
	for _, words := range [][]string{{"scenario", "failover"}, {"break", "kill", "node1"}} {
		l.Refuse(1, []string{"lab-locked", "lab break kill node2 node3"}, words...)
	}
	r.Signal(os.Interrupt)
	if res := r.Wait(nil); res.Code != 130 {
		t.Errorf("exit code %d, want 130: %s", res.Code, res)
	}
	noFaults(t, l)
	l.Must("destroy")
	l.MustBeGone()
}

// TestWatch watches a lab from a pipe while a slave dies and comes back, and
// from a terminal.
func TestWatch(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	out := &lines{}
	cmd := l.Command("watch", "--rate", "20")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	out.await(t, l, "= node1 running · node2 running, slave S", " active: nginx.", "healthy", "nginx 2 of 2 run, 2 healthy · clients fine")
	l.Must("break", "kill", "node2")
	out.await(t, l, "break: ⚡ node2 loses power", "node2 cut", "is TASK_LOST", "Mesos has removed the slave on node2", "kill node2 (lab break); lab heal mends it")
	l.Must("heal")
	out.await(t, l, "a slave has registered on node2", "TASK_RUNNING")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C is how watching ends: %v\n%s", err, out)
	}
	l.AwaitWhole()
	var v watch.View
	l.Must("watch", "-o", "json").JSON(t, &v)
	if len(v.Machines) != 3 || v.Machines[2].Power != "running" || len(v.Apps) != 1 || v.Traffic == nil || v.Traffic.Sent == 0 || len(v.Problems) != 0 {
		t.Errorf("view: %+v", v)
	}
	l.Refuse(2, []string{"no app \"ngin\"", "did you mean nginx?"}, "watch", "--app", "ngin")
	l.Refuse(2, []string{"must be 0"}, "watch", "--rate", "-1")
	onTerminal(t, l)
	l.Must("destroy")
	l.MustBeGone()
}

// onTerminal runs lab watch on a terminal, made by script, and leaves it by q.
func onTerminal(t *testing.T, l *rig.Lab) {
	labtest.NeedProgram(t, "script")
	watcher := l.Command("watch")
	cmd := exec.Command("script", "-qec", watcher.Path+" watch", "/dev/null")
	cmd.Env, cmd.Dir, cmd.ExtraFiles = append(watcher.Env, "TERM=xterm-256color"), watcher.Dir, watcher.ExtraFiles
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &lines{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	const enter, leave = "\x1b[?1049h", "\x1b[?1049l" // the alternate screen
	out.await(t, l, enter, "lab lab", "slave1", "nginx")
	if _, err := io.WriteString(keys, "q"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("q is how watching ends: %v", err)
	}
	if text := out.String(); strings.LastIndex(text, leave) < strings.LastIndex(text, enter) {
		t.Errorf("the terminal is not restored: %q", text)
	}
}

// lines collects what a command writes.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lines) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lines) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// await waits until all words were written.
func (b *lines) await(t *testing.T, l *rig.Lab, words ...string) {
	t.Helper()
	l.Await("words on the screen", func(context.Context) error {
		text := b.String()
		for _, w := range words {
			if !strings.Contains(text, w) {
				last := ""
				for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
					last = s.Text()
				}
				return errors.Join(fmt.Errorf("%q was not written", w), fmt.Errorf("the last line is %q", last))
			}
		}
		return nil
	})
}

// noFaults waits until the lab is whole, and nothing may be broken then.
func noFaults(t *testing.T, l *rig.Lab) {
	t.Helper()
	if s := l.AwaitWhole(); len(s.Faults) != 0 {
		t.Errorf("still broken: %+v", s.Faults)
	}
}
