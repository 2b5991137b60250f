package scenarios

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// Result is what a run found out.
type Result struct {
	Scenario string      `json:"scenario"`
	Verdict  Verdict     `json:"verdict"`
	Why      string      `json:"why,omitempty"`
	Seconds  float64     `json:"seconds"`
	Settings Settings    `json:"settings"`
	Timeline []Moment    `json:"timeline"`
	Phases   []Phase     `json:"phases"`
	Traffic  Traffic     `json:"traffic"`
	Criteria []Criterion `json:"criteria"`
	Closing  string      `json:"closing,omitempty"`
}

// Phase is a part of the time between the fault and the last new task's
// health, with the setting that rules it.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	RuledBy string  `json:"ruled_by"`
}

// result sums up the run. failed is the error that stopped the script.
func (r *run) result(sc Scenario, failed error) *Result {
	blind := ""
	if r.probe != nil {
		blind = r.history.Blind(time.Now())
	}
	res := &Result{Scenario: sc.Name, Seconds: time.Since(r.begun).Seconds(), Settings: r.lab.Settings()}
	r.mu.Lock() // never held together with the history's own lock
	fault := r.fault
	res.Timeline, res.Criteria = slices.Clone(r.timeline), slices.Clone(r.criteria)
	r.mu.Unlock()
	res.Verdict, res.Why = judge(res.Criteria, blind, !fault.IsZero() && !r.opt.Placebo)
	if failed != nil && res.Verdict == Pass {
		res.Verdict, res.Why = Inconclusive, failed.Error()
	}
	if r.probe != nil {
		res.Traffic = r.probe.Traffic()
	}
	if !fault.IsZero() && len(r.victims) > 0 {
		res.Phases = phases(fault, r.history, r.victims, res.Settings)
		res.Closing = closing(r.history)
	}
	return res
}

// err maps the verdict to the sentinels behind exit codes 3 and 4.
func (res *Result) err() error {
	switch res.Verdict {
	case Pass:
		return nil
	case Fail:
		return fmt.Errorf("%w: %s", lab.ErrExpectation, res.Why)
	}
	return fmt.Errorf("%w: %s", lab.ErrInconclusive, res.Why)
}

// phases cuts the time from the fault to the health of the slowest new task
// at what was seen in between.
func phases(fault time.Time, h *History, victims []TaskHistory, s Settings) []Phase {
	var lost time.Time
	for _, v := range victims {
		if t := h.Task(v.ID); t.Ended.After(lost) {
			lost = t.Ended
		}
	}
	var last TaskHistory
	for _, t := range h.Tasks() {
		if t.Seen.After(fault) && t.Running.After(last.Running) {
			last = t
		}
	}
	// Samples see the launch up to 50 ms late; Marathon's own time is exact
	// where its clock is ours.
	launched := last.Seen
	if last.Staged.After(lost) && last.Staged.Before(launched) {
		launched = last.Staged
	}
	serving := last.InLB
	if last.Healthy.After(serving) {
		serving = last.Healthy
	}
	early, late := s.Law()
	cuts := []struct {
		name, rule string
		at         time.Time
	}{
		{"detect", fmt.Sprintf("mesos.slave_ping_timeout %s × %d: %s–%s", s.PingTimeout, s.PingTimeouts, seconds(early), seconds(late)), lost},
		{"back-off", "backoffSeconds 1 × 1.15ⁿ of the app", launched},
		{"launch", "lab's own", last.Running},
		{"LB+health", "intervalSeconds of the app's check", serving},
	}
	var out []Phase
	from := fault
	for _, c := range cuts {
		if c.at.IsZero() || from.IsZero() {
			break // not seen: later phases have no beginning
		}
		out = append(out, Phase{c.name, max(0, c.at.Sub(from).Seconds()), c.rule})
		from = c.at
	}
	return out
}

func closing(h *History) string {
	nodes := map[string]bool{}
	for _, t := range h.App().Tasks {
		nodes[h.Task(t.ID).Node] = true
	}
	if len(nodes) != 1 {
		return ""
	}
	for n := range nodes {
		return fmt.Sprintf("All instances are now on %s: Marathon never moves a running task back.", n)
	}
	return ""
}

// WriteText writes the report for people.
func (res *Result) WriteText(w io.Writer) {
	if len(res.Phases) > 0 {
		longest := 0.0
		for _, p := range res.Phases {
			longest = max(longest, p.Seconds)
		}
		fmt.Fprintln(w, "Where the time went")
		for _, p := range res.Phases {
			bar := strings.Repeat("█", int(24*p.Seconds/max(longest, 0.001)+0.5))
			fmt.Fprintf(w, "  %-10s %6.2f s  %-24s  %s\n", p.Name, p.Seconds, bar, p.RuledBy)
		}
	}
	if t := res.Traffic; t.Sent > 0 {
		fmt.Fprintf(w, "Clients  %d sent · %d failed · %d slower than 1 s · worst %.2f s\n", t.Sent, t.Failed, t.Slow, t.Worst.Seconds())
	}
	held := 0
	for _, c := range res.Criteria {
		if c.State == Held {
			held++
		}
	}
	fmt.Fprintf(w, "%s  %d of %d\n", res.Verdict, held, len(res.Criteria))
	for _, c := range res.Criteria {
		mark := map[State]string{Held: "✔", Broken: "✘", Unseen: "?"}[c.State]
		fmt.Fprintf(w, "  %s %-9s %s\n", mark, c.Name, c.Detail)
	}
	if res.Why != "" {
		fmt.Fprintf(w, "Because  %s\n", res.Why)
	}
	if res.Closing != "" {
		fmt.Fprintln(w, res.Closing)
	}
}
