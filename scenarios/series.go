package scenarios

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Series sums up several runs, in their order.
type Series struct {
	Runs     []*Result        `json:"runs"`
	Verdicts map[Verdict]int  `json:"verdicts"`
	Phases   []PhaseStatistic `json:"phases"`
}

// PhaseStatistic says how long a phase of a scenario took over its runs.
type PhaseStatistic struct {
	Scenario string  `json:"scenario"`
	Phase    string  `json:"phase"`
	RuledBy  string  `json:"ruled_by"`
	Runs     int     `json:"runs"` // that have it
	Min      float64 `json:"min"`
	Median   float64 `json:"median"`
	Max      float64 `json:"max"`
}

// Summarize puts runs together. A phase that a run has twice counts with both.
func Summarize(runs []*Result) Series {
	s := Series{Runs: append([]*Result{}, runs...), Verdicts: map[Verdict]int{}, Phases: []PhaseStatistic{}}
	samples := map[[2]string][]float64{}
	var order [][2]string
	rules := map[[2]string]string{}
	for _, res := range runs {
		s.Verdicts[res.Verdict]++
		for _, p := range res.Phases {
			k := [2]string{res.Scenario, p.Name}
			if samples[k] == nil {
				order = append(order, k)
			}
			samples[k] = append(samples[k], p.Seconds)
			rules[k] = p.RuledBy
		}
	}
	for _, k := range order {
		v := slices.Sorted(slices.Values(samples[k]))
		s.Phases = append(s.Phases, PhaseStatistic{
			Scenario: k[0], Phase: k[1], RuledBy: rules[k], Runs: len(v), Min: v[0], Median: (v[(len(v)-1)/2] + v[len(v)/2]) / 2, Max: v[len(v)-1],
		})
	}
	return s
}

// WriteText writes the summary for people.
func (s Series) WriteText(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SCENARIO\tVERDICT\tTIME\tWHY")
	for _, r := range s.Runs {
		fmt.Fprintf(t, "%s\t%s\t%.1f s\t%s\n", r.Scenario, r.Verdict, r.Seconds, r.Why)
	}
	t.Flush()
	if repeated := slices.ContainsFunc(s.Phases, func(p PhaseStatistic) bool { return p.Runs > 1 }); !repeated {
		return
	}
	fmt.Fprintln(t, "\nSCENARIO\tPHASE\tMIN\tMEDIAN\tMAX\tOF\tRULED BY")
	for _, p := range s.Phases {
		fmt.Fprintf(t, "%s\t%s\t%.2f s\t%.2f s\t%.2f s\t%d\t%s\n", p.Scenario, p.Phase, p.Min, p.Median, p.Max, p.Runs, p.RuledBy)
	}
	t.Flush()
}
