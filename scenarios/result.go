package scenarios

import (
	"cmp"
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
	Asked    []Question  `json:"asked,omitempty"`
	Closing  string      `json:"closing,omitempty"`

	// Recording is everything that was observed, for reports and replays.
	Recording *Recording `json:"-"`
}

// result sums up the run. failed is the error that stopped the script.
func (r *run) result(failed error) *Result {
	blind := ""
	if r.probe != nil {
		blind = r.history.Blind(time.Now())
	}
	r.answerAsked(true, "")
	res := &Result{Scenario: r.script.Name, Seconds: time.Since(r.begun).Seconds(), Settings: r.settings(), Phases: []Phase{}}
	r.mu.Lock() // never held together with the history's own lock
	fault := r.fault
	res.Timeline, res.Criteria = append([]Moment{}, r.timeline...), append([]Criterion{}, r.criteria...)
	r.mu.Unlock()
	res.Verdict, res.Why = judge(res.Criteria, blind, !fault.IsZero() && !r.opt.Placebo)
	if failed != nil && res.Verdict == Pass {
		res.Verdict, res.Why = Inconclusive, failed.Error()
	}
	for _, q := range r.asked {
		res.Asked = append(res.Asked, *q)
	}
	if r.probe == nil {
		return res
	}
	res.Traffic = r.probe.Traffic()
	if !fault.IsZero() {
		if phases, _ := r.phases(); phases != nil {
			res.Phases = phases
		}
		res.Closing = closing(r.history)
		res.Timeline = r.withClients(res.Timeline, fault)
		slices.SortStableFunc(res.Timeline, func(a, b Moment) int { return cmp.Compare(a.At, b.At) })
	}
	return res
}

// withClients puts into the timeline when clients noticed first. That is known
// only when the request has had its end, so it comes late in the live one.
func (r *run) withClients(timeline []Moment, fault time.Time) []Moment {
	first, ok := r.probe.FirstTrouble(fault)
	if !ok {
		return timeline
	}
	what := first.Err
	if what == "" {
		what = fmt.Sprintf("answered after %.2f s", first.Latency.Seconds())
	}
	return append(timeline, Moment{first.Due.Sub(fault).Seconds(), "clients: the first request in trouble: " + what})
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

func closing(h *History) string {
	nodes := map[string]bool{}
	for _, t := range h.App().Tasks {
		nodes[h.Task(t.ID).Node] = true
	}
	if len(nodes) != 1 || len(h.App().Tasks) < 2 {
		return ""
	}
	for n := range nodes {
		return fmt.Sprintf("All instances are now on %s: Marathon never moves a running task back.", n)
	}
	return ""
}

// WriteText writes the report for people.
func (res *Result) WriteText(w io.Writer) {
	res.writePhases(w)
	if t := res.Traffic; t.Sent > 0 {
		fmt.Fprintf(w, "Clients  %d sent · %d failed · %d slower than 1 s · worst %.2f s\n", t.Sent, t.Failed, t.Slow, t.Worst.Seconds())
	}
	for _, q := range res.Asked {
		fmt.Fprintf(w, "Asked    %s\n", q)
	}
	held := 0
	for _, c := range res.Criteria {
		if c.State == Held {
			held++
		}
	}
	fmt.Fprintf(w, "%s  %d of %d\n", res.Verdict, held, len(res.Criteria))
	for _, c := range res.Criteria {
		fmt.Fprintf(w, "  %s %-9s %s\n", c.State.Mark(), c.Name, c.Detail)
	}
	if res.Why != "" {
		fmt.Fprintf(w, "Because  %s\n", res.Why)
	}
	if res.Closing != "" {
		fmt.Fprintln(w, res.Closing)
	}
}

func (res *Result) writePhases(w io.Writer) {
	if len(res.Phases) == 0 {
		return
	}
	longest := 0.001
	for _, p := range res.Phases {
		longest = max(longest, p.Seconds)
	}
	fmt.Fprintln(w, "Where the time went")
	for _, p := range res.Phases {
		bar := strings.Repeat("█", int(24*p.Seconds/longest+0.5))
		own := ""
		if p.Own != nil {
			own = fmt.Sprintf(" + %.0f ms", 1000**p.Own)
		}
		fmt.Fprintf(w, "  %-10s %6.2f s  %-24s  %s%s\n", p.Name, p.Seconds, bar, p.RuledBy, own)
	}
}
