//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/local/silence"
	"github.com/mesoslab/lab/scenarios"
)

var (
	criteriaOfPartition = []string{"baseline", "victim", "silence", "lost", "replaced", "serving", "overlap", "agents", "whole"}
	phasesOfFailover    = []string{"detect", "back-off", "launch", "LB", "health"}

	criteriaOfChaos = []string{"baseline", "chaos", "agents", "instances", "whole"}
	phasesOfChaos   = []string{"chaos", "settle"}
)

// scenariosInside runs those that look into machines: at what runs on the far
// side of a cut, at what is on a disk, at what chance leaves behind.
func scenariosInside(t *testing.T, l *rig.Lab) {
	before := kinds(l)
	for _, c := range []struct {
		name             string
		criteria, phases []string
	}{
		{"partition", criteriaOfPartition, phasesOfFailover},
		{"stateful", []string{"baseline", "counted", "victim", "silence", "lost", "replaced", "serving", "agents", "forgotten", "remembered", "counted",
			"victim", "silence", "lost", "outage", "blocked", "agents", "remembered", "whole"}, []string{"detect", "back-off", "launch"}},
		{"chaos", criteriaOfChaos, phasesOfChaos},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "stateful" {
				needCuts(t)
			}
			l := l.In(t)
			ranAsTold(t, l, c.name, c.criteria, c.phases)
			noProcessLeft(l, before)
		})
	}
	l.Refuse(2, []string{"needs pings 15s x 5, this lab has 1s x 2", "lab create --patient"}, "scenario", "patience")
	for n := 1; n <= 3; n++ {
		data, err := filepath.Glob(filepath.Join(l.Dir(), "machines", fmt.Sprint("node", n), "*", "var", "lib", "lab-*"))
		if err != nil || len(data) > 0 {
			t.Errorf("an app's data are left: %v, %v", data, err)
		}
	}
}

// TestLongChaos does two hundred faults to one lab, in runs of ten: one run
// is repeated if a sampler got no time, which in ten minutes always happens
// to somebody.
func TestLongChaos(t *testing.T) {
	if !long() {
		t.Skip("takes ten minutes: LAB_TEST_LONG=1 asks for it")
	}
	needCuts(t)
	l := rig.New(t)
	l.Create("--fast")
	before := kinds(l)
	sc, err := scenarios.Load("chaos")
	if err != nil {
		t.Fatal(err)
	}
	const short = "faults=10 seed=7 keep=3s"
	if !strings.Contains(sc.Text, short) {
		t.Fatalf("the scenario does not say %q", short)
	}
	for seed := 11; seed < 31; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := l.In(t)
			name := fmt.Sprintf("chaos-%d.txt", seed)
			l.Write(name, strings.ReplaceAll(sc.Text, short, fmt.Sprintf("faults=10 seed=%d keep=1s", seed)))
			res := ranAsTold(t, l, "./"+name, criteriaOfChaos, phasesOfChaos)
			want := fmt.Sprintf("seed %d: 10 faults, each seen: ", seed)
			if i := slices.IndexFunc(res.Criteria, func(c scenarios.Criterion) bool { return c.Name == "chaos" }); !strings.HasPrefix(res.Criteria[i].Detail, want) {
				t.Errorf("chaos: %s", res.Criteria[i].Detail)
			}
			t.Logf("%d requests, %d failed; %s", res.Traffic.Done, res.Traffic.Failed, res.Criteria[1].Detail)
			noProcessLeft(l, before)
		})
	}
	l.Must("destroy")
	l.MustBeGone()
}

// TestLongPhases compares what failovers report with the event log, which a
// busy computer would write late.
func TestLongPhases(t *testing.T) {
	if !long() {
		t.Skip("needs a quiet computer: LAB_TEST_LONG=1 asks for it")
	}
	l := rig.New(t)
	l.Create("--fast")
	for n := range 3 {
		t.Run(fmt.Sprint("run ", n+1), func(t *testing.T) {
			l := l.In(t)
			for _, d := range l.LogDisagrees(mustPass(t, l, "failover"), "kill victim") {
				t.Error(d)
			}
			l.AwaitWhole()
		})
	}
	l.Must("destroy")
	l.MustBeGone()
}

// TestLongPatience waits as long as Mesos does by default. A lab that has other
// settings gets them by create, and gives them up again.
func TestLongPatience(t *testing.T) {
	if !long() {
		t.Skip("takes three minutes: LAB_TEST_LONG=1 asks for it")
	}
	l := rig.New(t)
	l.Create("--fast")
	if made := l.Create("--patient"); !slices.ContainsFunc(made.Changed, func(c string) bool { return strings.Contains(c, "mesos_master") }) {
		t.Errorf("changed: %v", made.Changed)
	}
	l.AwaitWhole()
	res := ranAsTold(t, l, "patience", []string{"baseline", "victim", "silence", "steady", "lost", "replaced", "serving", "agents", "whole"},
		phasesOfFailover)
	if d := res.Phases[0]; d.Name != "detect" || d.Seconds < 75 || d.Seconds > 91 {
		t.Errorf("detection took %.2f s: the law says 75 to 90 s", d.Seconds)
	}
	l.Create("--fast")
	l.AwaitWhole()
	l.Must("destroy")
	l.MustBeGone()
}

// needCuts skips where the network of embedded machines cannot be cut.
func needCuts(t *testing.T) {
	t.Helper()
	if err := silence.Supported(); err != nil {
		labtest.Missing(t, "cuts need socket filters: "+err.Error())
	}
}

// kinds counts a lab's processes by what they are.
func kinds(l *rig.Lab) map[string]int {
	out := map[string]int{}
	for _, p := range l.Processes() {
		words := p.Args[:min(3, len(p.Args))]
		if p.IsHAProxy() {
			words = words[:1] // reloaded, it starts itself anew with other words
		}
		out[strings.Join(append([]string{filepath.Base(words[0])}, words[1:]...), " ")]++
	}
	return out
}

// noProcessLeft waits until the machines run what they ran before, and no more.
func noProcessLeft(l *rig.Lab, before map[string]int) {
	l.Await("no process more than before", func(context.Context) error {
		var errs []error
		now := kinds(l)
		for kind, n := range now {
			if n > before[kind] {
				errs = append(errs, fmt.Errorf("%d × %s, not %d", n, kind, before[kind]))
			}
		}
		for kind, n := range before {
			if now[kind] < n {
				errs = append(errs, fmt.Errorf("%d × %s, not %d", now[kind], kind, n))
			}
		}
		return errors.Join(errs...)
	})
}
