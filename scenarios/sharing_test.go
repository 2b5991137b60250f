package scenarios

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

var sharingMutants = []mutant{
	{"two-frameworks", "placebo", sabotage{}, Inconclusive, "fair"},
	{"two-frameworks", "tasks are counted, not shares", sabotage{sharingSabotage: sharingSabotage{countsTasks: true}}, Fail, "fair"},
	{"two-frameworks", "weights are ignored", sabotage{sharingSabotage: sharingSabotage{ignoresWeights: true}}, Fail, "fair"},
	{"two-frameworks", "the master has no weights", sabotage{sharingSabotage: sharingSabotage{losesFlags: true}}, Fail, "shifted"},
	{"two-frameworks", "no offer is refused", sabotage{sharingSabotage: sharingSabotage{silent: true}}, Inconclusive, "offers"},
	{"two-frameworks", "tasks outlive their framework", sabotage{sharingSabotage: sharingSabotage{lingers: true}}, Inconclusive, "parted"},
	{"two-frameworks", "one container too many", sabotage{surplus: true}, Fail, "whole"},
}

// TestFairTasks holds the prediction to the paper's own example (Ghodsi et al.,
// NSDI 2011, section 4.1), to weights, and to what can be told by hand.
func TestFairTasks(t *testing.T) {
	one := func(cpus, mem float64) []SlaveRoom { return []SlaveRoom{{CPUs: cpus, Mem: mem}} }
	for name, c := range map[string]struct {
		h       Holdings
		demands []Demand
		want    map[string]int
	}{
		"the paper's example": {
			Holdings{Slaves: one(9, 18)},
			[]Demand{{Name: "A", CPUs: 1, Mem: 4}, {Name: "B", CPUs: 3, Mem: 1}},
			map[string]int{"A": 3, "B": 2},
		},
		"equals": {
			Holdings{Slaves: one(8, 100)},
			[]Demand{{Name: "A", CPUs: 1, Mem: 1}, {Name: "B", CPUs: 1, Mem: 1}},
			map[string]int{"A": 4, "B": 4},
		},
		"one weighs three": {
			Holdings{Slaves: one(8, 100), Weights: map[string]float64{"big": 3}},
			[]Demand{{Name: "A", Role: "big", CPUs: 1, Mem: 1}, {Name: "B", CPUs: 1, Mem: 1}},
			map[string]int{"A": 6, "B": 2},
		},
		"who fits nowhere leaves the rest to others": {
			Holdings{Slaves: one(3, 100)},
			[]Demand{{Name: "A", CPUs: 2, Mem: 1}, {Name: "B", CPUs: 1, Mem: 1}},
			map[string]int{"A": 1, "B": 1},
		},
		"a task fits on one slave, not across two": {
			Holdings{Slaves: []SlaveRoom{{CPUs: 1, Mem: 10}, {CPUs: 1, Mem: 10}}},
			[]Demand{{Name: "A", CPUs: 2, Mem: 1}, {Name: "B", CPUs: 1, Mem: 1}},
			map[string]int{"B": 2},
		},
		"others keep what they have": {
			Holdings{Slaves: []SlaveRoom{{CPUs: 8, Mem: 100, TakenCPUs: 4}}},
			[]Demand{{Name: "A", CPUs: 1, Mem: 1}, {Name: "B", CPUs: 1, Mem: 1}},
			map[string]int{"A": 2, "B": 2},
		},
	} {
		if got := fairTasks(c.h, c.demands); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestFrameworksAreChecked(t *testing.T) {
	for script, want := range map[string]string{
		"framework marathon":           "is not marathon",
		"framework Blue":               "a name is made of small letters",
		"framework blue cpus=0":        `cpus="0" must be a number from 0.01`,
		"framework blue mem=lots":      `mem="lots" must be a number`,
		"expect fair":                  "no framework runs by then",
		"leave":                        "no framework runs by then",
		"framework blue role=x\nleave": "",
	} {
		err := Sound(t.Context(), Parse("mine.txt", "# x\n"+script+"\n"))
		if want == "" && err != nil || want != "" && (!errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}
