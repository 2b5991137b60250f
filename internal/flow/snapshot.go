package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mesoslab/lab"
)

// Snapshot is a state to which a lab can be brought back.
type Snapshot struct {
	Name     string   `json:"name"`
	Machines []string `json:"machines"`
	// Whole says that every machine of the lab has it: only then can the lab
	// be brought back.
	Whole bool `json:"whole"`
}

// Saved tells what a snapshot took.
type Saved struct {
	Name     string  `json:"name"`
	Snapshot string  `json:"snapshot"`
	Seconds  float64 `json:"seconds"`
}

// SaveSnapshot saves all machines of a running lab, in memory and disk. A
// snapshot of that name is replaced.
func (f *Flow) SaveSnapshot(ctx context.Context, name, snapshot string) (*Saved, error) {
	start := time.Now()
	command := "lab snapshot save " + snapshot
	err := f.onLab(ctx, name, command, func(c change) error {
		saver, ok := c.provider.(lab.SnapshotSaver)
		if !ok {
			return f.unableSnapshots(c.lab.Provider)
		}
		if faults, err := c.lab.Faults(); err != nil {
			return err
		} else if len(faults) > 0 {
			return &lab.Error{ID: "lab-broken", Op: "save snapshot", Err: fmt.Errorf("still broken: %s", faults[0]), Advice: faults[0].Mends() + " mends it: a snapshot of it would be of no use"}
		}
		if _, err := c.running(ctx, lab.StateRunning); err != nil {
			return err
		}
		return c.standing(ctx, command, "being saved", func() error {
			return saver.SaveSnapshot(ctx, c.plan, snapshot)
		})
	})
	if err != nil {
		return nil, err
	}
	return &Saved{Name: name, Snapshot: snapshot, Seconds: time.Since(start).Seconds()}, nil
}

// RestoreSnapshot brings all machines of a lab back to a snapshot and returns
// when the lab is whole again. What scenarios have broken since is whole, too.
func (f *Flow) RestoreSnapshot(ctx context.Context, name, snapshot string) (*Created, error) {
	did := changes{since: time.Now()}
	var out *Created
	command := "lab snapshot restore " + snapshot
	err := f.onLab(ctx, name, command, func(c change) error {
		restorer, ok := c.provider.(lab.SnapshotRestorer)
		if !ok {
			return f.unableSnapshots(c.lab.Provider)
		}
		err := c.standing(ctx, command, "being brought back", func() error {
			return restorer.RestoreSnapshot(ctx, c.plan, snapshot)
		})
		if err != nil {
			return err
		}
		did.add("brought back to %s", snapshot)
		faults, err := c.lab.Faults()
		if err != nil {
			return err
		}
		for _, fault := range faults {
			if err := c.lab.StrikeFault(fault.ID); err != nil {
				return err
			}
		}
		out, err = f.wake(ctx, c, &did)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Seconds = time.Since(did.since).Seconds()
	return out, nil
}

// standing does something for which machines stand still. The journal holds an
// entry as long as not all of them run again: after an interruption resume and
// create bring them back.
func (c change) standing(ctx context.Context, command, what string, fn func() error) error {
	fault := newFault(command, what, names(c.plan.Nodes))
	if err := c.lab.RecordFault(fault); err != nil {
		return err
	}
	err := c.report.Step("snapshot", "", "machines", func(wait func(string)) error {
		wait(fmt.Sprintf("%d machines %s", len(c.plan.Nodes), what))
		return fn()
	})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		if _, stands := c.running(ctx, lab.StateRunning); stands != nil {
			return err
		}
	}
	return errors.Join(err, c.lab.StrikeFault(fault.ID))
}

// Snapshots lists the snapshots of a lab, oldest first as far as its provider
// knows.
func (f *Flow) Snapshots(ctx context.Context, name string) ([]Snapshot, error) {
	l, err := f.Store.Load(name)
	if err != nil {
		return nil, err
	}
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	lister, ok := provider.(lab.SnapshotLister)
	if !ok {
		return nil, f.unableSnapshots(l.Provider)
	}
	plan, err := f.plan(l, f.Report)
	if err != nil {
		return nil, err
	}
	have, err := lister.Snapshots(ctx, plan)
	if err != nil {
		return nil, err
	}
	return collate(have, names(plan.Nodes)), nil
}

// collate turns the snapshots of each machine into the machines of each
// snapshot, in the order of the machine that has most of them.
func collate(have map[string][]string, nodes []string) []Snapshot {
	out := []Snapshot{}
	machines := slices.SortedFunc(maps.Keys(have), func(a, b string) int {
		return cmp.Or(len(have[b])-len(have[a]), cmp.Compare(a, b))
	})
	for _, m := range machines {
		for _, s := range have[m] {
			if !slices.ContainsFunc(out, func(o Snapshot) bool { return o.Name == s }) {
				out = append(out, Snapshot{Name: s})
			}
		}
	}
	for i := range out {
		for _, n := range nodes {
			if slices.Contains(have[n], out[i].Name) {
				out[i].Machines = append(out[i].Machines, n)
			}
		}
		out[i].Whole = len(out[i].Machines) == len(nodes)
	}
	return out
}

func (f *Flow) unableSnapshots(provider string) error {
	return f.unable("snapshot", provider, "has no snapshots", func(p lab.Provider) bool {
		_, ok := p.(lab.SnapshotSaver)
		return ok
	})
}
