package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Style is how a piece of text is to look.
type Style int

// The styles.
const (
	Plain Style = iota
	Bold
	Dim
	Good
	Warn
	Bad
)

// Span is a piece of a line.
type Span struct {
	Text  string
	Style Style
}

// Line is one line of a screen.
type Line []Span

// String is the line without its styles.
func (l Line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.Text)
	}
	return strings.TrimRight(b.String(), " ")
}

// Lines draws the view for a screen of this height: events take what the rest
// leaves, the newest at the bottom.
func (v View) Lines(height int) []Line {
	out := []Line{{{v.Lab, Bold}, {"   " + v.At.Local().Format("15:04:05"), Plain}, {"   q or Ctrl-C leaves", Dim}}}
	for _, f := range v.Faults {
		out = append(out, Line{{"! broken: " + f, Bad}})
	}
	for _, p := range v.Problems {
		out = append(out, Line{{"! " + p, Warn}})
	}
	out = append(out, Line{})
	for _, m := range v.Machines {
		out = append(out, m.lines()...)
	}
	out = append(out, Line{})
	for _, a := range v.Apps {
		out = append(out, a.line())
	}
	if v.Traffic != nil {
		out = append(out, v.Traffic.lines(v.where())...)
	}
	out = append(out, Line{}, Line{{"last events", Bold}})
	room := max(0, height-len(out))
	for _, e := range v.Events[max(0, len(v.Events)-room):] {
		out = append(out, Line{{e.At.Local().Format("15:04:05.0") + "  ", Dim}, {e.Text, Plain}})
	}
	return out[:min(len(out), max(height, 0))]
}

// where maps tasks to machines.
func (v View) where() map[string]string {
	out := map[string]string{}
	for _, m := range v.Machines {
		for _, t := range m.Tasks {
			out[t.ID] = m.Name
		}
	}
	return out
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(text)))
}

func (m Machine) lines() []Line {
	power := map[string]Style{"running": Good, "": Dim}
	style, known := power[m.Power]
	if !known {
		style = Bad
	}
	head := Line{{pad(m.Name, 7), Bold}, {pad(m.Alias, 8), Plain}, {pad(m.IP, 16), Dim}, {pad(m.Power, 9), style}}
	switch {
	case m.Slave == "" && m.Alias != "master":
		head = append(head, Span{pad("no slave", 14), Bad})
	case strings.HasSuffix(m.Slave, "inactive"):
		head = append(head, Span{pad("slave "+m.Slave, 18), Warn})
	case m.Slave != "":
		head = append(head, Span{pad("slave "+m.Slave, 18), Plain})
	}
	out := []Line{head}
	for _, t := range m.Tasks {
		out = append(out, t.line())
	}
	return out
}

func (t Task) line() Line {
	style := map[string]Style{"healthy": Good, "running": Plain, "staging": Dim, "unhealthy": Bad}[t.State]
	lb := Span{"not in the load balancer", Dim}
	if t.InLB {
		lb = Span{"in the load balancer", Plain}
	}
	return Line{{"  " + pad(shortTask(t.ID), 24), Plain}, {pad(t.State, 11), style}, lb}
}

// shortTask is a task's id as far as it is needed to tell tasks apart.
func shortTask(id string) string {
	i := strings.LastIndex(id, ".")
	if j := strings.IndexByte(id[i+1:], '-'); i >= 0 && j > 0 {
		return id[:i+1+j]
	}
	return id
}

func (a App) line() Line {
	l := Line{{pad(a.ID, 15), Bold}, {fmt.Sprintf("%d of %d run", a.Running, a.Instances), shade(a.Running == a.Instances)}}
	if a.Checked {
		l = append(l, Span{fmt.Sprintf(", %d healthy", a.Healthy), shade(a.Healthy == a.Instances)})
	}
	switch {
	case a.Queued > 0 && a.Overdue:
		l = append(l, Span{fmt.Sprintf(" · %d queued, waiting for offers", a.Queued), Warn})
	case a.Queued > 0:
		l = append(l, Span{fmt.Sprintf(" · %d queued, backing off", a.Queued), Warn})
	}
	if a.Deploying {
		l = append(l, Span{" · deploying", Warn})
	}
	return l
}

func shade(good bool) Style {
	if good {
		return Good
	}
	return Bad
}

func (t *Traffic) lines(where map[string]string) []Line {
	failed, slow := Plain, Plain
	if t.Failed > 0 {
		failed = Bad
	}
	if t.Slow > 0 {
		slow = Warn
	}
	out := []Line{{
		{pad("clients", 15), Bold}, {fmt.Sprintf("%s, last %d s: %d requests, ", t.URL, t.Seconds, t.Sent), Plain}, {fmt.Sprintf("%d failed", t.Failed), failed}, {", ", Plain},
		{fmt.Sprintf("%d slower than 1 s", t.Slow), slow}, {fmt.Sprintf(", worst %.2f s", t.Worst), Plain},
	}}
	signs := Line{{pad("", 15), Plain}}
	for _, r := range t.Recent {
		style := map[rune]Style{SignSlow: Warn, SignFailed: Bad, SignWaiting: Warn}[r]
		signs = append(signs, Span{string(r), style})
	}
	out = append(out, signs)
	shares := Line{{pad("", 15), Plain}}
	for _, id := range slices.Sorted(maps.Keys(t.ByTask)) {
		on := where[id]
		if on == "" {
			on = "gone"
		}
		shares = append(shares, Span{fmt.Sprintf("%s (%s) %.0f %%   ", shortTask(id), on, 100*float64(t.ByTask[id])/float64(max(1, t.Sent-t.Failed))), Plain})
	}
	return append(out, shares)
}
