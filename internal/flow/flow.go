// Package flow leads a lab through the rooms: create, destroy, status, break, heal,
// reset, suspend and resume, snapshots, scenario. Its functions are plain and in the
// order in which things happen; each room does its own work and reports its own
// events.
//
// A Flow holds what the command line hands in: the store, the providers, whom
// to tell. Every function that changes a lab takes its lock first, works from
// the recorded spec, and may be interrupted at any point and run again:
// create converges, destroy removes what is left. Nothing here prints, and no
// provider is known by name.
package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision/images"
)

// Flow is what every function here works with.
type Flow struct {
	Store     state.Store
	Providers map[string]lab.Provider
	// Auto lists the providers that "auto" may mean, the best first. The first
	// that is ready is taken; the last needs no more than this program.
	Auto   []string
	Report lab.Report
	// Images says where the stack's images come from.
	Images images.Sources
	// Computer is what checks look at; the zero value is this one.
	Computer computer.Computer
}

// subnetProber is what a provider may implement to keep a busy subnet from
// being chosen.
type subnetProber interface {
	SubnetFree(ctx context.Context, subnet string, ports lab.PortsSpec) bool
}

// provider returns a provider by its name.
func (f *Flow) provider(name string) (lab.Provider, error) {
	if p, ok := f.Providers[name]; ok {
		return p, nil
	}
	return nil, &lab.Error{
		ID: "provider-missing", Op: "choose provider",
		Err:    fmt.Errorf("%w: provider %q is not in this version", lab.ErrUsage, name),
		Advice: "providers are auto, " + strings.Join(slices.Sorted(maps.Keys(f.Providers)), ", "),
	}
}

// plan is what a provider gets to hear of a lab.
func (f *Flow) plan(l *state.Lab, report lab.Report) (lab.Plan, error) {
	nodes, err := l.Spec.Nodes()
	if err != nil {
		return lab.Plan{}, fmt.Errorf("plan lab %s: %w", l.Spec.Name, err)
	}
	return lab.Plan{Dir: l.Dir, ID: l.ID, Spec: l.Spec, Nodes: nodes, Report: report}, nil
}

// recorded returns a report that also writes the lab's event log.
func (f *Flow) recorded(l *state.Lab) (lab.Report, func() error, error) {
	log, closeLog, err := l.EventLog(func(err error) {
		f.Report.Emit(lab.Event{Kind: lab.EventNote, Text: fmt.Sprintf("the event log cannot be written: %v", err)})
	})
	if err != nil {
		return nil, nil, err
	}
	return func(e lab.Event) {
		f.Report.Emit(e)
		log(e)
	}, closeLog, nil
}

// grouped returns a report that puts steps into a group, so that they are
// shown in one line a machine.
func grouped(report lab.Report, group string) lab.Report {
	return func(e lab.Event) {
		if e.Step != "" {
			e.Step = group + "/" + e.Step
		}
		report.Emit(e)
	}
}

// locked runs fn while this process holds the lock of a lab.
func (f *Flow) locked(name, command string, fn func() error) error {
	lock, err := f.Store.Lock(name, command)
	if err != nil {
		return err
	}
	err = fn()
	return errors.Join(err, lock.Unlock())
}

// Log returns the file in which a provider keeps a machine's own log.
func Log(l *state.Lab, node string) string { return filepath.Join(l.Dir, "machines", node, "log") }
