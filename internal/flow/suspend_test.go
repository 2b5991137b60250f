package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/state"
)

// vms is a provider in memory that has snapshots.
type vms struct {
	*labtest.MemProvider
	during func(name string) error // called while machines are saved or restored
	have   map[string][]string
}

func (v *vms) SaveSnapshot(_ context.Context, _ lab.Plan, name string) error { return v.during(name) }
func (v *vms) RestoreSnapshot(_ context.Context, _ lab.Plan, name string) error {
	return v.during(name)
}
func (v *vms) Snapshots(context.Context, lab.Plan) (map[string][]string, error) { return v.have, nil }

// stiff cannot pause.
type stiff struct{ *labtest.MemProvider }

func (s stiff) Features() lab.Features {
	f := s.MemProvider.Features()
	f.PowerModes = []lab.Power{lab.PowerOn, lab.PowerOff}
	return f
}

// onMemory makes a lab of two machines in memory that run.
func onMemory(t *testing.T, provider string) (*Flow, *vms, *state.Lab) {
	t.Helper()
	v := &vms{MemProvider: labtest.NewMemProvider(labtest.NewNetwork())}
	f := &Flow{
		Store:     state.NewStore(t.TempDir()),
		Providers: map[string]lab.Provider{"vms": v, "memory": v.MemProvider, "stiff": stiff{v.MemProvider}},
	}
	l, err := f.Store.Allocate(lab.Spec{Slaves: 1}.WithDefaults(), provider, v.Features().Subnets, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	plan, err := f.plan(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	return f, v, l
}

func machineStates(t *testing.T, f *Flow, l *state.Lab) (out []lab.MachineState) {
	t.Helper()
	plan, err := f.plan(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, err := f.Providers[l.Provider].Status(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range status {
		out = append(out, s.State)
	}
	return out
}

func journal(t *testing.T, l *state.Lab) []state.Fault {
	t.Helper()
	faults, err := l.Faults()
	if err != nil {
		t.Fatal(err)
	}
	return faults
}

func TestSuspendIsInTheJournalFirst(t *testing.T) {
	f, v, l := onMemory(t, "memory")
	boom := errors.New("no power over node2")
	v.Fail = func(op, machine string) error {
		if op == string(lab.PowerPause) {
			if len(journal(t, l)) != 1 {
				t.Errorf("%s is paused and the journal does not know", machine)
			}
			if machine == "node2" {
				return boom
			}
		}
		return nil
	}
	if _, err := f.Suspend(t.Context(), "lab"); !errors.Is(err, boom) {
		t.Fatalf("suspend: %v", err)
	}
	if got := machineStates(t, f, l); !slices.Equal(got, []lab.MachineState{lab.StatePaused, lab.StateRunning}) {
		t.Errorf("states %v", got)
	}
	v.Fail = nil
	for range 2 { // it goes on where it was stopped, and once is enough
		if _, err := f.Suspend(t.Context(), "lab"); err != nil {
			t.Fatal(err)
		}
		if got := journal(t, l); len(got) != 1 || got[0].Mends() != "lab resume" || !slices.Equal(got[0].Nodes, []string{"node1", "node2"}) {
			t.Errorf("journal %+v", got)
		}
	}
	if got := machineStates(t, f, l); !slices.Equal(got, []lab.MachineState{lab.StatePaused, lab.StatePaused}) {
		t.Errorf("states %v", got)
	}
	if _, err := f.heal(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if got := machineStates(t, f, l); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateRunning}) || len(journal(t, l)) > 0 {
		t.Errorf("states %v, journal %v", got, journal(t, l))
	}
}

func TestSuspendRefuses(t *testing.T) {
	f, v, l := onMemory(t, "memory")
	plan, err := f.plan(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Power(t.Context(), plan, []string{"node2"}, lab.PowerOff); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Suspend(t.Context(), "lab"); lab.ErrorID(err) != "lab-not-whole" || !strings.HasPrefix(err.Error(), "node2: ") {
		t.Errorf("one is off: %v", err)
	}
	if len(journal(t, l)) > 0 {
		t.Errorf("nothing was done, but the journal says %v", journal(t, l))
	}
	if err := l.RecordFault(state.Fault{ID: "x", By: "scenario failover", Fault: "cut node2", Undo: lab.PowerOn, Nodes: []string{"node2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Suspend(t.Context(), "lab"); lab.ErrorID(err) != "lab-broken" {
		t.Errorf("a fault is open: %v", err)
	}
	if _, err := f.Suspend(t.Context(), "another"); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("no such lab: %v", err)
	}

	if _, err := f.Resume(t.Context(), "lab"); lab.ErrorID(err) != "lab-not-made" {
		t.Errorf("resume of what was never up: %v", err)
	}

	f, _, _ = onMemory(t, "stiff")
	_, err = f.Suspend(t.Context(), "lab")
	e, ok := errors.AsType[*lab.Error](err)
	if !ok || e.ID != "suspend-unsupported" || !strings.Contains(e.Advice, "memory, vms;") || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a provider that cannot: %+v", err)
	}
}

func TestSnapshotIsInTheJournalWhileItLasts(t *testing.T) {
	f, v, l := onMemory(t, "vms")
	entries := 0
	v.during = func(string) error { entries = len(journal(t, l)); return nil }
	if _, err := f.SaveSnapshot(t.Context(), "lab", "clean"); err != nil || entries != 1 || len(journal(t, l)) != 0 {
		t.Errorf("save: %v; %d entries meanwhile, %v after", err, entries, journal(t, l))
	}
	// A refusal that changed nothing leaves nothing.
	boom := errors.New("no such snapshot")
	v.during = func(string) error { return boom }
	if _, err := f.RestoreSnapshot(t.Context(), "lab", "dirty"); !errors.Is(err, boom) || len(journal(t, l)) != 0 {
		t.Errorf("restore: %v, journal %v", err, journal(t, l))
	}
	// What was interrupted leaves an entry that resume strikes.
	ctx, cancel := context.WithCancel(t.Context())
	v.during = func(string) error { cancel(); return context.Cause(ctx) }
	if _, err := f.SaveSnapshot(ctx, "lab", "clean"); !errors.Is(err, context.Canceled) {
		t.Errorf("save: %v", err)
	}
	if got := journal(t, l); len(got) != 1 || got[0].By != "lab snapshot save clean" || got[0].Mends() != "lab resume" {
		t.Errorf("journal %+v", got)
	}
	if _, err := f.SaveSnapshot(t.Context(), "lab", "clean"); lab.ErrorID(err) != "lab-broken" {
		t.Errorf("save of a broken lab: %v", err)
	}
}

func TestSnapshotsByName(t *testing.T) {
	f, v, _ := onMemory(t, "vms")
	v.have = map[string][]string{"node1": {"clean", "two"}, "node2": {"clean"}, "node9": {"old"}}
	got, err := f.Snapshots(t.Context(), "lab")
	if err != nil || len(got) != 3 || got[0].Name != "clean" || !got[0].Whole || got[1].Name != "two" || got[1].Whole || got[2].Whole {
		t.Errorf("%+v, %v", got, err)
	}
	f, _, _ = onMemory(t, "memory")
	for what, call := range map[string]func() error{
		"list":    func() error { _, err := f.Snapshots(t.Context(), "lab"); return err },
		"save":    func() error { _, err := f.SaveSnapshot(t.Context(), "lab", "x"); return err },
		"restore": func() error { _, err := f.RestoreSnapshot(t.Context(), "lab", "x"); return err },
	} {
		if err := call(); lab.ErrorID(err) != "snapshot-unsupported" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPreviewMakesNothing(t *testing.T) {
	f, v, l := onMemory(t, "memory")
	plan, err := f.Preview(lab.Spec{Name: "lab", Slaves: 3}, "memory")
	if err != nil || plan.ID != l.ID || len(plan.Nodes) != 4 || plan.Spec.Subnet != l.Spec.Subnet {
		t.Errorf("of the lab: %+v, %v", plan, err)
	}
	if _, err := f.Preview(lab.Spec{Name: "lab", Subnet: "127.200.9.0/24"}, "memory"); lab.ErrorID(err) != "spec-fixed" {
		t.Errorf("addresses that stay: %v", err)
	}
	plan, err = f.Preview(lab.Spec{Name: "lab"}, "vms") // another provider: another lab
	if err != nil || plan.ID != unmadeID || plan.Spec.Subnet != v.Features().Subnets[0] || plan.Dir != "" {
		t.Errorf("of none: %+v, %v", plan, err)
	}
	if back, err := f.Store.Load("lab"); err != nil || back.Spec.Slaves != 1 {
		t.Errorf("the record: %+v, %v", back, err)
	}
}
