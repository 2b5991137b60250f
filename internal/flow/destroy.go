package flow

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
)

// Destroyed tells what destroy removed.
type Destroyed struct {
	Name     string  `json:"name"`
	Machines int     `json:"machines"`
	Seconds  float64 `json:"seconds"`
}

// Destroy removes everything that a lab made, working from its record alone.
// It may follow any crash, also a half create.
func (f *Flow) Destroy(ctx context.Context, name string) (*Destroyed, error) {
	start := time.Now()
	var out *Destroyed
	err := f.locked(name, "lab destroy", func() error {
		l, err := f.Store.Load(name)
		if err != nil {
			return err
		}
		out, err = f.destroy(ctx, l)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Seconds = time.Since(start).Seconds()
	return out, nil
}

func (f *Flow) destroy(ctx context.Context, l *state.Lab) (*Destroyed, error) {
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	plan, err := f.plan(l, f.Report)
	if err != nil {
		return nil, err
	}
	if plan.Nodes, err = allNodes(l, plan.Nodes); err != nil {
		return nil, err
	}
	err = f.Report.Step("destroy", "", "machines", func(wait func(string)) error {
		wait(fmt.Sprintf("%d machines to end", len(plan.Nodes)))
		return provider.Destroy(ctx, plan)
	})
	if err != nil {
		return nil, fmt.Errorf("destroy lab %s: %w", l.Spec.Name, err)
	}
	if err := l.Remove(); err != nil {
		return nil, err
	}
	return &Destroyed{Name: l.Spec.Name, Machines: len(plan.Nodes)}, nil
}

// allNodes adds the machines that have a folder but are not in the spec any
// more: an interrupted create with fewer slaves leaves such.
func allNodes(l *state.Lab, nodes []lab.Node) ([]lab.Node, error) {
	entries, err := os.ReadDir(filepath.Join(l.Dir, "machines"))
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	known := map[string]bool{}
	for _, n := range nodes {
		known[n.Name] = true
	}
	for _, m := range l.Machines {
		if !known[m.Name] {
			known[m.Name] = true
			nodes = append(nodes, m.Node)
		}
	}
	for _, e := range entries {
		if e.IsDir() && !known[e.Name()] {
			nodes = append(nodes, lab.Node{Name: e.Name(), Role: lab.RoleSlave})
		}
	}
	return nodes, nil
}
