package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/mesoslab/lab"
)

// bring brings machines to running from wherever they are: half-made ones are
// removed and made anew (Vagrant takes one that runs for complete, without
// network and key), saved ones go on, the others start.
func (s *session) bring(ctx context.Context, views []view, report lab.Report) error {
	var half, paused, off, fresh, all []string
	for _, v := range views {
		name := v.node.Name
		all = append(all, name)
		switch {
		case v.half:
			half = append(half, name)
		case v.state == lab.StatePaused:
			paused = append(paused, name)
		case v.state != lab.StateRunning:
			off = append(off, name)
		}
		if v.state == lab.StateMissing {
			fresh = append(fresh, name)
		}
	}
	for _, name := range append(fresh, half...) {
		delete(s.mem.Machines, name) // a new machine has a new host key
	}
	if len(half) > 0 {
		for _, name := range half {
			report.Emit(lab.Event{Op: "create", Kind: lab.EventNote, Node: name, Step: "boot", Text: "was never finished; it is removed and made anew"})
		}
		if err := s.destroy(ctx, half, report); err != nil {
			return err
		}
	}
	t := newTracker(report, "create", "boot", all)
	err := s.start(ctx, t, paused, inOrder(all, append(off, half...)))
	if err == nil {
		err = s.greet(ctx, all)
	}
	for _, v := range views {
		if err == nil || v.state == lab.StateRunning || t.ended(v.node.Name) {
			t.done(v.node.Name)
		}
	}
	t.end(err)
	return errors.Join(err, s.mem.write(s.dir))
}

// inOrder returns those of some in the order of all: the master is made first.
func inOrder(all, some []string) []string {
	var out []string
	for _, name := range all {
		if slices.Contains(some, name) {
			out = append(out, name)
		}
	}
	return out
}

// start resumes and starts machines.
func (s *session) start(ctx context.Context, t *tracker, paused, off []string) error {
	if len(paused) > 0 {
		if err := s.run(ctx, "resume", t.record, append([]string{"resume", "--no-provision"}, paused...)...); err != nil {
			return t.blame(err)
		}
	}
	if len(off) == 0 {
		return nil
	}
	if err := s.opts.checkKVM(s.plan.Spec); err != nil {
		return err
	}
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	for _, name := range off {
		if err := os.MkdirAll(s.mark(name), 0o700); err != nil {
			return fmt.Errorf("mark %s: %w", name, err)
		}
	}
	args := []string{"up", "--provider", s.provider, "--no-provision", "--no-destroy-on-error", "--no-install-provider"}
	if s.provider == "libvirt" {
		// Tried: three at once take as long as one.
		args = append(args, "--parallel")
	} else {
		// VirtualBox races when it imports twice at once (vagrant#9447).
		args = append(args, "--no-parallel")
	}
	err := s.run(ctx, "up", t.record, append(args, off...)...)
	for _, name := range off {
		if err == nil || t.ended(name) {
			r := s.mem.Machines[name]
			r.Made = true
			s.mem.Machines[name] = r
			s.mem.set(name, lab.StateRunning)
		}
	}
	if err != nil {
		return errors.Join(t.blame(err), s.mem.write(s.dir))
	}
	return s.mem.write(s.dir)
}

// mark is the folder by which the lab knows that a machine was begun, also when
// a spec that came later does not want it any more.
func (s *session) mark(name string) string { return filepath.Join(s.dir, "machines", name) }

// greet makes sure that every machine answers at its remembered endpoint, and
// asks Vagrant anew about those that do not: addresses change.
func (s *session) greet(ctx context.Context, names []string) error {
	var nodes []lab.Node
	for _, name := range names {
		nodes = append(nodes, lab.Node{Name: name})
	}
	var lost []string
	for _, v := range s.opts.glance(ctx, s.dir, nodes, s.mem, nil) {
		if v.sure && v.state == lab.StateRunning {
			s.mem.set(v.node.Name, lab.StateRunning)
		} else {
			lost = append(lost, v.node.Name)
		}
	}
	return s.endpoints(ctx, lost)
}

// fileForDestroy makes sure that Vagrant has a file that names the machines;
// one that is there is taken as it is.
func (s *session) fileForDestroy() error {
	if _, err := os.Stat(filepath.Join(s.dir, "Vagrantfile")); err == nil {
		return nil
	}
	return s.ensureFile()
}

// cleanUp removes what is left when the last machine is gone, except a
// Vagrantfile that somebody changed.
func (s *session) cleanUp() error {
	if len(s.mem.Machines) > 0 || exists(s.dir, "*") {
		return s.mem.write(s.dir)
	}
	path := filepath.Join(s.dir, "Vagrantfile")
	var errs []error
	if data, err := os.ReadFile(path); err == nil && sum(data) == s.mem.Vagrantfile {
		errs = append(errs, os.Remove(path))
	}
	errs = append(errs, os.RemoveAll(filepath.Join(s.dir, ".vagrant")), os.RemoveAll(filepath.Join(s.dir, "machines")))
	if err := os.Remove(filepath.Join(s.dir, "vagrant.json")); !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
