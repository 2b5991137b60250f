//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/flow"
)

// moments is at how many places, spread over what it reports, a create is
// ended.
const moments = 10

// TestKilledCreate ends lab create with SIGKILL at ten moments: after the
// first event, the last but a few, and between. From there, create makes a
// whole lab and destroy leaves nothing. At every other moment destroy has to
// do so at once, too; at every third the create is interrupted as by Ctrl-C
// instead.
func TestKilledCreate(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	total := 0
	made := l.Start(l.CreateArgs()...).Wait(func(lab.Event) { total++ })
	if made.Code != 0 || total < 2*moments {
		t.Fatalf("a whole create has %d events: %s", total, made)
	}
	l.Must("destroy")
	var inTime atomic.Int32
	t.Cleanup(func() {
		// On a starved computer a signal may come too late, but not always.
		if n := inTime.Load(); n < moments/2 && !t.Failed() {
			t.Errorf("only %d of %d creates were ended before they were done", n, moments)
		}
	})
	for i := range moments {
		after := 1 + i*(total-1)/moments
		sig, code := os.Signal(syscall.SIGKILL), 137
		if i%3 == 2 {
			sig, code = os.Interrupt, 130
		}
		t.Run(fmt.Sprintf("%v after event %d of %d", sig, after, total), func(t *testing.T) {
			t.Parallel()
			l := rig.New(t)
			if i%2 == 1 {
				endCreate(t, l, after, sig, code)
				l.Must("destroy")
				l.MustBeGone()
			}
			if endCreate(t, l, after, sig, code) {
				inTime.Add(1)
			}
			l.Create()
			s := l.AwaitWhole()
			if len(s.Machines) != 3 || s.Mesos.ActiveSlaves != 2 || s.Marathon.Apps[0].Healthy != 2 || len(s.Marathon.Tasks) != 2 {
				t.Errorf("not the lab that was wanted: %+v", s)
			}
			answering(t, l, 2)
			if again := l.Create(); len(again.Changed) != 0 {
				t.Errorf("create has something to do: %v", again.Changed)
			}
			l.Must("destroy")
			l.MustBeGone()
			l.MustLeaveOnlyLocks()
		})
	}
}

// endCreate ends a create after so many events and reports whether it came
// before the create was done.
func endCreate(t *testing.T, l *rig.Lab, after int, sig os.Signal, code int) bool {
	t.Helper()
	r := l.Start(l.CreateArgs()...)
	for range after {
		if _, ok := r.Next(); !ok {
			break // machines that live already have less to tell
		}
	}
	r.Signal(sig)
	res := r.Wait(nil)
	if res.Code != code && res.Code != 0 {
		t.Errorf("exit code %d, want %d, or 0 if the signal came too late: %s", res.Code, code, res)
	}
	if code == 130 && res.Code == 130 && (!strings.Contains(res.Stderr, "lab: ") || strings.Contains(res.Stderr, "goroutine")) {
		t.Errorf("an interruption has to be told: %s", res)
	}
	return res.Code != 0
}

// TestKilledDestroy ends lab destroy with SIGKILL: the next one does the rest.
func TestKilledDestroy(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	for _, after := range []int{1, 2, 3, 4} {
		l.Create("--no-app")
		r := l.Start("destroy")
		for range after {
			r.Next()
		}
		r.Signal(syscall.SIGKILL)
		r.Wait(nil)
		l.Must("destroy")
		l.MustBeGone()
		l.MustLeaveOnlyLocks()
	}
}

// TestDestroyWithoutSpec destroys a lab whose lab.yaml is gone, or says
// something else by now.
func TestDestroyWithoutSpec(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(file string) error{
		"deleted": os.Remove,
		"changed": func(file string) error { return os.WriteFile(file, []byte("slaves: 1\nsubnet: 127.0.0.0/24\n"), 0o644) },
		"broken":  func(file string) error { return os.WriteFile(file, []byte("slavs: [\n"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			l := rig.New(t)
			l.Write("lab.yaml", "slaves: 2\nsubnet: "+l.Subnet+"\napp: none\n")
			l.Must("create")
			if err := edit(filepath.Join(l.Work, "lab.yaml")); err != nil {
				t.Fatal(err)
			}
			if !l.Status().Whole {
				t.Errorf("status: %+v", l.Status())
			}
			l.Must("destroy")
			l.MustBeGone()
			l.Must("destroy") // twice
			l.MustLeaveOnlyLocks()
		})
	}
}

// TestDestroyHalfDead destroys a lab of which nothing is as it was recorded.
func TestDestroyHalfDead(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--no-app")
	if err := syscall.Kill(l.Machine("node2").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(l.Machine("node3").PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(l.Dir(), "machines", "node2")); err != nil {
		t.Fatal(err)
	}
	l.Must("destroy")
	l.MustBeGone()
	l.MustLeaveOnlyLocks()
}

// TestKilledScenario ends lab scenario with SIGKILL while a machine has no
// power: the next command knows, and heal mends it.
func TestKilledScenario(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	r, victim := losingPower(t, l, "failover")
	r.Signal(syscall.SIGKILL)
	r.Wait(nil)

	text := l.Must("status")
	if !strings.Contains(text.Stderr, "still broken since") || !strings.Contains(text.Stderr, "kill "+victim+" (scenario failover); lab heal mends it") {
		t.Errorf("status says nothing of %s: %s", victim, text)
	}
	s := l.Status()
	if s.Whole || len(s.Faults) != 1 || s.Faults[0].Nodes[0] != victim {
		t.Errorf("faults: %+v", s.Faults)
	}
	for _, p := range s.Power {
		if cut := p.State == lab.StateCut; cut != (p.Machine.Name == victim) {
			t.Errorf("%s is %s", p.Machine.Name, p.State)
		}
	}
	l.Refuse(1, []string{"still broken: kill " + victim, "lab-broken", "lab heal mends it"}, "scenario", "failover")
	if r := l.Must("heal"); !strings.Contains(r.Stdout, "undone: kill "+victim) {
		t.Error(r)
	}
	noFaults(t, l)
	answering(t, l, 2)
	if r := l.Must("heal"); !strings.Contains(r.Stdout, "Nothing is broken") {
		t.Error(r)
	}

	// The same, and destroy instead.
	r, _ = losingPower(t, l, "failover")
	r.Signal(syscall.SIGKILL)
	r.Wait(nil)
	l.Must("destroy")
	l.MustBeGone()
}

// losingPower starts a scenario like failover and returns when its victim has
// lost power. A run that has to say INCONCLUSIVE before may be tried again, as in
// mustPass.
func losingPower(t *testing.T, l *rig.Lab, scenario string) (r *rig.Running, victim string) {
	t.Helper()
	for try := 1; ; try++ {
		l.AwaitWhole()
		r := l.Start("scenario", scenario)
		for e, ok := r.Next(); ok; e, ok = r.Next() {
			if strings.Contains(e.Text, "loses power") {
				return r, strings.Fields(e.Text)[3]
			}
		}
		res := r.Wait(nil)
		if res.Code != inconclusive || try == tries {
			t.Fatalf("the scenario ended and nobody had lost power: %s", res)
		}
		t.Logf("again: %s", res)
	}
}

// inconclusive is the exit code of a scenario without a verdict.
const inconclusive = 4

// TestInterruptedScenario presses Ctrl-C while a machine has no power: that
// gives it back.
func TestInterruptedScenario(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	r, _ := losingPower(t, l, "failover")
	r.Signal(os.Interrupt)
	if res := r.Wait(nil); res.Code != 130 {
		t.Errorf("exit code %d, want 130: %s", res.Code, res)
	}
	noFaults(t, l)
	l.Must("destroy")
	l.MustBeGone()
}

// TestOneCommandAtATime starts a command while another one has the lock.
func TestOneCommandAtATime(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	r := l.Start(l.CreateArgs("--no-app")...)
	r.AwaitEvent("machines on") // its record is written
	r.Signal(syscall.SIGSTOP)
	for _, words := range [][]string{l.CreateArgs(), {"destroy"}, {"scenario", "failover"}, {"heal"}} {
		l.Refuse(1, []string{fmt.Sprintf(`"lab create" (pid %d) works on lab lab, since `, r.PID()), "lab-locked", "lab: try: "}, words...)
	}
	l.Must("list") // who only reads need not wait
	if res := l.Run("status", "-o", "json"); res.Code == 0 {
		var s flow.Status
		if err := json.Unmarshal([]byte(res.Stdout), &s); err != nil || s.Whole {
			t.Errorf("half a lab is whole: %v, %s", err, res)
		}
	} else {
		t.Error(res)
	}
	r.Signal(syscall.SIGCONT)
	if res := r.Wait(nil); res.Code != 0 {
		t.Error(res)
	}
	l.Await("the lab to be whole", func(context.Context) error {
		if !l.Status().Whole {
			return errors.New("not whole")
		}
		return nil
	})
	l.Must("destroy")
	l.MustBeGone()
}
