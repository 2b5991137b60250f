package view

import (
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// Counts are the numbers of some tasks. A running task without a health
// result is neither healthy nor unhealthy.
type Counts struct {
	Staged    int `json:"staged"`
	Running   int `json:"running"`
	Healthy   int `json:"healthy"`
	Unhealthy int `json:"unhealthy"`
}

func countOf(ts []*task.Task) Counts {
	var n Counts
	for _, t := range ts {
		switch {
		case !t.Running():
			n.Staged++
			continue
		case len(t.Health) > 0 && t.Healthy(0):
			n.Healthy++
		case t.Unhealthy():
			n.Unhealthy++
		}
		n.Running++
	}
	return n
}

// Stats is one group of tasks in the embed taskStats.
type Stats struct {
	Stats struct {
		Counts   Counts    `json:"counts"`
		LifeTime *LifeTime `json:"lifeTime,omitempty"` // of running tasks
	} `json:"stats"`
}

// LifeTime says how long running tasks have run.
type LifeTime struct {
	AverageSeconds float64 `json:"averageSeconds"`
	MedianSeconds  float64 `json:"medianSeconds"`
}

// statsOf groups an app's tasks as 1.1.1 does; empty groups are left out.
func statsOf(a app.App, ts []*task.Task) map[string]Stats {
	out := map[string]Stats{}
	for name, belongs := range map[string]func(*task.Task) bool{
		"totalSummary":            func(*task.Task) bool { return true },
		"withLatestConfig":        func(t *task.Task) bool { return t.Runs(a) },
		"withOutdatedConfig":      func(t *task.Task) bool { return !t.Runs(a) },
		"startedAfterLastScaling": func(t *task.Task) bool { return !t.Version.Before(a.Version.Time) },
	} {
		var mine []*task.Task
		for _, t := range ts {
			if belongs(t) {
				mine = append(mine, t)
			}
		}
		if len(mine) == 0 {
			continue
		}
		var s Stats
		s.Stats.Counts = countOf(mine)
		s.Stats.LifeTime = lifeTime(mine)
		out[name] = s
	}
	return out
}

func lifeTime(ts []*task.Task) *LifeTime {
	var ages []float64
	var sum float64
	for _, t := range ts {
		if t.Running() {
			ages = append(ages, time.Since(t.StartedAt.Time).Seconds())
			sum += ages[len(ages)-1]
		}
	}
	if len(ages) == 0 {
		return nil
	}
	slices.Sort(ages)
	mid := len(ages) / 2
	median := ages[mid]
	if len(ages)%2 == 0 {
		median = (ages[mid-1] + ages[mid]) / 2
	}
	return &LifeTime{sum / float64(len(ages)), median}
}
