package allocator

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// The worked examples of Ghodsi, Zaharia, Hindman, Konwinski, Shenker, Stoica:
// "Dominant Resource Fairness: Fair Allocation of Multiple Resource Types",
// NSDI 2011. There each user asks for one task at a time (Algorithm 1); here
// each framework is offered all that is free, launches one task on it and
// gives back the rest, which comes to the same.

// user is one of the paper's: every task of it needs the same.
type user struct {
	name, role string
	task       resource.Set
	tasks      int
	holds      resource.Set
}

// play allocates until nobody launches any more, and returns who launched, in
// order. A user whose task does not fit declines.
func play(t *testing.T, total resource.Set, weights map[string]float64, users ...*user) (order []string) {
	t.Helper()
	a := New(weights, nil)
	agents(a, total)
	byName := map[string]*user{}
	for _, u := range users {
		byName[u.name] = u
		a.AddFramework(Framework{ID: u.name, Roles: []string{u.role}})
	}
	now := start()
	for range 10_000 {
		grants := a.Allocate(now)
		if len(grants) == 0 {
			return order
		}
		for _, g := range grants {
			u := byName[g.Framework]
			left, refuse := g.Resources, MaxRefuse
			if left.Contains(u.task) {
				left, refuse = left.Sub(u.task), 0
				u.tasks++
				u.holds = u.holds.Add(u.task)
				order = append(order, u.name)
			}
			a.Recover(g.Agent, g.Framework, g.Role, left, refuse, now)
		}
	}
	t.Fatal("the allocation does not come to an end")
	return nil
}

func (u *user) dominant(total resource.Set) float64 {
	share := 0.0
	for _, name := range total.Scalars() {
		share = max(share, u.holds.Scalar(name)/total.Scalar(name))
	}
	return share
}

// TestDRFTable1 is the example of section 4.1 with figure 3 and table 1: of 9
// CPUs and 18 GB, user A's tasks take <1 CPU, 4 GB>, user B's <3 CPUs, 1 GB>.
// A gets three tasks, B two; both hold 2/3 of their dominant resource, and
// all CPUs are used. The table serves B first, which wins ties here by name.
func TestDRFTable1(t *testing.T) {
	total := resource.CPUMem(9, 18*1024)
	a := &user{name: "user A", role: "*", task: resource.CPUMem(1, 4*1024)}
	b := &user{name: "a user B", role: "*", task: resource.CPUMem(3, 1*1024)}
	got := play(t, total, nil, a, b)
	want := []string{"a user B", "user A", "user A", "a user B", "user A"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("order (-paper +ours):\n%s", d)
	}
	if a.tasks != 3 || b.tasks != 2 {
		t.Errorf("A has %d tasks, B %d, want 3 and 2", a.tasks, b.tasks)
	}
	for _, u := range []*user{a, b} {
		if s := u.dominant(total); math.Abs(s-2.0/3) > 1e-9 {
			t.Errorf("%s: dominant share %v, want 2/3", u.name, s)
		}
	}
	if used := a.holds.Add(b.holds); !used.Equal(resource.CPUMem(9, 14*1024)) {
		t.Errorf("used %v, want all 9 CPUs and 14 GB", used)
	}
}

// TestDRFSharingIncentive is the setting with which the paper shows that
// asset fairness violates the sharing incentive: of <30, 30>, user 1's tasks
// take <1, 3>, user 2's <1, 1>. Asset fairness gives 6 and 12 tasks, so that
// user 2 has less than half of both resources; DRF gives each half of its
// dominant one: x·3/30 = y·1/30 and 3x + y = 30, that is 5 and 15 tasks.
func TestDRFSharingIncentive(t *testing.T) {
	total := resource.CPUMem(30, 30*1024)
	one := &user{name: "user 1", role: "*", task: resource.CPUMem(1, 3*1024)}
	two := &user{name: "user 2", role: "*", task: resource.CPUMem(1, 1*1024)}
	play(t, total, nil, one, two)
	if one.tasks != 5 || two.tasks != 15 {
		t.Errorf("tasks %d and %d, want 5 and 15", one.tasks, two.tasks)
	}
	for _, u := range []*user{one, two} {
		if s := u.dominant(total); s < 0.5 {
			t.Errorf("%s: dominant share %v is less than 1/2, its share of a split cluster", u.name, s)
		}
	}
}

// TestDRFWeighted is section 4.3, weighted DRF, where all weights of a user
// are the same: dominant shares are as the weights. Weights are those of
// roles in Mesos.
func TestDRFWeighted(t *testing.T) {
	for _, w := range []float64{1, 2, 3} {
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			total := resource.CPUMem(120, 120*1024)
			heavy := &user{name: "heavy", role: "heavy", task: resource.CPUMem(1, 1024)}
			light := &user{name: "light", role: "light", task: resource.CPUMem(1, 1024)}
			play(t, total, map[string]float64{"heavy": w}, heavy, light)
			if got := heavy.dominant(total) / light.dominant(total); math.Abs(got-w) > 0.05 {
				t.Errorf("shares %v and %v: as %v to 1, want %v", heavy.dominant(total), light.dominant(total), got, w)
			}
		})
	}
}

// TestDRFOneResource: with a single resource DRF is max-min fairness (the
// paper's section 3, "single resource fairness"): who wants little gets it,
// the others share the rest equally.
func TestDRFOneResource(t *testing.T) {
	total := resource.CPUMem(100, 0)
	users := []*user{
		{name: "a", role: "*", task: resource.CPUMem(1, 0)},
		{name: "b", role: "*", task: resource.CPUMem(1, 0)},
		{name: "c", role: "*", task: resource.CPUMem(5, 0)},
		{name: "d", role: "*", task: resource.CPUMem(10, 0)},
	}
	play(t, total, nil, users...)
	for _, u := range users {
		// A task is not divisible: a share misses its quarter by one at most.
		if cpus := u.holds.Scalar("cpus"); math.Abs(cpus-25) > 10 {
			t.Errorf("%s holds %v CPUs of 100, want about 25", u.name, cpus)
		}
	}
}

// TestDRFBottleneck is the paper's bottleneck fairness: where all users want
// most of the same resource, it is shared equally.
func TestDRFBottleneck(t *testing.T) {
	total := resource.CPUMem(12, 100*1024)
	a := &user{name: "a", role: "*", task: resource.CPUMem(1, 1024)}
	b := &user{name: "b", role: "*", task: resource.CPUMem(2, 1024)}
	play(t, total, nil, a, b)
	if a.holds.Scalar("cpus") != 6 || b.holds.Scalar("cpus") != 6 {
		t.Errorf("CPUs %v and %v of 12, want 6 each", a.holds.Scalar("cpus"), b.holds.Scalar("cpus"))
	}
}

// TestDRFParetoEfficient is one of the paper's properties, on clusters of many
// sizes: nothing is left in which anybody could launch one more task, and no
// more was given than there is.
func TestDRFParetoEfficient(t *testing.T) {
	for seed := range 40 {
		total := resource.CPUMem(float64(10+seed%7*13), float64(1024*(8+seed%5*17)))
		var users []*user
		for i := range 2 + seed%3 {
			users = append(users, &user{name: fmt.Sprintf("u%d", i), role: "*",
				task: resource.CPUMem(float64(1+(seed+i*5)%4)/2, float64(256*(1+(seed*3+i)%6)))})
		}
		play(t, total, nil, users...)
		var used resource.Set
		for _, u := range users {
			used = used.Add(u.holds)
		}
		if !total.Contains(used) {
			t.Fatalf("seed %d: %v is used of %v", seed, used, total)
		}
		free := total.Sub(used)
		for _, u := range users {
			if free.Contains(u.task) {
				t.Errorf("seed %d: %s could launch one more in %v", seed, u.name, free)
			}
		}
	}
}
