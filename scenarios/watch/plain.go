package watch

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Printer writes views as lines that stay: what happened, and how things stand
// whenever that has changed.
type Printer struct {
	out    io.Writer
	number int // of the last event that was written
	state  string
}

// NewPrinter writes to out.
func NewPrinter(out io.Writer) *Printer { return &Printer{out: out} }

// Show writes what is new in a view.
func (p *Printer) Show(v View) error {
	var lines []string
	for _, e := range v.Events {
		if e.Number > p.number {
			p.number = e.Number
			lines = append(lines, e.At.Local().Format("15:04:05.000")+"  "+e.Text)
		}
	}
	if s := v.state(); s != p.state && s != "" {
		p.state = s
		lines = append(lines, v.At.Local().Format("15:04:05.000")+"  = "+s)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(p.out, l); err != nil {
			return err
		}
	}
	return nil
}

// state is the view in one line, without what changes all the time. It is ""
// until every part was seen once.
func (v View) state() string {
	var parts []string
	for _, m := range v.Machines {
		if m.Power == "" {
			return ""
		}
		text := m.Name + " " + m.Power
		if m.Slave != "" {
			text += ", slave " + m.Slave
		} else if m.Alias != "master" {
			text += ", no slave"
		}
		var tasks []string
		for _, t := range m.Tasks {
			tasks = append(tasks, shortTask(t.ID)+" "+t.State)
		}
		slices.Sort(tasks)
		if len(tasks) > 0 {
			text += ": " + strings.Join(tasks, ", ")
		}
		parts = append(parts, text)
	}
	for _, a := range v.Apps {
		parts = append(parts, strings.Join(strings.Fields(a.line().String()), " "))
	}
	if t := v.Traffic; t != nil && t.Sent > 0 {
		parts = append(parts, "clients "+t.mood())
	}
	for _, p := range slices.Concat(v.Faults, v.Problems) {
		parts = append(parts, "! "+p)
	}
	return strings.Join(parts, " · ")
}

// mood is the traffic in a word.
func (t *Traffic) mood() string {
	switch {
	case t.Failed > 0 && t.Failed == t.Sent:
		return "get no answer"
	case t.Failed > 0:
		return "get failures"
	case strings.ContainsRune(t.Recent, SignWaiting) || t.Slow > 0:
		return "wait"
	}
	return "fine"
}
