package images

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// plan is what has to be carried.
type plan struct {
	loads []load
	moves []move
}

// load brings an archive to a machine; refs are those for whose sake.
type load struct {
	machine Machine
	archive *Archive
	refs    []string
}

// move brings an image to machines from a registry or from one that has it.
type move struct {
	ref     string
	holder  Machine // has it, unless pull
	pull    bool    // by holder, from a registry
	size    int64   // about, 0 if not known
	missing []Machine
}

// decide compares what is wanted with what there is.
func (d *delivery) decide(ctx context.Context, views []view, say func(string)) (plan, error) {
	var p plan
	missing := map[string]error{} // what nobody has made: the error if nobody has it either
	var order []string
	for _, v := range views {
		fromFile := d.filed(v)
		made, refs, err := d.makes(ctx, v, say)
		if err != nil && lab.ErrorID(err) != "mini-binary-missing" {
			return plan{}, err
		}
		for _, l := range []load{{v.machine, d.File, fromFile}, {v.machine, made, refs}} {
			if len(l.refs) > 0 && l.archive != nil {
				if err := l.check(ctx); err != nil {
					return plan{}, err
				}
				p.loads = append(p.loads, l)
			}
		}
		for _, s := range v.images {
			taken := slices.Contains(fromFile, s.ref) || made != nil && d.Maker.Has(s.ref)
			if s.present || taken {
				continue
			}
			if _, known := missing[s.ref]; !known {
				order = append(order, s.ref)
			}
			if missing[s.ref] = nil; d.Maker.Has(s.ref) {
				missing[s.ref] = err
			}
		}
	}
	for _, ref := range order {
		m, ok := moveFor(ref, views)
		if !ok && missing[ref] != nil {
			return plan{}, missing[ref]
		}
		p.moves = append(p.moves, m)
	}
	return p, nil
}

// filed lists what a machine needs of the file.
func (d *delivery) filed(v view) []string {
	var refs []string
	for _, s := range v.images {
		e, ok := d.File.find(s.ref)
		if ok && (!s.present || e.Digest != "" && s.digest != e.Digest && s.digest != BuiltIn) {
			refs = append(refs, s.ref)
		}
	}
	return refs
}

// makes returns the Maker's archive for a machine and what the machine needs of
// it. Nothing is made for an engine that runs lab's programs by itself. Where
// the archive cannot be made, older images of lab's are good enough.
func (d *delivery) makes(ctx context.Context, v view, say func(string)) (*Archive, []string, error) {
	var candidates []state
	for _, s := range v.images {
		if _, filed := d.File.find(s.ref); !filed && d.Maker.Has(s.ref) && s.digest != BuiltIn {
			candidates = append(candidates, s)
		}
	}
	if len(candidates) == 0 {
		return nil, nil, nil
	}
	arch, err := v.machine.arch(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := d.make(ctx, arch, say)
	if err != nil {
		return nil, nil, err
	}
	var refs []string
	for _, s := range candidates {
		if !s.present || s.digest != a.digest() {
			refs = append(refs, s.ref)
		}
	}
	return a, refs, nil
}

// make makes the Maker's archive for an architecture, once.
func (d *delivery) make(ctx context.Context, arch string, say func(string)) (*Archive, error) {
	d.mu.Lock()
	get, ok := d.made[arch]
	if !ok {
		get = sync.OnceValues(func() (*Archive, error) { return d.Maker.Archive(ctx, arch, say) })
		d.made[arch] = get
	}
	d.mu.Unlock()
	return get()
}

// arch asks the engine for its architecture, in Go's word.
func (m Machine) arch(ctx context.Context) (string, error) {
	info, err := m.Docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", fmt.Errorf("%s: ask Docker for its architecture: %w", m.Name, err)
	}
	return goArch(info.Info.Architecture), nil
}

// check looks whether the machine can run what it is to get.
func (l load) check(ctx context.Context) error {
	arch, err := l.machine.arch(ctx)
	if err != nil {
		return err
	}
	for _, ref := range l.refs {
		if e, _ := l.archive.find(ref); e.Arch != arch {
			return &lab.Error{ID: "image-arch", Op: "take " + ref + " from " + l.archive.Path, Machine: l.machine.Name,
				Err:    fmt.Errorf("the image is for %s, the machine is %s", e.Arch, arch),
				Advice: "save the images for this architecture: lab images save FILE --arch " + arch}
		}
	}
	return nil
}

// moveFor finds who gives an image and who gets it. Without anybody who has it,
// the first machine that wants it pulls it, and ok is false.
func moveFor(ref string, views []view) (m move, ok bool) {
	m.ref = ref
	for _, v := range views {
		for _, s := range v.images {
			switch {
			case !same(s.ref, ref):
			case !s.present:
				m.missing = append(m.missing, v.machine)
			case !ok:
				m.holder, m.size, ok = v.machine, s.size, true
			}
		}
	}
	if !ok {
		m.holder, m.pull, m.missing = m.missing[0], true, m.missing[1:]
	}
	return m, ok
}
