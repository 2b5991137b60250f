package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab/scenarios"
)

//go:embed page.html
var pageText string

// page is what page.html shows.
type page struct {
	*scenarios.Recording
	Traffic   traffic
	Placement placement
	Phases    []phaseLine
	Healed    string // the sum of the phases
	Facts     []fact
	Settings  []fact
	Shares    []share
	Lines     []string
}

type phaseLine struct {
	scenarios.Phase
	Left, Percent float64 // of the longest stretch
}

type fact struct{ Name, Value string }

// share is how many requests an instance answered before and after the fault.
type share struct {
	Name string
	sign
	Before, After int
}

// Page writes report.html.
func Page(w io.Writer, rec *scenarios.Recording) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"clock": func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") },
		"sec":   func(s float64) string { return fmt.Sprintf("%.2f", s) },
		"ms":    func(s *float64) string { return fmt.Sprintf("%.0f ms", 1000**s) },
		"lower": func(v any) string { return strings.ToLower(fmt.Sprint(v)) },
		"add":   func(a, b float64) float64 { return a + b },
		"neg":   func(a float64) float64 { return -a },
		"row":   func(r int) float64 { return 14 + markRow*float64(r) },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return t.Execute(w, newPage(rec))
}

func newPage(rec *scenarios.Recording) page {
	p := page{Recording: rec, Traffic: requests(rec), Placement: instances(rec), Settings: settings(rec), Shares: shares(rec)}
	end := 0.0
	for _, ph := range rec.Result.Phases {
		end = max(end, ph.From+ph.Seconds)
	}
	for _, ph := range rec.Result.Phases {
		p.Phases = append(p.Phases, phaseLine{ph, 100 * ph.From / max(end, 0.001), max(0.3, 100*ph.Seconds/max(end, 0.001))})
	}
	p.Healed = fmt.Sprintf("%.2f", end)
	t := rec.Result.Traffic
	p.Facts = []fact{
		{"requests", fmt.Sprint(t.Sent)}, {"failed", fmt.Sprint(t.Failed)}, {"slower than 1 s", fmt.Sprint(t.Slow)},
		{"worst", fmt.Sprintf("%.2f s", t.Worst.Seconds())}, {"longest gap", fmt.Sprintf("%.2f s", longestGap(rec))},
	}
	p.Lines = strings.Split(strings.TrimRight(rec.Script, "\n"), "\n")
	return p
}

// longestGap is the longest time without an answer for any client.
func longestGap(rec *scenarios.Recording) float64 {
	var ends []float64
	for _, r := range rec.Requests {
		if r.Error == "" {
			ends = append(ends, r.Due+r.Took)
		}
	}
	slices.Sort(ends)
	longest := 0.0
	for i := 1; i < len(ends); i++ {
		longest = max(longest, ends[i]-ends[i-1])
	}
	return longest
}

func settings(rec *scenarios.Recording) []fact {
	s := rec.Result.Settings
	early, late := s.Law()
	out := []fact{
		{"Mesos: slave_ping_timeout × max_slave_ping_timeouts", fmt.Sprintf("%s × %d", s.PingTimeout, s.PingTimeouts)},
		{"so a silent slave is lost after", fmt.Sprintf("%g–%g s", early.Seconds(), late.Seconds())},
	}
	if s.Backoff > 0 {
		out = append(out, fact{"Marathon: backoffSeconds", fmt.Sprintf("%g s, then × 1.15 each", s.Backoff.Seconds())})
	}
	if s.CheckEvery > 0 {
		out = append(out, fact{"Marathon: intervalSeconds of the check", fmt.Sprintf("%g s", s.CheckEvery.Seconds())})
	}
	out = append(out, fact{"requests go to", s.AppURL})
	for _, m := range rec.Machines {
		out = append(out, fact{m.Name, m.Role + ", " + m.IP})
	}
	return out
}

func shares(rec *scenarios.Recording) []share {
	look := signs(rec)
	var out []share
	for _, name := range names(rec) {
		s := share{Name: named(rec, name), sign: look[name]}
		for _, r := range rec.Requests {
			switch {
			case r.Task != name || r.Error != "":
			case rec.Fault != nil && r.Due >= *rec.Fault:
				s.After++
			default:
				s.Before++
			}
		}
		if s.Before+s.After > 0 {
			out = append(out, s)
		}
	}
	return out
}
