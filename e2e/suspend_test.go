//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/local"
)

// TestResumeWaitsUntilWhole suspends only the slaves, as a suspend does that
// was killed half-way, until Mesos has given both up: resume returns when
// they are back and the app runs on them again.
func TestResumeWaitsUntilWhole(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	before := l.AwaitWhole()
	halfSuspended(t, l, "node2", "node3")
	l.Await("Mesos to give the slaves up", func(context.Context) error {
		if s := l.Status(); s.Mesos.Error != "" || s.Mesos.ActiveSlaves > 0 {
			return fmt.Errorf("%d slaves active, %s", s.Mesos.ActiveSlaves, s.Mesos.Error)
		}
		return nil
	})
	l.Must("resume")
	after := l.Status()
	if !after.Whole || after.Unsettled() != "" {
		t.Errorf("resume has returned, and %s: %+v", after.Unsettled(), after)
	}
	for _, task := range after.Marathon.Tasks {
		for _, old := range before.Marathon.Tasks {
			if task.ID == old.ID {
				t.Errorf("%s was given up and is said to run", task.ID)
			}
		}
	}
	answering(t, l, 2)
	l.Must("destroy")
	l.MustBeGone()
}

// halfSuspended writes the journal as suspend does and pauses some machines.
func halfSuspended(t *testing.T, l *rig.Lab, names ...string) {
	t.Helper()
	rec, err := state.NewStore(l.State).Load(l.Name)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := rec.Spec.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, n := range nodes {
		all = append(all, n.Name)
	}
	if err := rec.RecordFault(state.Fault{ID: "half", By: "lab suspend", Fault: "suspended", Undo: lab.PowerOn, Nodes: all, Mender: "resume"}); err != nil {
		t.Fatal(err)
	}
	p := local.New(local.Options{Executable: rig.Binary(t)})
	plan := lab.Plan{Dir: rec.Dir, ID: rec.ID, Spec: rec.Spec, Nodes: nodes}
	if err := p.Power(t.Context(), plan, names, lab.PowerPause); err != nil {
		t.Fatal(err)
	}
}

// TestKilledSuspend ends suspend and resume with SIGKILL after their first
// word: the next command of either kind goes on from there.
func TestKilledSuspend(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--no-app")
	for _, command := range []string{"suspend", "resume"} {
		if command == "resume" {
			l.Must("suspend")
		}
		r := l.Start(command)
		if _, ok := r.Next(); !ok {
			t.Fatal(r.Wait(nil))
		}
		r.Signal(syscall.SIGKILL)
		r.Wait(nil)
		l.Must("resume")
		if s := l.Status(); !s.Whole || len(s.Faults) != 0 {
			t.Errorf("after a killed %s and resume: %+v", command, s)
		}
	}
	l.Must("destroy")
	l.MustBeGone()
}

// stubbornVagrant says what it does and goes on, whatever it is sent.
const stubbornVagrant = `#!/bin/sh
trap 'echo "1700000000,node1,ui,info,==> node1: interrupted"' INT
echo $$ >"$HOME/vagrant.pid"
case "$*" in
version*) echo "1700000000,,version-installed,2.3.4" ;;
up*)
	echo "1700000000,node1,ui,info,==> node1: importing"
	while :; do sleep 1000 & wait; done ;;
esac
`

// TestSecondCtrlC: the first one asks Vagrant to end, the second one ends it,
// with all that it has started, and lab. On the way: a Vagrantfile changed by
// hand is kept until --force.
func TestSecondCtrlC(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	bin := filepath.Join(l.Work, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "vagrant"), []byte(stubbornVagrant), 0o755); err != nil {
		t.Fatal(err)
	}
	// A VM provider of which the quick checks want no more than its command.
	if err := os.WriteFile(filepath.Join(bin, "prlctl"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.Work, "lab.yaml"), []byte("vagrant: {provider: parallels}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.Env = []string{"LAB_PROVIDER=vagrant", "PATH=" + bin + ":" + os.Getenv("PATH")}
	l.Subnet = lab.ArticleSubnet
	twice := func(args ...string) {
		t.Helper()
		r := l.Start(l.CreateArgs(args...)...)
		r.AwaitEvent("importing")
		group := readPID(t, filepath.Join(l.Work, "vagrant.pid"))
		r.Signal(os.Interrupt)
		r.AwaitEvent("interrupted")
		r.Signal(os.Interrupt)
		if res := r.Wait(nil); res.Code != 130 {
			t.Errorf("exit code %d, want 130: %s", res.Code, res)
		}
		l.Await("Vagrant's process group to end", func(context.Context) error {
			if err := syscall.Kill(-group, 0); err != syscall.ESRCH {
				return fmt.Errorf("signal 0: %v", err)
			}
			return nil
		})
	}
	twice()

	file := filepath.Join(l.Dir(), "Vagrantfile")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mine := strings.Replace(string(text), "prl.cpus = 1", "prl.cpus = 3", 1)
	if err := os.WriteFile(file, []byte(mine), 0o644); err != nil {
		t.Fatal(err)
	}
	l.Refuse(1, []string{"vagrantfile-changed", "-         prl.cpus = 3", "+         prl.cpus = 1", "lab create --force renders it anew"}, "create")
	if kept, err := os.ReadFile(file); err != nil || string(kept) != mine {
		t.Errorf("the change was not kept: %v", err)
	}
	var doc struct{ Vagrantfile string }
	if err := json.Unmarshal([]byte(l.Must("vagrantfile", "-o", "json").Stdout), &doc); err != nil || doc.Vagrantfile != string(text) {
		t.Errorf("lab vagrantfile prints another one than create renders: %v\n%s", err, doc.Vagrantfile)
	}
	twice("--force")
	if anew, err := os.ReadFile(file); err != nil || string(anew) != string(text) {
		t.Errorf("not rendered anew: %v", err)
	}
	var gone flow.Destroyed
	l.Must("destroy", "-o", "json").JSON(t, &gone)
	if gone.Machines != 3 {
		t.Errorf("destroyed %+v", gone)
	}
	l.MustLeaveOnlyLocks()
}

func readPID(t *testing.T, name string) int {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil || pid < 2 {
		t.Fatalf("%s: %q, %v", name, data, err)
	}
	return pid
}
