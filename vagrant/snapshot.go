package vagrant

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/mesoslab/lab"
)

var (
	_ lab.SnapshotSaver    = (*Provider)(nil)
	_ lab.SnapshotRestorer = (*Provider)(nil)
	_ lab.SnapshotLister   = (*Provider)(nil)
)

var snapshotName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`) })

// snapshot opens a session for machines that all exist.
func (p *Provider) snapshot(ctx context.Context, plan lab.Plan, name string) (*session, []view, error) {
	if !snapshotName().MatchString(name) {
		return nil, nil, wrong("snapshot-name", fmt.Errorf("%q is no name for a snapshot", name), "use letters, digits, dot, dash and underscore")
	}
	s, err := p.open(ctx, plan, changeWait)
	if err != nil {
		return nil, nil, err
	}
	views, err := s.look(ctx, plan.Nodes)
	for _, v := range views {
		if err == nil && (v.state == lab.StateMissing || v.half) {
			err = &lab.Error{ID: "machine-missing", Op: "snapshot", Machine: v.node.Name, Err: lab.ErrNotFound, Advice: "lab create makes it"}
		}
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, views, nil
}

// SaveSnapshot implements lab.SnapshotSaver.
func (p *Provider) SaveSnapshot(ctx context.Context, plan lab.Plan, name string) error {
	s, _, err := p.snapshot(ctx, plan, name)
	if err != nil {
		return err
	}
	defer s.close()
	for _, n := range plan.Nodes {
		if err := s.run(ctx, "snapshot save", func(record) {}, "snapshot", "save", "--force", n.Name, name); err != nil {
			return err
		}
	}
	return nil
}

// RestoreSnapshot implements lab.SnapshotRestorer.
func (p *Provider) RestoreSnapshot(ctx context.Context, plan lab.Plan, name string) error {
	s, _, err := p.snapshot(ctx, plan, name)
	if err != nil {
		return err
	}
	defer s.close()
	have, err := s.snapshots(ctx)
	if err != nil {
		return err
	}
	for _, n := range plan.Nodes {
		if !slices.Contains(have[n.Name], name) {
			// Nothing is done by halves: all machines have it, or none goes back.
			return &lab.Error{ID: "snapshot-missing", Op: "snapshot restore", Machine: n.Name, Err: fmt.Errorf("%w: no snapshot %q", lab.ErrNotFound, name), Advice: fmt.Sprintf("it has %q", have[n.Name])}
		}
	}
	var names []string
	for _, n := range plan.Nodes {
		names = append(names, n.Name)
		if err := s.run(ctx, "snapshot restore", func(record) {}, "snapshot", "restore", "--no-provision", n.Name, name); err != nil {
			return err
		}
	}
	return errors.Join(s.greet(ctx, names), s.mem.write(s.dir))
}

// Snapshots implements lab.SnapshotLister.
func (p *Provider) Snapshots(ctx context.Context, plan lab.Plan) (map[string][]string, error) {
	dir, err := folder(plan)
	if err != nil {
		return nil, err
	}
	if !exists(dir, "*") {
		return map[string][]string{}, nil
	}
	s, err := p.open(ctx, plan, questionWait)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.snapshots(ctx)
}

func (s *session) snapshots(ctx context.Context) (map[string][]string, error) {
	out := map[string][]string{}
	err := s.run(ctx, "snapshot list", func(r record) {
		// A name is a detail of its machine; so is prose, which is no name.
		if r.Kind == "ui" && r.Target != "" && r.data(0) == "detail" && snapshotName().MatchString(r.data(1)) {
			out[r.Target] = append(out[r.Target], r.data(1))
		}
	}, "snapshot", "list")
	return out, err
}
