// Package flow leads a lab through the rooms: create, destroy, status, heal,
// scenario. Its functions are plain and in the order in which things happen;
// each room does its own work and reports its own events.
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
	"path/filepath"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
)

// Flow is what every function here works with.
type Flow struct {
	Store     state.Store
	Providers map[string]lab.Provider
	// Default is the provider that "auto" means, and Why says so in words.
	Default, Why string
	Report       lab.Report
}

// subnetProber is what a provider may implement to keep a busy subnet from
// being chosen.
type subnetProber interface {
	SubnetFree(ctx context.Context, subnet string, ports lab.PortsSpec) bool
}

// provider returns the provider that a spec's word means.
func (f *Flow) provider(word string) (string, lab.Provider, error) {
	if word == "" || word == "auto" {
		word = f.Default
	}
	p, ok := f.Providers[word]
	if !ok {
		var names []string
		for n := range f.Providers {
			names = append(names, n)
		}
		slices.Sort(names)
		return "", nil, &lab.Error{
			ID: "provider-missing", Op: "choose provider",
			Err:    fmt.Errorf("%w: provider %q is not in this version", lab.ErrUsage, word),
			Advice: "providers are auto, " + strings.Join(names, ", "),
		}
	}
	return word, p, nil
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
