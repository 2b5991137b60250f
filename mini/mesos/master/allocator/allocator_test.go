package allocator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// start is any time: the allocator knows only what it is told.
func start() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func agents(a *Allocator, totals ...resource.Set) {
	for i, t := range totals {
		a.AddAgent(Agent{ID: fmt.Sprintf("a%d", i), Total: t, Checkpoint: true})
	}
}

func brief(grants []Grant) []string {
	var list []string
	for _, g := range grants {
		list = append(list, fmt.Sprintf("%s@%s %s: %s", g.Framework, g.Role, g.Agent, g.Resources))
	}
	return list
}

func expect(t *testing.T, what string, got []Grant, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, brief(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestCoarse(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(4, 2048), resource.CPUMem(2, 1024))
	a.AddFramework(Framework{ID: "f", Roles: []string{"*"}})
	expect(t, "all to the only framework", a.Allocate(start()),
		"f@* a0: cpus(*):4; mem(*):2048", "f@* a1: cpus(*):2; mem(*):1024")
	expect(t, "nothing twice", a.Allocate(start()))
	a.Recover("a0", "f", "*", resource.CPUMem(3, 2048), 0, start())
	expect(t, "what came back", a.Allocate(start(), "a0"), "f@* a0: cpus(*):3; mem(*):2048")
}

func TestMinimum(t *testing.T) {
	for _, c := range []struct {
		free resource.Set
		want int
	}{
		{resource.CPUMem(0.01, 0), 1}, {resource.CPUMem(0, 32), 1},
		{resource.CPUMem(0.009, 31.9), 0}, {resource.CPUMem(0, 0), 0},
	} {
		a := New(nil, nil)
		agents(a, c.free)
		a.AddFramework(Framework{ID: "f", Roles: []string{"*"}})
		if got := a.Allocate(start()); len(got) != c.want {
			t.Errorf("%s: %d grants, want %d", c.free, len(got), c.want)
		}
	}
}

func TestFairness(t *testing.T) {
	a := New(nil, nil)
	var totals []resource.Set
	for range 6 {
		totals = append(totals, resource.CPUMem(4, 4096))
	}
	agents(a, totals...)
	for _, id := range []string{"x", "y", "z"} {
		a.AddFramework(Framework{ID: id, Roles: []string{"*"}})
	}
	count := map[string]int{}
	for _, g := range a.Allocate(start()) {
		count[g.Framework]++
	}
	if d := cmp.Diff(map[string]int{"x": 2, "y": 2, "z": 2}, count); d != "" {
		t.Errorf("agents for each (-want +got):\n%s", d)
	}
}

// TestDominant: y holds little memory but many cpus, so it is x's turn.
func TestDominant(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(10, 10000), resource.CPUMem(10, 10000))
	a.AddFramework(Framework{ID: "x", Roles: []string{"*"}})
	a.AddFramework(Framework{ID: "y", Roles: []string{"*"}})
	a.Hold("a0", "x", "*", resource.CPUMem(1, 5000)) // a quarter of the memory
	a.Hold("a0", "y", "*", resource.CPUMem(6, 100))  // 30 % of the cpus
	expect(t, "next", a.Allocate(start(), "a1"), "x@* a1: cpus(*):10; mem(*):10000")
}

func TestWeights(t *testing.T) {
	a := New(map[string]float64{"big": 3}, nil)
	var totals []resource.Set
	for range 8 {
		totals = append(totals, resource.CPUMem(1, 1000))
	}
	agents(a, totals...)
	a.AddFramework(Framework{ID: "b", Roles: []string{"big"}})
	a.AddFramework(Framework{ID: "s", Roles: []string{"small"}})
	count := map[string]int{}
	for _, g := range a.Allocate(start()) {
		count[g.Role]++
	}
	if d := cmp.Diff(map[string]int{"big": 6, "small": 2}, count); d != "" {
		t.Errorf("3:1 (-want +got):\n%s", d)
	}
}

func TestTies(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(4, 4096))
	a.AddFramework(Framework{ID: "y", Roles: []string{"*"}})
	a.AddFramework(Framework{ID: "x", Roles: []string{"*"}})
	for i, want := range []string{"x", "y", "x", "y"} { // by name, then by who had fewer
		got := a.Allocate(start())
		if len(got) != 1 || got[0].Framework != want {
			t.Fatalf("grant %d: %v, want %s", i, brief(got), want)
		}
		a.Recover("a0", got[0].Framework, "*", got[0].Resources, 0, start())
	}
}

func TestReservations(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(4, 1000).Add(resource.Of(resource.Item{Name: "cpus", Role: "web", Milli: 2000})))
	a.AddFramework(Framework{ID: "db", Roles: []string{"db"}})
	a.AddFramework(Framework{ID: "web", Roles: []string{"web"}})
	expect(t, "each its own", a.Allocate(start()),
		"db@db a0: cpus(*):4; mem(*):1000", "web@web a0: cpus(web):2")
}

func TestMultiRole(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(4, 1000), resource.CPUMem(4, 1000))
	a.AddFramework(Framework{ID: "f", Roles: []string{"r1", "r2"}, Suppressed: []string{"r2"}})
	expect(t, "only the role that wants", a.Allocate(start(), "a0"), "f@r1 a0: cpus(*):4; mem(*):1000")
	a.Suppress("f", []string{"r1"})
	expect(t, "nobody wants", a.Allocate(start()))
	a.Revive("f", []string{"r2"})
	expect(t, "the other role", a.Allocate(start()), "f@r2 a1: cpus(*):4; mem(*):1000")
}

func TestFilters(t *testing.T) {
	all := resource.CPUMem(4, 2048)
	for _, c := range []struct {
		name string
		do   func(a *Allocator)
		wait time.Duration
		want int
	}{
		{"refused", func(*Allocator) {}, 4999 * time.Millisecond, 0},
		{"over", func(*Allocator) {}, 5 * time.Second, 1},
		{"revived", func(a *Allocator) { a.Revive("f", nil) }, 0, 1},
		{"revived in another role", func(a *Allocator) { a.Revive("f", []string{"x"}) }, 0, 0},
		{"another framework", func(a *Allocator) { a.AddFramework(Framework{ID: "g", Roles: []string{"*"}}) }, 0, 1},
		{"more than was refused", func(a *Allocator) { a.AddAgent(Agent{ID: "a0", Total: resource.CPUMem(5, 2048), Checkpoint: true}) }, 0, 1},
		{"less than was refused", func(a *Allocator) { a.AddAgent(Agent{ID: "a0", Total: resource.CPUMem(3, 2048), Checkpoint: true}) }, 0, 0},
		{"subscribed anew", func(a *Allocator) { a.AddFramework(Framework{ID: "f", Roles: []string{"*"}}) }, 0, 1},
		{"agent came back", func(a *Allocator) {
			a.RemoveAgent("a0")
			a.AddAgent(Agent{ID: "a0", Total: all, Checkpoint: true})
		}, 0, 1},
	} {
		a := New(nil, nil)
		agents(a, all)
		a.AddFramework(Framework{ID: "f", Roles: []string{"*"}})
		a.Allocate(start())
		a.Recover("a0", "f", "*", all, DefaultRefuse, start())
		c.do(a)
		if got := a.Allocate(start().Add(c.wait)); len(got) != c.want {
			t.Errorf("%s: %v, want %d grants", c.name, brief(got), c.want)
		}
	}
}

func TestWhoGetsNothing(t *testing.T) {
	for name, do := range map[string]func(a *Allocator){
		"framework inactive":  func(a *Allocator) { a.SetFrameworkActive("f", false) },
		"framework removed":   func(a *Allocator) { a.RemoveFramework("f") },
		"agent inactive":      func(a *Allocator) { a.SetAgentActive("a0", false) },
		"agent removed":       func(a *Allocator) { a.RemoveAgent("a0") },
		"suppressed":          func(a *Allocator) { a.Suppress("f", nil) },
		"no checkpoints here": func(a *Allocator) { a.AddAgent(Agent{ID: "a0", Total: resource.CPUMem(4, 2048)}) },
	} {
		a := New(nil, nil)
		agents(a, resource.CPUMem(4, 2048))
		a.AddFramework(Framework{ID: "f", Roles: []string{"*"}, Checkpoint: true})
		do(a)
		if got := a.Allocate(start()); len(got) != 0 {
			t.Errorf("%s: %v", name, brief(got))
		}
	}
}

func TestRandomOrderOfAgents(t *testing.T) {
	reverse := func(n int, swap func(i, j int)) {
		for i := range n / 2 {
			swap(i, n-1-i)
		}
	}
	a := New(nil, reverse)
	agents(a, resource.CPUMem(1, 100), resource.CPUMem(2, 100))
	a.AddFramework(Framework{ID: "f", Roles: []string{"*"}})
	if got := a.Allocate(start()); !slices.Equal(brief(got), []string{"f@* a1: cpus(*):2; mem(*):100", "f@* a0: cpus(*):1; mem(*):100"}) {
		t.Errorf("got %v", brief(got))
	}
}

func TestRecoverTooMuch(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(4, 2048))
	a.Recover("a0", "f", "*", resource.CPUMem(100, 1), 0, start())
	if free := a.Free("a0"); !free.Equal(resource.CPUMem(4, 2048)) {
		t.Errorf("free: %s", free)
	}
}
