package scenarios

import "math"

// Holdings is what the leading master counts: who has been given what.
type Holdings struct {
	Slaves     []SlaveRoom
	Weights    map[string]float64 // of roles; others weigh 1
	Frameworks []Holding
}

// SlaveRoom is one slave's size, and what others than our frameworks have of
// it.
type SlaveRoom struct {
	CPUs, Mem         float64 // MiB
	TakenCPUs, TakenM float64
}

// Holding is what one framework has.
type Holding struct {
	Name, Role string
	CPUs, Mem  float64
	Tasks      int
}

// Demand is a framework that wants as many tasks of one size as it can get.
type Demand struct {
	Name, Role string
	CPUs, Mem  float64 // of each task
}

// total is the cluster's size.
func (h Holdings) total() (cpus, mem float64) {
	for _, s := range h.Slaves {
		cpus, mem = cpus+s.CPUs, mem+s.Mem
	}
	return cpus, mem
}

func (h Holdings) weight(role string) float64 {
	if w := h.Weights[role]; w > 0 {
		return w
	}
	return 1
}

// dominant is the largest share of any resource that so many tasks hold.
func (d Demand) dominant(tasks, cpus, mem float64) float64 {
	return max(tasks*d.CPUs/cpus, tasks*d.Mem/mem)
}

// fairTasks predicts how many tasks each framework ends up with, by the rule of
// Ghodsi et al., Dominant Resource Fairness (NSDI 2011), algorithm 1: again and
// again the one with the smallest dominant share (divided by the weight of its
// role, section 4.3) gets one more task, until nobody's fits anywhere. Who gets
// none because no slave has room for it is out; the others go on. Others than
// these frameworks keep what they have and ask for nothing: their demand is
// met. The task goes to the slave with most cpus left.
func fairTasks(h Holdings, all []Demand) map[string]int {
	const slack = 1e-6
	cpus, mem := h.total()
	type room struct{ cpus, mem float64 }
	var rooms []room
	for _, s := range h.Slaves {
		rooms = append(rooms, room{s.CPUs - s.TakenCPUs, s.Mem - s.TakenM})
	}
	tasks, out := map[string]int{}, map[string]bool{}
	for len(out) < len(all) {
		next, least := -1, math.Inf(1)
		for i, d := range all {
			if share := d.dominant(float64(tasks[d.Name]), cpus, mem) / h.weight(d.Role); !out[d.Name] && share < least {
				next, least = i, share
			}
		}
		d, best := all[next], -1
		for i, s := range rooms {
			if s.cpus+slack >= d.CPUs && s.mem+slack >= d.Mem && (best < 0 || s.cpus > rooms[best].cpus) {
				best = i
			}
		}
		if best < 0 {
			out[d.Name] = true
			continue
		}
		rooms[best].cpus -= d.CPUs
		rooms[best].mem -= d.Mem
		tasks[d.Name]++
	}
	return tasks
}
