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

// sign is how an instance is drawn: in a colour and a shape of its own, for those
// who tell colours apart and for those who do not.
type sign struct {
	Color string
	// Shape is an SVG path from the middle of the sign, stroked with Width.
	Shape string
	Width float64
}

// shapes are what palette's colours are drawn in. A cross is a request that has
// failed.
var shapes = []sign{
	{Shape: "h0", Width: 4.5}, // a dot
	{Shape: "m-2.8-2.8h5.6v5.6h-5.6z", Width: 1.4},
	{Shape: "m-3.2 0h6.4m-3.2-3.2v6.4", Width: 1.6},
	{Shape: "m0-3.4l3.4 5.8h-6.8z", Width: 1.4},
	{Shape: "m-2.8 0a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0", Width: 1.2},
	{Shape: "m0-3.6l3.6 3.6l-3.6 3.6l-3.6-3.6z", Width: 1.4},
	{Shape: "m-3.4 0h6.8", Width: 2},
	{Shape: "m0-3.4v6.8", Width: 2},
}

// traffic is the chart of all requests.
type traffic struct {
	frame
	Y      []tick
	Series []series
	Failed string // an SVG path of crosses
}

// series are the answers of one instance.
type series struct {
	Name string
	sign
	Path     string // an SVG path of signs
	Requests int
}

// requests draws each request where it was due, by how long it took.
func requests(rec *scenarios.Recording) traffic {
	t := traffic{frame: newFrame(rec, 260)}
	y := axis{from: 0.0001, to: 10, a: t.Bottom, b: t.Top, log: true}
	for v, label := range map[float64]string{0.0001: "0.1 ms", 0.001: "1 ms", 0.01: "10 ms", 0.1: "100 ms", 1: "1 s", 10: "10 s"} {
		t.Y = append(t.Y, tick{y.px(v), label})
	}
	slices.SortFunc(t.Y, func(a, b tick) int { return int(b.At - a.At) })
	dots, look := map[string]*strings.Builder{}, signs(rec)
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
		fmt.Fprintf(dots[r.Task], "M%g %g%s", px, py, look[r.Task].Shape)
		count[r.Task]++
	}
	t.Failed = crosses.String()
	for _, name := range names(rec) {
		if dots[name] != nil {
			t.Series = append(t.Series, series{Name: named(rec, name), sign: look[name], Path: dots[name].String(), Requests: count[name]})
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

// signs of those who can have answered. After eight, a colour comes in another
// shape.
func signs(rec *scenarios.Recording) map[string]sign {
	out := map[string]sign{}
	for i, name := range names(rec) {
		s := shapes[(i+i/len(palette))%len(shapes)]
		s.Color = palette[i%len(palette)]
		out[name] = s
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
	b := bar{X: f.time(*t.Seen), Label: t.Name, Color: signs(rec)[t.Name].Color, Title: fmt.Sprintf("%s (%s) on %s, %s: %s", t.Name, t.ID, t.Node, t.Address, word)}
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
