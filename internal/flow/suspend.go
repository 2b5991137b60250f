package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
)

// Suspended tells what suspend did.
type Suspended struct {
	Name     string   `json:"name"`
	Machines []string `json:"machines"` // those that stand still
	Changed  bool     `json:"changed"`
	Seconds  float64  `json:"seconds"`
}

// Suspend lets all machines of a lab stand still, with everything on them.
// Resume and Create let them go on, also after an interruption: the journal
// knows before the first machine does.
func (f *Flow) Suspend(ctx context.Context, name string) (*Suspended, error) {
	start := time.Now()
	var out *Suspended
	err := f.onLab(ctx, name, "lab suspend", func(c change) error {
		if !slices.Contains(c.provider.Features().PowerModes, lab.PowerPause) {
			return f.unable("suspend", c.lab.Provider, "cannot let machines stand still", func(p lab.Provider) bool {
				return slices.Contains(p.Features().PowerModes, lab.PowerPause)
			})
		}
		var err error
		out, err = f.suspend(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Seconds = time.Since(start).Seconds()
	return out, nil
}

// suspendedFault is the journal's word for a suspended lab.
const suspendedFault = "suspended"

func (f *Flow) suspend(ctx context.Context, c change) (*Suspended, error) {
	faults, err := c.lab.Faults()
	if err != nil {
		return nil, err
	}
	known := false
	for _, fault := range faults {
		if fault.Fault != suspendedFault {
			return nil, &lab.Error{ID: "lab-broken", Op: "suspend", Err: fmt.Errorf("still broken: %s", fault), Advice: fault.Mends() + " mends it"}
		}
		known = true
	}
	running, err := c.running(ctx, lab.StateRunning, lab.StatePaused)
	if err != nil {
		return nil, err
	}
	out := &Suspended{Name: c.lab.Spec.Name, Machines: names(c.plan.Nodes), Changed: running > 0}
	if !known {
		if err := c.lab.RecordFault(newFault("lab suspend", suspendedFault, out.Machines)); err != nil {
			return nil, err
		}
	}
	return out, c.report.Step("suspend", "", "machines", func(wait func(string)) error {
		wait(fmt.Sprintf("%d machines to stand still", running))
		return c.provider.Power(ctx, c.plan, out.Machines, lab.PowerPause)
	})
}

// newFault is a journal entry about machines that Resume brings back.
func newFault(by, what string, nodes []string) state.Fault {
	return state.Fault{ID: rand.Text(), Time: time.Now().UTC(), By: by, Fault: what, Undo: lab.PowerOn, Nodes: nodes, Mender: "resume"}
}

// change is a lab that this process has locked, and what leads it.
type change struct {
	lab      *state.Lab
	provider lab.Provider
	plan     lab.Plan
	report   lab.Report
}

// onLab runs fn on a lab that exists, under its lock, with its event log open.
func (f *Flow) onLab(ctx context.Context, name, command string, fn func(change) error) error {
	return f.locked(name, command, func() error {
		l, err := f.Store.Load(name)
		if err != nil {
			return err
		}
		provider, err := f.provider(l.Provider)
		if err != nil {
			return err
		}
		report, closeLog, err := f.recorded(l)
		if err != nil {
			return err
		}
		plan, err := f.plan(l, report)
		if err == nil {
			err = fn(change{lab: l, provider: provider, plan: plan, report: report})
		}
		return errors.Join(err, closeLog())
	})
}

// running returns how many machines run, and refuses if one is in another
// state than those allowed.
func (c change) running(ctx context.Context, allowed ...lab.MachineState) (int, error) {
	status, err := c.provider.Status(ctx, c.plan)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, s := range status {
		if !slices.Contains(allowed, s.State) {
			return 0, &lab.Error{ID: "lab-not-whole", Op: "look at the machines", Machine: s.Machine.Name, Err: fmt.Errorf("it is %s", s.State), Advice: "lab create repairs what is missing; nothing was changed"}
		}
		if s.State == lab.StateRunning {
			n++
		}
	}
	return n, nil
}

// unable says what a provider cannot do, and which can.
func (f *Flow) unable(op, provider, lack string, has func(lab.Provider) bool) error {
	var able []string
	for _, name := range slices.Sorted(maps.Keys(f.Providers)) {
		if has(f.Providers[name]) {
			able = append(able, name)
		}
	}
	advice := "no provider of this version can"
	if len(able) > 0 {
		advice = "providers that can: " + strings.Join(able, ", ") + "; lab create --provider " + able[0] + " --name NAME makes such a lab beside this one"
	}
	return &lab.Error{ID: op + "-unsupported", Op: op, Err: fmt.Errorf("provider %s %s: %w", provider, lack, errors.ErrUnsupported), Advice: advice}
}

func names(nodes []lab.Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.Name
	}
	return out
}
