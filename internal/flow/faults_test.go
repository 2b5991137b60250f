package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/disturb"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

// TestOrderOfHealing: machines, daemons, containers, networks, the newest of
// each first.
func TestOrderOfHealing(t *testing.T) {
	var faults []state.Fault
	for _, f := range []scenarios.Fault{
		{Verb: "cut", Part: scenarios.PartNetwork, Node: "node2"},
		{Verb: "pause", Part: scenarios.PartTask, Node: "node2", Container: "c1", Task: "nginx.1"},
		{Verb: "stop", Part: scenarios.PartComponent, Node: "node1", Container: "marathon"},
		{Verb: "kill", Part: scenarios.PartMachine, Node: "node2"},
		{Verb: "stop", Part: scenarios.PartDocker, Node: "node3"},
		{Verb: "stop", Part: scenarios.PartDocker, Node: "node1"},
	} {
		e := entry(f, "lab break")
		if back := faultIn(e); back != f {
			t.Errorf("in the journal %+v is %+v", f, back)
		}
		faults = append(faults, e)
	}
	var got []string
	for _, e := range inOrder(faults) {
		got = append(got, e.Fault)
	}
	want := []string{"kill node2", "stop docker on node1", "stop docker on node3", "stop marathon", "pause nginx.1 on node2", "cut node2"}
	if !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	// An entry of before there were parts is about machines.
	if f := faultIn(state.Fault{Fault: "cut node2", Undo: lab.PowerOn, Nodes: []string{"node2"}}); f.Part != scenarios.PartMachine || f.Node != "node2" {
		t.Errorf("an old entry: %+v", f)
	}
}

func TestPeersOfDisturbances(t *testing.T) {
	f, _, l := madeInMemory(t, "memory")
	v, err := f.open(l, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	cut := v.disturbances(scenarios.Fault{Verb: "cut", Part: scenarios.PartNetwork, Node: "node2"})
	slow := v.disturbances(scenarios.Fault{Verb: "slow", Part: scenarios.PartNetwork, Node: "node2", From: "node1", Delay: time.Second})
	for _, c := range []struct {
		node string
		all  []lab.Disturbance
		cut  bool
		slow time.Duration
	}{
		{"node1", cut, true, 0}, {"node2", cut, true, 0}, // both sides drop
		{"node1", slow, false, 0}, {"node2", slow, false, time.Second}, // who sends is slow
		{"node2", slices.Concat(cut, slow), true, time.Second},
	} {
		got := disturb.Towards(v.plan.Nodes, c.node, c.all)
		var cut bool
		var delay time.Duration
		for _, p := range got {
			cut, delay = cut || p.Cut, max(delay, p.Delay)
		}
		if cut != c.cut || delay != c.slow {
			t.Errorf("%s with %+v: %+v", c.node, c.all, got)
		}
	}
}

// cuttable is a provider in memory that disturbs its network by itself.
type cuttable struct {
	*vms
	now []lab.Disturbance
	err error
}

func (c *cuttable) CanDisturb(_ context.Context, _ lab.Plan, d lab.Disturbance) error {
	if !d.Cut {
		return errors.New("only cuts")
	}
	return nil
}

func (c *cuttable) Disturb(_ context.Context, _ lab.Plan, all []lab.Disturbance) error {
	c.now = all
	return c.err
}

func TestNetworkFaultsAreTheProviders(t *testing.T) {
	f, v, l := madeInMemory(t, "memory")
	if _, err := f.Break(t.Context(), "lab", "cut", []string{"node2"}, 0); lab.ErrorID(err) != "fault-unsupported" || !errors.Is(err, lab.ErrUsage) {
		t.Errorf("a provider that cannot: %v", err)
	}
	c := &cuttable{vms: v}
	f.Providers["memory"] = c
	if _, err := f.Break(t.Context(), "lab", "slow", []string{"node2", "delay=1s"}, 0); err == nil || !strings.Contains(err.Error(), "only cuts") {
		t.Errorf("what it says it cannot do: %v", err)
	}
	c.err = errors.New("half of it")
	if _, err := f.Break(t.Context(), "lab", "cut", []string{"node2"}, 0); !errors.Is(err, c.err) || len(journal(t, l)) != 1 {
		t.Errorf("a cut that failed: %v, journal %v", err, journal(t, l))
	}
	c.err = nil
	if mended, err := f.Heal(t.Context(), "lab"); err != nil || len(mended) != 1 || len(c.now) != 0 || len(journal(t, l)) != 0 {
		t.Errorf("healed %v, %v; disturbed %v", mended, err, c.now)
	}
	if res, err := f.Break(t.Context(), "lab", "cut", []string{"node1"}, 0); err != nil || len(c.now) != 1 || !c.now[0].Cut || res.Things[0] != "node1" {
		t.Errorf("%+v, %v; disturbed %v", res, err, c.now)
	}
	if _, err := f.Heal(t.Context(), "lab"); err != nil || len(c.now) != 0 {
		t.Errorf("%v; disturbed %v", err, c.now)
	}
}
