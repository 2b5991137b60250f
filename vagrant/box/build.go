package box

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// Options say what to build and whom to tell.
type Options struct {
	// Out is the box's file; "" means lab-debian-12-<recipe>.box here. A box of
	// this recipe that is there already is kept, unless Anew.
	Out    string
	Anew   bool
	Report lab.Report

	run  func(ctx context.Context, dir string, argv []string, said func(string)) error
	look func(string) (string, error)
	root bool // whether this process may unpack a system as it is
}

// Box is a box that is there.
type Box struct {
	Path    string          `json:"path"`
	URL     string          `json:"url"`
	SHA256  string          `json:"sha256"`
	Bytes   int64           `json:"bytes"`
	Recipe  string          `json:"recipe"`
	Built   bool            `json:"built"` // by this call
	Seconds float64         `json:"seconds"`
	Vagrant lab.VagrantSpec `json:"vagrant"` // what a spec says to use it
}

// Build makes a box of the recipe that this program carries. Error ids:
// box-programs-missing, box-arch, box-build.
func Build(ctx context.Context, o Options) (*Box, error) {
	if o.run == nil {
		o.run, o.look, o.root = execute, lookPath, os.Geteuid() == 0
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
			return nil, &lab.Error{ID: "box-arch", Op: "build box", Err: fmt.Errorf("this is %s on %s; a box is made on Linux on amd64", runtime.GOOS, runtime.GOARCH), Advice: "make it on another computer, and name it as vagrant.box_url here; nothing was changed"}
		}
	}
	start := time.Now()
	r, err := NewRecipe()
	if err != nil {
		return nil, err
	}
	hash, err := r.Hash()
	if err != nil {
		return nil, err
	}
	if o.Out == "" {
		o.Out = "lab-debian-12-" + hash + ".box"
	}
	if o.Out, err = filepath.Abs(o.Out); err != nil {
		return nil, fmt.Errorf("build box: %w", err)
	}
	b := &Box{Path: o.Out, Recipe: hash}
	if b.Built, err = o.ensure(ctx, r, b); err != nil {
		return nil, err
	}
	st, err := os.Stat(b.Path)
	if err != nil {
		return nil, fmt.Errorf("build box: %w", err)
	}
	b.Bytes, b.Seconds = st.Size(), time.Since(start).Seconds()
	b.URL = (&url.URL{Scheme: "file", Path: filepath.ToSlash(b.Path)}).String()
	b.Vagrant = lab.VagrantSpec{Provider: "libvirt", BoxURL: b.URL, BoxChecksum: "sha256:" + b.SHA256}
	return b, nil
}

// ensure builds the box where it is missing.
func (o Options) ensure(ctx context.Context, r Recipe, b *Box) (built bool, err error) {
	if !o.Anew {
		have, err := recipeOf(b.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("look at %s: %w", b.Path, err)
		}
		if err == nil && have == b.Recipe {
			return false, o.Report.Step("box", "", "checksum", func(wait func(string)) error {
				b.SHA256, err = sumOf(ctx, b.Path, wait)
				return err
			})
		}
		if err == nil && have == "" {
			return false, &lab.Error{ID: "box-foreign", Op: "build box", Err: fmt.Errorf("%s is there, and no box of lab", b.Path), Advice: "give another file as --out; nothing was changed"}
		}
	}
	if err := findPrograms(o.look); err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(b.Path), ".lab-box-")
	if err != nil {
		return false, fmt.Errorf("build box: %w", err)
	}
	defer func() { err = errors.Join(err, removeTree(dir, mountTable)) }()
	return true, o.build(ctx, r, b, dir)
}

// build goes all the way in a folder of its own.
func (o Options) build(ctx context.Context, r Recipe, b *Box, dir string) error {
	overlay, err := r.Overlay()
	if err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string][]byte{"overlay.tar": overlay, "disk": r.disk} {
		if err := os.WriteFile(at(name), text, 0o644); err != nil {
			return fmt.Errorf("build box: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // root of a user namespace is another user
		return fmt.Errorf("build box: %w", err)
	}
	diskArgs := []string{"sh", at("disk"), at("system.tar"), at("disk.raw"), fmt.Sprint(r.DiskMiB)}
	if !o.root {
		diskArgs = append([]string{"mmdebstrap", "--unshare-helper"}, diskArgs...)
	}
	steps := []struct {
		name, advice string
		argv         []string
		remove       string // what is needed no more
	}{
		{"system", "look whether this computer reaches Debian's mirrors; as another user than root, mmdebstrap needs user namespaces (package uidmap)",
			append([]string{"mmdebstrap"}, r.Args(at("overlay.tar"), at("system.tar"))...), "overlay.tar"},
		{"disk", "it takes 3 GiB beside the box while it is made", diskArgs, "system.tar"},
		{"image", "it takes 3 GiB beside the box while it is made",
			[]string{"qemu-img", "convert", "-O", "qcow2", at("disk.raw"), at("box.img")}, "disk.raw"},
	}
	for _, s := range steps {
		err := o.Report.Step("box", "", s.name, func(wait func(string)) error {
			return o.run(ctx, dir, s.argv, func(line string) {
				if text, ok := strings.CutPrefix(line, "I: "); ok {
					wait(text)
				}
			})
		})
		if ctx.Err() != nil {
			return fmt.Errorf("build box: %w", context.Cause(ctx))
		}
		if err == nil {
			err = os.Remove(at(s.remove))
		}
		if err != nil {
			return &lab.Error{ID: "box-build", Op: "build box: " + s.name, Err: err, Advice: s.advice + "; nothing is left of it"}
		}
	}
	return o.Report.Step("box", "", "box", func(wait func(string)) error {
		meta := metadata{Provider: "libvirt", Format: "qcow2", VirtualSize: (r.DiskMiB + 1023) / 1024, Recipe: b.Recipe}
		var err error
		if b.SHA256, err = pack(ctx, at("out.box"), meta, at("box.img"), wait); err != nil {
			return err
		}
		return os.Rename(at("out.box"), b.Path)
	})
}
