package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesoslab/lab/scenarios"
)

// palette is Okabe's and Ito's: colours that people with any kind of colour
// vision tell apart, also when printed.
var palette = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a6d00", "#000000"}

// traffic is the chart of all requests.
type traffic struct {
	frame
	Y      []tick
	Series []series
	Failed string // an SVG path of crosses
}

// series are the answers of one instance.
type series struct {
	Name, Color string
	Path        string // an SVG path of dots
	Requests    int
}

// requests draws each request where it was due, by how long it took.
func requests(rec *scenarios.Recording) traffic {
	t := traffic{frame: newFrame(rec, 260)}
	y := axis{from: 0.0001, to: 10, a: t.Bottom, b: t.Top, log: true}
	for v, label := range map[float64]string{0.0001: "0.1 ms", 0.001: "1 ms", 0.01: "10 ms", 0.1: "100 ms", 1: "1 s", 10: "10 s"} {
		t.Y = append(t.Y, tick{y.px(v), label})
	}
	slices.SortFunc(t.Y, func(a, b tick) int { return int(b.At - a.At) })
	dots := map[string]*strings.Builder{}
	count := map[string]int{}
	var crosses strings.Builder
	for _, r := range rec.Requests {
		px, py := t.time(r.Due), y.px(r.Took)
		if r.Error != "" {
			fmt.Fprintf(&crosses, "M%g %gl6 6m0-6l-6 6", px-3, py-3)
			continue
		}
		if dots[r.Task] == nil {
			dots[r.Task] = &strings.Builder{}
		}
		fmt.Fprintf(dots[r.Task], "M%g %gh0", px, py)
		count[r.Task]++
	}
	t.Failed = crosses.String()
	colors := taskColors(rec)
	for _, name := range names(rec) {
		if dots[name] != nil {
			t.Series = append(t.Series, series{Name: named(rec, name), Color: colors[name], Path: dots[name].String(), Requests: count[name]})
		}
	}
	return t
}

// names lists who can have answered, in the order in which they were seen.
func names(rec *scenarios.Recording) []string {
	var out []string
	for _, t := range rec.Tasks {
		out = append(out, t.Name)
	}
	for _, r := range rec.Requests {
		if r.Error == "" && !slices.Contains(out, r.Task) {
			out = append(out, r.Task)
		}
	}
	return out
}

func named(rec *scenarios.Recording, name string) string {
	for _, t := range rec.Tasks {
		if t.Name == name {
			return name + " on " + t.Node
		}
	}
	if name == "" {
		return "who answered is not known"
	}
	return name
}

func taskColors(rec *scenarios.Recording) map[string]string {
	out := map[string]string{}
	for i, name := range names(rec) {
		out[name] = palette[i%len(palette)]
	}
	return out
}

// placement is the chart of instances per machine.
type placement struct {
	frame
	Lanes []lane
}

// lane is one machine with its tasks.
type lane struct {
	Y, Height float64
	Name      string
	Counts    string // at the fault, and at the end
	Down      []band
	Bars      []bar
}

// bar is one task: pale from its launch until it runs, full while it is of use
// to clients.
type bar struct {
	Y, Height            float64
	X, Width             float64 // all of its life
	ServingX, ServingWid float64
	Label, Color, Title  string
}

const (
	barHeight = 24
	barPause  = 6
)

// instances draws a lane for each machine that runs tasks.
func instances(rec *scenarios.Recording) placement {
	var lanes []lane
	f := newFrame(rec, 0)
	y := f.Top
	for _, m := range rec.Machines {
		l := lane{Y: y, Name: m.Name}
		var rows []float64 // where each row of bars ends
		for _, t := range rec.Tasks {
			if t.Node != m.Name || t.Seen == nil {
				continue
			}
			b := taskBar(f, rec, t)
			row := slices.IndexFunc(rows, func(end float64) bool { return end+2 <= b.X })
			if row < 0 {
				row, rows = len(rows), append(rows, 0)
			}
			rows[row] = b.X + b.Width
			b.Y, b.Height = y+barPause+float64(row)*(barHeight+barPause), barHeight
			l.Bars = append(l.Bars, b)
		}
		if m.Role == "master" && len(rows) == 0 {
			continue
		}
		l.Height = barPause + float64(max(1, len(rows)))*(barHeight+barPause)
		l.Counts = fmt.Sprintf("%d → %d", runningOn(rec, m.Name, f.zero), runningOn(rec, m.Name, rec.Result.Seconds))
		l.Down = downtimes(f, m.Name)
		lanes = append(lanes, l)
		y += l.Height + 4
	}
	f.resize(y - f.Top)
	return placement{frame: f, Lanes: lanes}
}

func taskBar(f frame, rec *scenarios.Recording, t scenarios.TaskRecord) bar {
	end := rec.Result.Seconds
	word := "lives"
	if t.Ended != nil {
		end, word = *t.Ended, t.EndState
	}
	b := bar{X: f.time(*t.Seen), Label: t.Name, Color: taskColors(rec)[t.Name], Title: fmt.Sprintf("%s (%s) on %s, %s: %s", t.Name, t.ID, t.Node, t.Address, word)}
	b.Width = max(2, f.time(end)-b.X)
	from, to := end, end
	if t.InLB != nil {
		from = *t.InLB
		if t.Healthy != nil {
			from = max(from, *t.Healthy)
		}
	}
	if t.OutOfLB != nil {
		to = min(to, *t.OutOfLB)
	}
	b.ServingX = f.time(from)
	b.ServingWid = max(0, f.time(to)-b.ServingX)
	return b
}

func downtimes(f frame, node string) []band {
	var out []band
	for _, fault := range f.rec.Faults {
		if !slices.Contains(fault.Nodes, node) {
			continue
		}
		until := f.rec.Result.Seconds
		if fault.Until != nil {
			until = *fault.Until
		}
		x := f.time(fault.At)
		out = append(out, band{X: x, Width: f.time(until) - x, Label: fault.Text})
	}
	return out
}

// runningOn counts the tasks that ran on a machine at a moment, as far as
// Marathon had told.
func runningOn(rec *scenarios.Recording, node string, at float64) int {
	n := 0
	for _, t := range rec.Tasks {
		if t.Node == node && t.Running != nil && *t.Running <= at && (t.Ended == nil || *t.Ended > at) {
			n++
		}
	}
	return n
}
