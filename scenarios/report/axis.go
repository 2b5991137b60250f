package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mesoslab/lab/scenarios"
)

// axis maps values to pixels.
type axis struct {
	from, to float64 // values
	a, b     float64 // pixels
	log      bool
}

func (x axis) px(v float64) float64 {
	lo, hi := x.from, x.to
	if x.log {
		v, lo, hi = math.Log10(max(v, lo)), math.Log10(lo), math.Log10(hi)
	}
	v = min(max(v, lo), hi)
	if hi == lo {
		return x.a
	}
	return math.Round(10*(x.a+(v-lo)/(hi-lo)*(x.b-x.a))) / 10
}

// tick is a mark at an axis.
type tick struct {
	At    float64
	Label string
}

// ticks are at most n round steps: 1, 2 or 5 times a power of ten.
func (x axis) ticks(n int, unit string) []tick {
	span := x.to - x.from
	if !(span > 0 && span < 1e9) || n < 1 { // no run is as long
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if span/(m*step) <= float64(n) {
			step *= m
			break
		}
	}
	var out []tick
	for k := math.Ceil(x.from / step); k*step <= x.to+1e-9; k++ {
		v := k * step
		out = append(out, tick{x.px(v), fmt.Sprintf("%.4g%s", math.Round(v/step)*step+0, unit)})
	}
	return out
}

// band is a stretch of time.
type band struct {
	X, Width float64
	Label    string
	Color    string
}

// mark is a moment.
type mark struct {
	X     float64
	Label string
	Undo  bool
	Row   int  // labels that are close together lie in several rows
	Left  bool // the label is left of the mark: there is no room at its right
}

// frame is what all charts of a report share: the time axis, in seconds since
// the fault, with what was done and what took how long.
type frame struct {
	rec           *scenarios.Recording
	Width, Height float64
	Left, Right   float64
	Top, Bottom   float64
	x             axis
	zero          float64 // the fault, in seconds since the run began
	Ticks         []tick
	Bands         []band
	Marks         []mark
}

const chartWidth = 1120

// The heights of a row of labels of marks, of the row of phases below them,
// and of the time axis.
const (
	markRow  = 18.0
	phaseRow = 24.0
	axisRow  = 44.0
)

// newFrame spans from the first request to the end of the run. inside is the
// height of what is drawn in it.
func newFrame(rec *scenarios.Recording, inside float64) frame {
	f := frame{rec: rec, Width: chartWidth, Left: 76, Right: chartWidth - 12}
	if rec.Fault != nil {
		f.zero = *rec.Fault
	}
	first, last := rec.Result.Seconds, rec.Result.Seconds
	for _, r := range rec.Requests {
		first = min(first, r.Due)
	}
	if len(rec.Requests) == 0 {
		first = 0
	}
	f.x = axis{from: first - f.zero, to: max(last-f.zero, first-f.zero+0.001), a: f.Left, b: f.Right}
	f.Ticks = f.x.ticks(14, "")
	f.Top = markRow*float64(f.marks()) + phaseRow
	f.resize(inside)
	for i, p := range rec.Result.Phases {
		a, b := f.x.px(p.From), f.x.px(p.From+p.Seconds)
		one := band{X: a, Width: b - a, Color: []string{"#eef2f7", "#dfe7f1"}[i%2]}
		if one.Width > 9*float64(len(p.Name)) {
			one.Label = p.Name
		}
		f.Bands = append(f.Bands, one)
	}
	return f
}

func (f *frame) resize(inside float64) { f.Bottom, f.Height = f.Top+inside, f.Top+inside+axisRow }

// time is a moment of the recording on the axis.
func (f frame) time(sinceBegun float64) float64 { return f.x.px(sinceBegun - f.zero) }

// marks places the marks and returns how many rows their labels take.
func (f *frame) marks() (rows int) {
	for _, fault := range f.rec.Faults {
		f.Marks = append(f.Marks, mark{X: f.time(fault.At), Label: fault.Text})
	}
	undone := map[float64]bool{}
	for _, fault := range f.rec.Faults {
		if fault.Until != nil && !undone[math.Round(10**fault.Until)] {
			undone[math.Round(10**fault.Until)] = true
			f.Marks = append(f.Marks, mark{X: f.time(*fault.Until), Label: "restored", Undo: true})
		}
	}
	slices.SortStableFunc(f.Marks, func(a, b mark) int { return cmp.Compare(a.X, b.X) })
	var ends [5]float64
	for i := range f.Marks {
		m := &f.Marks[i]
		from, to := m.X, m.X+labelWidth(m.Label)
		if m.Left = to > f.Right; m.Left {
			from, to = m.X-labelWidth(m.Label), m.X
		}
		m.Row = slices.IndexFunc(ends[:], func(end float64) bool { return from >= end })
		if m.Row < 0 { // crowded everywhere: where it covers least
			m.Row = slices.Index(ends[:], slices.Min(ends[:]))
		}
		ends[m.Row] = max(ends[m.Row], to)
		rows = max(rows, m.Row+1)
	}
	return rows
}

// labelWidth is the room of a mark's label, generously: fonts differ.
func labelWidth(label string) float64 { return 7.5*float64(len([]rune(label))) + 14 }
