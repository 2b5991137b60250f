package images

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// Engine is what is needed of a machine's Docker; *client.Client has it.
type Engine interface {
	ImageInspect(ctx context.Context, ref string, o ...client.ImageInspectOption) (client.ImageInspectResult, error)
	ImagePull(ctx context.Context, ref string, o client.ImagePullOptions) (client.ImagePullResponse, error)
	ImageSave(ctx context.Context, refs []string, o ...client.ImageSaveOption) (client.ImageSaveResult, error)
	Info(ctx context.Context, o client.InfoOptions) (client.SystemInfoResult, error)
}

// Host is what is needed of a machine besides; *provision.Host has it.
type Host interface {
	// Run runs a command line and returns its output.
	Run(ctx context.Context, cmd string, stdin io.Reader) ([]byte, error)
	// Send puts size bytes into a file, and goes on where an earlier call for
	// the same file was cut off. sent is told how many bytes are there.
	Send(ctx context.Context, name string, r io.ReaderAt, size int64, sent func(int64)) error
	// Root says that Run needs no sudo.
	Root() bool
}

// Machine is how a machine is reached. Wants are the images that its
// containers will be made of.
type Machine struct {
	Name   string
	Docker Engine
	Host   Host
	Wants  []string
}

// Sources says where images come from.
type Sources struct {
	// File, where there is one, is preferred for what is in it.
	File *Archive
	// Maker makes the images of its catalogue; nil makes none.
	Maker *Maker
	// Temp is a folder for what is handed from one machine to others.
	Temp string
}

// Check looks, before any machine is made, whether images are named as Docker
// wants it and whether the file is of any use. Error ids: image-name,
// archive-unneeded.
func (s Sources) Check(refs []string) error {
	useful := s.File == nil
	for _, ref := range refs {
		if err := checkName(ref); err != nil {
			return err
		}
		_, found := s.File.find(ref)
		useful = useful || found
	}
	if useful {
		return nil
	}
	return &lab.Error{ID: "archive-unneeded", Op: "take images from " + s.File.Path,
		Err:    wrong{fmt.Errorf("it has %s; this lab needs %s", strings.Join(s.File.Refs(), ", "), strings.Join(refs, ", "))},
		Advice: "save the images of this stack (lab images save FILE --stack seed, or mini), or choose the other stack (--stack)"}
}

func checkName(ref string) error {
	if _, err := canonical(ref); err != nil {
		return &lab.Error{ID: "image-name", Op: "look for image", Err: wrong{fmt.Errorf("%q: %w", ref, err)},
			Advice: "images are named like nginx:1.10 or registry:5000/team/app:2; see images: in lab.yaml"}
	}
	return nil
}

// Options say how Deliver reports.
type Options struct {
	Op     string // the command's word in events
	Report lab.Report
}

// Result says what Deliver did, in words for people, sorted.
type Result struct{ Did []string }

// Deliver brings to every machine the images that it wants and its engine does
// not have: those of Sources.File and of Sources.Maker by upload and docker
// load, any other from a machine that has it or, pulled by one machine only,
// from a registry. Images that are there are not looked at further, but for
// lab's own, which are replaced where their content is another.
//
// Events: a step "images" without a node while it looks and builds; then, for
// what is missing, on its machine a step "images" (upload and load) or
// "image/<name>" (pull, hand on), both with progress in bytes.
//
// Error ids: image-name, image-pull, image-missing, image-load, image-arch,
// image-upload, disk-full, engine-silent, mini-binary-missing.
func Deliver(ctx context.Context, machines []Machine, src Sources, o Options) (Result, error) {
	d := &delivery{Sources: src, Options: o, machines: machines, made: map[string]func() (*Archive, error){}, dirs: map[string]string{}}
	var plan plan
	err := d.step("", "images", func(say func(string)) (string, error) {
		var err error
		plan, err = d.look(ctx, say)
		return "", err
	})
	if err != nil {
		return Result{}, err
	}
	if err := d.carry(ctx, plan); err != nil {
		return Result{}, err
	}
	slices.Sort(d.did)
	return Result{Did: d.did}, nil
}

// delivery is one call of Deliver.
type delivery struct {
	Sources
	Options
	machines []Machine

	mu   sync.Mutex
	made map[string]func() (*Archive, error) // by architecture
	dirs map[string]string                   // upload folders in use, by machine
	did  []string
}

func (d *delivery) done(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.did = append(d.did, fmt.Sprintf(format, args...))
}

// step runs fn as a step. A step that ends without a text was not worth a line.
func (d *delivery) step(node, step string, fn func(say func(string)) (string, error)) error {
	emit := func(kind lab.EventKind, text string, err error, data map[string]any) {
		e := lab.Event{Op: d.Op, Kind: kind, Node: node, Step: step, Text: text, Data: data}
		if err != nil {
			e.Err = err.Error()
		}
		d.Report.Emit(e)
	}
	start := time.Now()
	emit(lab.EventStart, "", nil, nil)
	text, err := fn(func(text string) { emit(lab.EventWait, text, nil, nil) })
	data := map[string]any{"seconds": time.Since(start).Seconds()}
	if err != nil {
		emit(lab.EventFail, "", err, data)
		return err
	}
	if text == "" {
		data["quiet"] = true
	}
	emit(lab.EventDone, text, nil, data)
	return nil
}

// look asks every engine at once what it has.
func (d *delivery) look(ctx context.Context, say func(string)) (plan, error) {
	say("looking what the engines have")
	views, err := lookAll(ctx, d.machines)
	if err != nil {
		return plan{}, err
	}
	return d.decide(ctx, views, say)
}

func lookAll(ctx context.Context, machines []Machine) ([]view, error) {
	views := make([]view, len(machines))
	group, ctx := errgroup.WithContext(ctx)
	for i, m := range machines {
		group.Go(func() error {
			var err error
			views[i], err = m.look(ctx)
			return err
		})
	}
	return views, group.Wait()
}

// view is what a machine's engine has.
type view struct {
	machine Machine
	images  []state // of the wanted ones, once each
}

type state struct {
	ref     string
	present bool
	digest  string // the label of a present one
	size    int64
}

func (m Machine) look(ctx context.Context) (view, error) {
	v := view{machine: m}
	for _, ref := range m.Wants {
		if err := checkName(ref); err != nil {
			return view{}, err
		}
		if !slices.ContainsFunc(v.images, func(s state) bool { return same(s.ref, ref) }) {
			v.images = append(v.images, state{ref: ref})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range v.images {
		group.Go(func() error { return m.inspect(ctx, &v.images[i]) })
	}
	return v, group.Wait()
}

// inspect fills in what the engine knows of an image.
func (m Machine) inspect(ctx context.Context, s *state) error {
	got, err := m.Docker.ImageInspect(ctx, s.ref)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: look for image %s: %w", m.Name, s.ref, err)
	}
	s.present, s.size = true, got.Size
	if got.Config != nil {
		s.digest = got.Config.Labels[Label]
	}
	return nil
}
