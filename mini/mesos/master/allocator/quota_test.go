package allocator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

func cpus(n float64) resource.Set {
	return resource.Of(resource.Item{Name: "cpus", Role: "*", Milli: int64(n * 1000)})
}

// TestQuotaComesFirst: a role with a quota is served before all others until
// it holds that much, an agent at a time, and gets nothing more.
func TestQuotaComesFirst(t *testing.T) {
	a := New(map[string]float64{"*": 1000}, nil)
	agents(a, resource.CPUMem(4, 1024), resource.CPUMem(4, 1024), resource.CPUMem(4, 1024))
	a.SetQuota("dev", cpus(5))
	a.AddFramework(Framework{ID: "d", Roles: []string{"dev"}})
	a.AddFramework(Framework{ID: "x", Roles: []string{"*"}})
	expect(t, "coarse: two agents for 5 cpus", a.Allocate(start()),
		"d@dev a0: cpus(*):4; mem(*):1024", "d@dev a1: cpus(*):4; mem(*):1024", "x@* a2: cpus(*):4; mem(*):1024")
	a.Recover("a2", "x", "*", resource.CPUMem(4, 1024), time.Hour, start())
	expect(t, "no more than the quota, though nobody wants it", a.Allocate(start()))
	a.Recover("a0", "d", "dev", resource.CPUMem(4, 1024), 0, start())
	expect(t, "the quota is not held any more", a.Allocate(start()), "d@dev a0: cpus(*):4; mem(*):1024")
}

// TestQuotaIsKept: what a role lacks of its quota is offered to nobody else,
// whether or not a framework is there to take it.
func TestQuotaIsKept(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(4, 1024), resource.CPUMem(4, 1024), resource.CPUMem(2, 1024))
	a.SetQuota("dev", cpus(4))
	a.AddFramework(Framework{ID: "x", Roles: []string{"*"}})
	expect(t, "10 cpus, 4 of them are kept", a.Allocate(start()),
		"x@* a0: cpus(*):4; mem(*):1024", "x@* a2: cpus(*):2; mem(*):1024")
	expect(t, "nor later", a.Allocate(start(), "a1"))
	// One that comes gets it; if it refuses, it is kept still.
	a.AddFramework(Framework{ID: "d", Roles: []string{"dev"}})
	expect(t, "for the role", a.Allocate(start()), "d@dev a1: cpus(*):4; mem(*):1024")
	a.Recover("a1", "d", "dev", resource.CPUMem(4, 1024), time.Minute, start())
	expect(t, "refused", a.Allocate(start().Add(time.Second)))
	a.SetQuota("dev", resource.Set{})
	expect(t, "taken back", a.Allocate(start().Add(time.Second)), "x@* a1: cpus(*):4; mem(*):1024")
}

// TestQuotaAndReservations: what a role has reserved counts for its quota.
func TestQuotaAndReservations(t *testing.T) {
	a := New(nil, nil)
	own := resource.Of(resource.Item{Name: "cpus", Role: "dev", Milli: 3000})
	agents(a, own.Add(resource.CPUMem(1, 64)), resource.CPUMem(4, 64))
	a.SetQuota("dev", cpus(3))
	a.AddFramework(Framework{ID: "d", Roles: []string{"dev"}})
	a.AddFramework(Framework{ID: "x", Roles: []string{"*"}})
	expect(t, "reserved ones are enough", a.Allocate(start()),
		"d@dev a0: cpus(dev):3; cpus(*):1; mem(*):64", "x@* a1: cpus(*):4; mem(*):64")
}

func TestQuotaCapacity(t *testing.T) {
	a := New(nil, nil)
	agents(a, resource.CPUMem(4, 1024), resource.CPUMem(4, 1024), resource.Of(resource.Item{Name: "cpus", Role: "web", Milli: 4000}))
	a.SetQuota("dev", cpus(3))
	for n, want := range map[float64]bool{5: true, 5.1: false} {
		if got := a.QuotaCapacity(cpus(n)); got != want {
			t.Errorf("%v cpus more: %v", n, got)
		}
	}
	a.SetAgentActive("a0", false)
	if a.QuotaCapacity(cpus(2)) {
		t.Error("an agent that is away counts")
	}
	if !a.QuotaCapacity(cpus(1)) {
		t.Error("an agent that is there does not count")
	}
}

// TestQuotaAlways: whatever comes and goes, roles without a quota are granted
// nothing that a role with one still lacks.
func TestQuotaAlways(t *testing.T) {
	for seed := range 30 {
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		a := New(nil, rng.Shuffle)
		for i := range 8 {
			a.AddAgent(Agent{ID: fmt.Sprintf("a%d", i), Total: resource.CPUMem(float64(1+rng.IntN(8)), float64(64*(1+rng.IntN(8)))), Checkpoint: true})
		}
		a.SetQuota("dev", resource.CPUMem(float64(rng.IntN(10)), float64(64*rng.IntN(10))))
		a.SetQuota("ops", cpus(float64(rng.IntN(6))))
		for _, f := range []string{"dev", "ops", "*", "web"} {
			a.AddFramework(Framework{ID: f, Roles: []string{f}})
		}
		var held []Grant
		now := start()
		for range 60 {
			now = now.Add(time.Second)
			lacked := a.spare()
			grants := a.Allocate(now)
			others := amounts{}
			for _, g := range grants {
				if a.quotas[g.Role] == nil {
					others.add(g.Resources, 1)
				}
			}
			for name, n := range others {
				// The quota roles' own grants make up for what they lacked.
				if n > max(lacked[name], 0) && len(a.quotas) > 0 {
					t.Fatalf("seed %d: %d of %s for others, %d to spare", seed, n, name, lacked[name])
				}
			}
			held = append(held, grants...)
			rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
			for range rng.IntN(len(held) + 1) {
				g := held[0]
				held = held[1:]
				a.Recover(g.Agent, g.Framework, g.Role, g.Resources, time.Duration(rng.IntN(5))*time.Second, now)
			}
		}
	}
}
