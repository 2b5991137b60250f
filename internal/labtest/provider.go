package labtest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

// Dialer is what a Provider under test may have whose machines are not on
// this computer's own network.
type Dialer interface {
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// silence is how long nothing must happen to count as silence. It proves
// nothing about speed: a machine that is cut stays silent for ever.
const silence = 400 * time.Millisecond

// TestProvider is what every lab.Provider keeps: each subtest gets a provider
// and a plan of at least two machines whose subnet is free. Power modes that
// its Features do not name must be refused; the rest is tested without them.
func TestProvider(t *testing.T, newProvider func(t *testing.T) (lab.Provider, lab.Plan)) {
	for name, test := range map[string]func(*bench){
		"up twice":                  (*bench).upTwice,
		"missing before, and after": (*bench).lifecycle,
		"off and on":                (*bench).offAndOn,
		"cut is silent":             (*bench).cut,
		"crash resets":              (*bench).crash,
		"pause goes on":             (*bench).pause,
		"pause, then cut":           (*bench).pauseThenCut,
		"power by any name":         (*bench).names,
		"power of what is not":      (*bench).missing,
		"half destroyed":            (*bench).halfDestroyed,
		"up from every state":       (*bench).upFromEveryState,
	} {
		t.Run(name, func(t *testing.T) {
			p, plan := newProvider(t)
			if len(plan.Nodes) < 2 {
				t.Fatal("the suite needs two machines")
			}
			b := &bench{T: t, p: p, plan: plan}
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if err := p.Destroy(ctx, plan); err != nil {
					t.Errorf("destroy: %v", err)
				}
			})
			test(b)
		})
	}
}

// bench is one test of the suite.
type bench struct {
	*testing.T
	p    lab.Provider
	plan lab.Plan
}

func (b *bench) up() []lab.Machine {
	b.Helper()
	ms, err := b.p.Up(b.Context(), b.plan)
	if err != nil {
		b.Fatalf("up: %v", err)
	}
	if len(ms) != len(b.plan.Nodes) {
		b.Fatalf("up returned %d machines, want %d", len(ms), len(b.plan.Nodes))
	}
	for i, m := range ms {
		if m.Node != b.plan.Nodes[i] {
			b.Fatalf("machine %d is %+v, want %+v", i, m.Node, b.plan.Nodes[i])
		}
		if m.SSH.Addr == "" || m.SSH.User == "" || m.SSH.KeyFile == "" || m.SSH.HostKey == "" {
			b.Fatalf("%s: incomplete endpoint %+v", m.Name, m.SSH)
		}
	}
	return ms
}

func (b *bench) power(power lab.Power, names ...string) {
	b.Helper()
	if err := b.p.Power(b.Context(), b.plan, names, power); err != nil {
		b.Fatalf("power %s of %v: %v", power, names, err)
	}
}

func (b *bench) status() []lab.MachineStatus {
	b.Helper()
	st, err := b.p.Status(b.Context(), b.plan)
	if err != nil {
		b.Fatalf("status: %v", err)
	}
	if len(st) != len(b.plan.Nodes) {
		b.Fatalf("status of %d machines, want %d", len(st), len(b.plan.Nodes))
	}
	return st
}

// can reports whether the provider promises a power mode.
func (b *bench) can(power lab.Power) bool {
	return slices.Contains(b.p.Features().PowerModes, power)
}

// death is the provider's way to end a machine that comes nearest to a crash.
func (b *bench) death() lab.Power {
	if b.can(lab.PowerCrash) {
		return lab.PowerCrash
	}
	return lab.PowerOff
}

// refusesMode asserts that a mode that is not promised is refused and does
// nothing.
func (b *bench) refusesMode(m lab.Machine, power lab.Power) {
	b.Helper()
	if err := b.p.Power(b.Context(), b.plan, []string{m.Name}, power); !errors.Is(err, errors.ErrUnsupported) {
		b.Errorf("power %s: %v, want unsupported", power, err)
	}
	b.greeted(m)
}

// states asserts the states of the first machines.
func (b *bench) states(want ...lab.MachineState) {
	b.Helper()
	st := b.status()
	for i, w := range want {
		if st[i].State != w {
			b.Fatalf("%s is %s, want %s", st[i].Machine.Name, st[i].State, w)
		}
		if st[i].Machine.Name != b.plan.Nodes[i].Name {
			b.Fatalf("status %d is about %s", i, st[i].Machine.Name)
		}
	}
}

func (b *bench) dial(ctx context.Context, address string) (net.Conn, error) {
	if d, ok := b.p.(Dialer); ok {
		return d.Dial(ctx, "tcp", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// greeted dials a machine and reads its greeting.
func (b *bench) greeted(m lab.Machine) net.Conn {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	c, err := b.dial(ctx, m.SSH.Addr)
	if err != nil {
		b.Fatalf("dial %s: %v", m.Name, err)
	}
	b.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "SSH-2.0-") {
		b.Fatalf("%s greets %q, %v", m.Name, line, err)
	}
	return c
}

// unreachable asserts that newcomers hang, as before a machine without power.
func (b *bench) unreachable(m lab.Machine) {
	b.Helper()
	for range 3 {
		ctx, cancel := context.WithTimeout(b.Context(), silence)
		c, err := b.dial(ctx, m.SSH.Addr)
		cancel()
		if err == nil {
			c.Close()
			b.Fatalf("%s can be dialled", m.Name)
		}
		if ne, ok := errors.AsType[net.Error](err); !errors.Is(err, context.DeadlineExceeded) && (!ok || !ne.Timeout()) {
			b.Fatalf("dial %s: %v, want a time-out", m.Name, err)
		}
	}
}

// refused asserts that the kernel answers for dead processes.
func (b *bench) refused(m lab.Machine) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	c, err := b.dial(ctx, m.SSH.Addr)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		b.Fatalf("dial %s: %v, want refused", m.Name, err)
	}
}

// silent asserts that nothing comes over an open connection, not even its end.
func (b *bench) silent(c net.Conn) {
	b.Helper()
	c.SetReadDeadline(time.Now().Add(silence))
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		b.Fatalf("an open connection gave %d bytes, %v; want silence", n, err)
	}
}

// ended asserts that an open connection was ended by the other side's kernel.
func (b *bench) ended(c net.Conn) {
	b.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err := io.Copy(io.Discard, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.Fatal("an open connection is still silent, want its end")
	}
}

func (b *bench) upTwice() {
	first := b.up()
	pids := b.status()
	second := b.up()
	for i := range first {
		if first[i] != second[i] {
			b.Errorf("%s changed: %+v, then %+v", first[i].Name, first[i], second[i])
		}
	}
	for i, st := range b.status() {
		if st.State != lab.StateRunning || st.PID != pids[i].PID || !st.Since.Equal(pids[i].Since) {
			b.Errorf("%s was not left alone: %+v, then %+v", st.Machine.Name, pids[i], st)
		}
		if st.Machine.SSH != first[i].SSH {
			b.Errorf("status says %+v, up says %+v", st.Machine.SSH, first[i].SSH)
		}
	}
	for _, m := range first {
		b.greeted(m)
	}
}

func (b *bench) lifecycle() {
	b.states(lab.StateMissing, lab.StateMissing)
	ms := b.up()
	b.states(lab.StateRunning, lab.StateRunning)
	for range 2 {
		if err := b.p.Destroy(b.Context(), b.plan); err != nil {
			b.Fatalf("destroy: %v", err)
		}
		b.states(lab.StateMissing, lab.StateMissing)
	}
	for _, m := range ms {
		b.refused(m)
	}
	b.up()
	b.states(lab.StateRunning, lab.StateRunning)
}

func (b *bench) offAndOn() {
	ms := b.up()
	c := b.greeted(ms[1])
	for range 2 {
		b.power(lab.PowerOff, ms[1].Name)
		b.states(lab.StateRunning, lab.StateOff)
	}
	b.ended(c)
	b.refused(ms[1])
	b.greeted(ms[0])
	for range 2 {
		b.power(lab.PowerOn, ms[1].Name)
		b.states(lab.StateRunning, lab.StateRunning)
	}
	b.greeted(ms[1])
}

func (b *bench) cut() {
	ms := b.up()
	c := b.greeted(ms[1])
	for range 2 {
		b.power(lab.PowerCut, ms[1].Name)
		b.states(lab.StateRunning, lab.StateCut)
		b.unreachable(ms[1])
	}
	b.silent(c)
	b.greeted(ms[0])
	b.power(lab.PowerOn, ms[1].Name)
	b.states(lab.StateRunning, lab.StateRunning)
	b.ended(c) // nothing of the old life goes on
	b.greeted(ms[1])
}

func (b *bench) crash() {
	ms := b.up()
	if !b.can(lab.PowerCrash) {
		b.refusesMode(ms[1], lab.PowerCrash)
		return
	}
	c := b.greeted(ms[1])
	for range 2 {
		b.power(lab.PowerCrash, ms[1].Name)
		b.states(lab.StateRunning, lab.StateOff)
	}
	b.ended(c)
	b.refused(ms[1])
	b.power(lab.PowerOn, ms[1].Name)
	b.states(lab.StateRunning, lab.StateRunning)
	b.greeted(ms[1])
}

func (b *bench) pause() {
	ms := b.up()
	before := b.status()[1].PID
	c := b.greeted(ms[1])
	for range 2 {
		b.power(lab.PowerPause, ms[1].Name)
		b.states(lab.StateRunning, lab.StatePaused)
		b.unreachable(ms[1])
	}
	b.silent(c)
	for range 2 {
		b.power(lab.PowerOn, ms[1].Name)
		b.states(lab.StateRunning, lab.StateRunning)
		b.greeted(ms[1])
	}
	if after := b.status()[1].PID; after != before {
		b.Errorf("the machine was started anew (%d, then %d), want it to go on", before, after)
	}
	b.silent(c) // still open: a server that waits for its client
	b.power(lab.PowerPause, ms[1].Name)
	b.power(lab.PowerOff, ms[1].Name)
	b.states(lab.StateRunning, lab.StateOff)
	b.ended(c)
	if err := b.p.Power(b.Context(), b.plan, []string{ms[1].Name}, lab.PowerPause); err == nil {
		b.Error("a machine that is off was paused")
	}
}

func (b *bench) pauseThenCut() {
	ms := b.up()
	c := b.greeted(ms[1])
	b.power(lab.PowerPause, ms[1].Name)
	b.power(lab.PowerCut, ms[1].Name)
	b.states(lab.StateRunning, lab.StateCut)
	b.silent(c)
	if !b.can(lab.PowerCrash) {
		b.power(lab.PowerOn, ms[1].Name) // only a machine with power can answer
	}
	b.power(b.death(), ms[1].Name)
	b.states(lab.StateRunning, lab.StateOff)
	b.ended(c)
	b.power(lab.PowerCut, ms[1].Name) // no power to cut
	b.states(lab.StateRunning, lab.StateOff)
	b.refused(ms[1])
}

func (b *bench) names() {
	ms := b.up()
	for _, name := range []string{ms[1].Alias(), ms[1].IP.String()} {
		b.power(b.death(), name)
		b.states(lab.StateRunning, lab.StateOff)
		b.power(lab.PowerOn, name)
	}
	b.power(lab.PowerCut, ms[0].Name, ms[1].Name)
	b.states(lab.StateCut, lab.StateCut)
	b.power(lab.PowerOn, ms[0].Name, ms[1].Name)
	b.states(lab.StateRunning, lab.StateRunning)
	if err := b.p.Power(b.Context(), b.plan, []string{"node99"}, lab.PowerOff); lab.ErrorID(err) != "unknown-machine" {
		b.Errorf("power of node99: %v", err)
	}
	if err := b.p.Power(b.Context(), b.plan, []string{ms[0].Name}, "explode"); !errors.Is(err, errors.ErrUnsupported) {
		b.Errorf("power explode: %v", err)
	}
	b.states(lab.StateRunning, lab.StateRunning)
}

func (b *bench) missing() {
	name := b.plan.Nodes[0].Name
	for _, power := range b.p.Features().PowerModes {
		if err := b.p.Power(b.Context(), b.plan, []string{name}, power); !errors.Is(err, lab.ErrNotFound) {
			b.Errorf("power %s of a missing machine: %v", power, err)
		}
	}
	if err := b.p.Destroy(b.Context(), b.plan); err != nil {
		b.Errorf("destroy of nothing: %v", err)
	}
}

func (b *bench) halfDestroyed() {
	ms := b.up()
	half := b.plan
	half.Nodes = b.plan.Nodes[1:2]
	if err := b.p.Destroy(b.Context(), half); err != nil {
		b.Fatal(err)
	}
	b.states(lab.StateRunning, lab.StateMissing)
	b.greeted(ms[0])
	ms = b.up()
	b.states(lab.StateRunning, lab.StateRunning)
	b.greeted(ms[1])
}

func (b *bench) upFromEveryState() {
	ms := b.up()
	for _, power := range []lab.Power{lab.PowerOff, lab.PowerCut, lab.PowerCrash, lab.PowerPause} {
		if !b.can(power) {
			continue
		}
		b.power(power, ms[1].Name)
		again := b.up()
		b.states(lab.StateRunning, lab.StateRunning)
		if again[1] != ms[1] {
			b.Errorf("after %s: %+v, want %+v", power, again[1], ms[1])
		}
		b.greeted(again[1])
	}
	for _, power := range []lab.Power{lab.PowerOff, lab.PowerCut, lab.PowerPause} {
		b.power(power, ms[1].Name)
		if err := b.p.Destroy(b.Context(), b.plan); err != nil {
			b.Fatalf("destroy after %s: %v", power, err)
		}
		b.states(lab.StateMissing, lab.StateMissing)
		ms = b.up()
	}
}
