package vagrant

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

func states(t *testing.T, p *Provider, plan lab.Plan) []lab.MachineState {
	t.Helper()
	st, err := p.Status(t.Context(), plan)
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	var out []lab.MachineState
	for _, s := range st {
		out = append(out, s.State)
	}
	return out
}

func up(t *testing.T, p *Provider, plan lab.Plan) []lab.Machine {
	t.Helper()
	ms, err := p.Up(t.Context(), plan)
	if err != nil {
		t.Fatalf("up: %v", err)
	}
	return ms
}

func running(n int) []lab.MachineState { return slices.Repeat([]lab.MachineState{lab.StateRunning}, n) }

// halfUp makes node1 to the end, node2 half, and then ends without a word.
func halfUp(k *call) bool {
	if !k.is("up") {
		return false
	}
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	for name, ip := range map[string]string{"node1": "192.168.59.1", "node2": "192.168.59.2", "node3": "192.168.59.3"} {
		k.w.vms[name] = &fakeVM{ip: ip, state: "not_created"}
	}
	k.one("node1")
	k.w.made("node2")
	k.w.vms["node2"].state = "running"
	k.out("1700000000,node2,ui,info,==> node2: Importing base box\n/usr/lib/ruby: [BUG] Segmentation fault\n")
	k.exit(139)
	return true
}

func TestDyingHalfWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	w.setScript(halfUp)
	_, err := p.Up(t.Context(), w.plan)
	if lab.ErrorID(err) != "vagrant-failed" || !strings.Contains(err.Error(), "Segmentation fault") || !strings.HasPrefix(err.Error(), "node2: ") {
		t.Fatalf("up: %v", err)
	}
	if len(w.texts(lab.EventDone, "node1")) != 1 || len(w.texts(lab.EventFail, "node2")) != 1 || len(w.texts(lab.EventFail, "node3")) != 1 {
		t.Errorf("events %+v", w.events)
	}
	w.setScript(nil)
	if got := states(t, p, w.plan); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateOff, lab.StateMissing}) {
		t.Errorf("states %v", got)
	}
	up(t, p, w.plan)
	if !slices.ContainsFunc(w.calls, func(c []string) bool { return slices.Equal(c, []string{"destroy", "--force", "node2"}) }) {
		t.Errorf("the half machine was not made anew: %q", w.calls)
	}
	if last := w.calls[slices.IndexFunc(w.calls, func(c []string) bool { return c[0] == "destroy" }):]; slices.ContainsFunc(last, func(c []string) bool { return c[0] == "up" && slices.Contains(c, "node1") }) {
		t.Errorf("the whole machine was touched: %q", last)
	}
	if got := states(t, p, w.plan); !slices.Equal(got, running(3)) {
		t.Errorf("states %v", got)
	}
}

func TestErrorsByClassInAnyLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setScript(func(k *call) bool {
		if k.is("up") {
			k.out("Vorgang läuft …\n1700000000,node1,ui,error,Gerät gesperrt\n")
			k.fail("Vagrant::Errors::MachineLocked", "Ein anderer Prozess, älter,\narbeitet schon.")
		}
		return k.is("up")
	})
	_, err := New(w.options()).Up(t.Context(), w.plan)
	e, ok := errors.AsType[*lab.Error](err)
	if !ok || e.ID != "vagrant-locked" || e.Advice == "" || !strings.Contains(e.Error(), "älter, arbeitet schon.") {
		t.Fatalf("up: %+v", err)
	}
	if got := w.texts(lab.EventWait, "node1"); !slices.Contains(got, "Gerät gesperrt") {
		t.Errorf("waits %q", got)
	}
}

func TestInterruptedVagrantEndsCleanly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("Ctrl-C")
	w.setScript(func(k *call) bool {
		if !k.is("up") {
			return false
		}
		cancel(why)
		if got := <-k.signals; got != "interrupt" {
			t.Errorf("got signal %q", got)
		}
		k.play() // Vagrant finishes what it is at
		k.exit(1)
		return true
	})
	if _, err := p.Up(ctx, w.plan); !errors.Is(err, why) {
		t.Fatalf("up: %v", err)
	}
	w.setScript(nil)
	if got := states(t, p, w.plan); !slices.Equal(got, running(3)) {
		t.Errorf("what was made is forgotten: %v", got)
	}
	up(t, p, w.plan)
	if w.called("destroy") != 0 || w.called("up") != 1 {
		t.Errorf("calls %q", w.calls)
	}
}

func TestSecondInterruptKillsTheGroup(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"up", "status"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := New(w.options())
			up(t, p, w.plan)
			w.mu.Lock()
			for _, vm := range w.vms { // so that Vagrant is asked
				w.net.Crash(vm.ip)
				vm.state = "poweroff"
			}
			w.mu.Unlock()
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan (<-chan struct{}), 4)
			w.setScript(func(k *call) bool {
				switch {
				case k.is("child"):
					gone <- k.gone
					cancel()
					return true
				case !k.is(command):
					return false
				}
				gone <- k.gone
				if command == "status" { // go-vagrant's: no group, no child
					cancel()
				} else {
					_ = k.enc.Encode(frame{Spawn: true})
				}
				<-k.signals // and goes on
				p.Kill()
				<-k.gone
				return true
			})
			if _, err := p.Up(ctx, w.plan); !errors.Is(err, context.Canceled) {
				t.Fatalf("up: %v", err)
			}
			<-<-gone
			if command == "up" {
				<-<-gone
			}
		})
	}
}

func TestGarbageAndLongLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	opts := w.options()
	opts.question = 2 * time.Second // go-vagrant hangs at long lines
	p := New(opts)
	long := strings.Repeat("y", 1<<20)
	w.setScript(func(k *call) bool {
		if k.is("version") {
			return false // one hanging question is enough
		}
		k.out("%s\n\xff\xfe,,,\n1700000000,node1\n1700000000,node9,state,burning\n1700000000,node1,ui,info,%s\n\x1b[31m\x00,,error,\n", long, long)
		return false
	})
	up(t, p, w.plan)
	for _, text := range w.texts(lab.EventWait, "node1") {
		if len(text) > 1000 {
			t.Errorf("an event of %d bytes", len(text))
		}
	}
	if err := p.Power(t.Context(), w.plan, []string{"node2"}, lab.PowerOff); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.net.Crash("192.168.59.3")
	w.vms["node3"].state = "aborted"
	w.mu.Unlock()
	before := w.called("status")
	if got := states(t, p, w.plan); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateOff, lab.StateOff}) {
		t.Errorf("states %v", got)
	}
	// go-vagrant fails on the long line, or was too slow to come so far.
	if n := w.called("status") - before; n < 1 || n > 2 {
		t.Errorf("status was asked %d times", n)
	}
}

func TestNoUsableVagrant(t *testing.T) {
	w := newWorld(t)
	p := New(w.options())
	for version, id := range map[string]string{"1.9.1": "vagrant-version", "not a number": "vagrant-failed"} {
		w.setScript(func(k *call) bool {
			if k.is("version") {
				k.out("1700000000,,version-installed,%s\n", version)
				k.exit(0)
			}
			return k.is("version")
		})
		if _, err := p.Up(t.Context(), w.plan); lab.ErrorID(err) != id {
			t.Errorf("%s: %v", version, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := p.Up(t.Context(), w.plan); lab.ErrorID(err) != "vagrant-missing" {
		t.Errorf("up without vagrant: %v", err)
	}
	if got := states(t, p, w.plan); got[0] != lab.StateMissing {
		t.Errorf("states %v", got)
	}
	if err := p.Destroy(t.Context(), w.plan); err != nil {
		t.Errorf("destroy of nothing without vagrant: %v", err)
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := takeLock(t.Context(), dir, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.working(0); err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(t.Context(), dir, 200*time.Millisecond); lab.ErrorID(err) != "vagrant-locked" {
		t.Errorf("second lock: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := takeLock(ctx, dir, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	l.release()
	// A lab command that was killed left its vagrant at work.
	orphan := exec.Command("cat")
	ownGroup(orphan)
	in, err := orphan.StdinPipe()
	if err == nil {
		err = orphan.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(working{PID: 1, Group: orphan.Process.Pid})
	if err := os.WriteFile(filepath.Join(dir, "vagrant.lock"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(t.Context(), dir, 200*time.Millisecond); lab.ErrorID(err) != "vagrant-locked" {
		t.Errorf("beside an orphan: %v", err)
	}
	in.Close()
	if err := orphan.Wait(); err != nil {
		t.Fatal(err)
	}
	if l, err = takeLock(t.Context(), dir, time.Minute); err != nil {
		t.Fatalf("after the orphan: %v", err)
	}
	l.release()
}

func TestCallsWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // its serve counts who is in the folder
	p := New(w.options())
	up(t, p, w.plan)
	var wg sync.WaitGroup
	for _, n := range w.plan.Nodes {
		for _, power := range []lab.Power{lab.PowerOff, lab.PowerCut} {
			wg.Go(func() {
				if err := p.Power(t.Context(), w.plan, []string{n.Name}, power); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

func TestVagrantfileChangedByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	up(t, p, w.plan)
	file := filepath.Join(w.dir, "Vagrantfile")
	w.plan.Spec.Vagrant.BoxVersion = "1.2" // ours to render anew
	up(t, p, w.plan)
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "box_version = '1.2'") {
		t.Fatalf("not rendered anew: %v\n%s", err, text)
	}
	changed := strings.Replace(string(text), "vb.cpus = 1", "vb.cpus = 3", 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = p.Up(t.Context(), w.plan)
	if lab.ErrorID(err) != "vagrantfile-changed" || !strings.Contains(err.Error(), "-         vb.cpus = 3") || !strings.Contains(err.Error(), "+         vb.cpus = 1") {
		t.Fatalf("up: %v", err)
	}
	if kept, _ := os.ReadFile(file); string(kept) != changed {
		t.Error("the change was not kept")
	}
	if err := p.Power(t.Context(), w.plan, []string{"node2"}, lab.PowerOff); err != nil {
		t.Errorf("power beside a changed file: %v", err)
	}
	opts := w.options()
	opts.Force = true
	up(t, New(opts), w.plan)
	if now, _ := os.ReadFile(file); string(now) != string(text) {
		t.Error("not rendered anew by force")
	}
}

func TestStatusStartsNoVagrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	states(t, p, w.plan)
	up(t, p, w.plan)
	for i, power := range []lab.Power{lab.PowerOff, lab.PowerCut, lab.PowerPause} {
		if err := p.Power(t.Context(), w.plan, []string{w.plan.Nodes[i].Name}, power); err != nil {
			t.Fatal(err)
		}
	}
	before := len(w.calls)
	if got := states(t, p, w.plan); !slices.Equal(got, []lab.MachineState{lab.StateOff, lab.StateCut, lab.StatePaused}) {
		t.Errorf("states %v", got)
	}
	if len(w.calls) != before {
		t.Errorf("vagrant was started: %q", w.calls[before:])
	}
}

// TestStatusTakesAnEngineForProof has SSH servers that answer nobody: machines
// whose engines answer run, and Vagrant is asked about the others only.
func TestStatusTakesAnEngineForProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	up(t, p, w.plan)
	for _, n := range w.plan.Nodes {
		w.net.Crash(n.IP.String())
	}
	w.plan.Answers = func(context.Context, string) bool { return true }
	before := len(w.calls)
	if got := states(t, p, w.plan); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateRunning, lab.StateRunning}) {
		t.Errorf("states %v", got)
	}
	if len(w.calls) != before {
		t.Errorf("vagrant was started: %q", w.calls[before:])
	}
	w.mu.Lock()
	w.vms["node2"].state = "poweroff"
	w.mu.Unlock()
	w.plan.Answers = func(_ context.Context, node string) bool { return node != "node2" }
	if got := states(t, p, w.plan); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateOff, lab.StateRunning}) {
		t.Errorf("with node2 shut down from within: %v", got)
	}
}

func TestBehindOurBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	first := up(t, p, w.plan)
	w.mu.Lock()
	w.net.Crash("192.168.59.1")
	w.vms["node1"].state = "poweroff" // shut down from within
	w.net.Crash("192.168.59.2")
	w.vms["node2"] = &fakeVM{ip: "192.168.59.2", state: "not_created"} // deleted; Vagrant's files stay
	w.mu.Unlock()
	if got := states(t, p, w.plan); !slices.Equal(got, []lab.MachineState{lab.StateOff, lab.StateMissing, lab.StateRunning}) {
		t.Errorf("states %v", got)
	}
	again := up(t, p, w.plan)
	if again[0] != first[0] || again[2] != first[2] || again[1].SSH.HostKey == first[1].SSH.HostKey {
		t.Errorf("machines %+v, then %+v", first, again)
	}
	w.mu.Lock()
	w.vms["node3"].signer = nil // another machine answers there
	w.boot("node3")
	w.mu.Unlock()
	if _, err := p.Up(t.Context(), w.plan); lab.ErrorID(err) != "host-key-changed" {
		t.Errorf("up: %v", err)
	}
}
