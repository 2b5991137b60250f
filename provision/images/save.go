package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/imagetar"
)

// Held says whether a machine's engine has an image that the machine wants.
type Held struct {
	Machine string
	Ref     string
	Present bool
}

// Look asks the engines which of the wanted images they have.
func Look(ctx context.Context, machines []Machine) ([]Held, error) {
	views, err := lookAll(ctx, machines)
	if err != nil {
		return nil, err
	}
	var out []Held
	for _, v := range views {
		for _, s := range v.images {
			out = append(out, Held{v.machine.Name, s.ref, s.present})
		}
	}
	return out, nil
}

// Saved says what Save wrote.
type Saved struct {
	File   string   `json:"file"`
	Bytes  int64    `json:"bytes"`
	SHA256 string   `json:"sha256"`
	Arch   string   `json:"arch"`
	Images []string `json:"images"`
}

// Save writes images into a file that docker load takes: the Maker's are made,
// with all others of its catalogue; the rest is copied from machines that have
// it. An existing file is replaced when the new one is whole. arch may be "":
// the machines', or without machines this computer's. Error ids: image-missing
// where no machine has one, mini-binary-missing.
func Save(ctx context.Context, file, arch string, refs []string, machines []Machine, src Sources, o Options) (*Saved, error) {
	d := &delivery{Sources: src, Options: o, machines: machines, made: map[string]func() (*Archive, error){}}
	var out *Archive
	err := d.step("", "images", func(say func(string)) (string, error) {
		parts, err := d.collect(ctx, arch, refs, say)
		defer d.dropPassing(parts)
		if err != nil {
			return "", err
		}
		if out, err = writeParts(ctx, file, parts, say); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s written (%s)", file, megabytes(out.Size)), nil
	})
	if err != nil {
		return nil, err
	}
	return &Saved{File: file, Bytes: out.Size, SHA256: out.SHA256, Arch: out.Images[0].Arch, Images: out.Refs()}, nil
}

// collect makes and fetches the archives that Save joins.
func (d *delivery) collect(ctx context.Context, arch string, refs []string, say func(string)) ([]*Archive, error) {
	say("looking what the engines have")
	views, err := lookAll(ctx, d.machines)
	if err != nil {
		return nil, err
	}
	from, err := holders(refs, views, d.Maker)
	if err != nil {
		return nil, err
	}
	var parts []*Archive
	if slices.ContainsFunc(refs, d.Maker.Has) {
		if arch == "" {
			if arch, err = d.usualArch(ctx); err != nil {
				return nil, err
			}
		}
		a, err := d.make(ctx, arch, say)
		if err != nil {
			return nil, err
		}
		parts = append(parts, a)
	}
	for i, v := range views {
		if len(from[i]) == 0 {
			continue
		}
		a, err := d.save(ctx, v.machine, from[i], v.sizeOf(from[i]), func(text string) { say(v.machine.Name + ": " + text) })
		if err != nil {
			return parts, err
		}
		parts = append(parts, a)
	}
	return parts, nil
}

// holders chooses for each machine what is copied from it: each image that is
// not the Maker's from the first machine that has it. An engine that runs lab's
// programs by itself has no files to copy.
func holders(refs []string, views []view, maker *Maker) ([][]string, error) {
	from := make([][]string, len(views))
	var missing []string
	for _, ref := range refs {
		if maker.Has(ref) {
			continue
		}
		i := slices.IndexFunc(views, func(v view) bool {
			return slices.ContainsFunc(v.images, func(s state) bool { return s.present && s.digest != BuiltIn && same(s.ref, ref) })
		})
		if i < 0 {
			missing = append(missing, ref)
			continue
		}
		from[i] = append(from[i], ref)
	}
	if len(missing) == 0 {
		return from, nil
	}
	why := "no machine has " + strings.Join(missing, ", ")
	if len(views) == 0 {
		why = "there is no running lab to copy " + strings.Join(missing, ", ") + " from"
	}
	return nil, &lab.Error{ID: "image-missing", Op: "save images", Err: errors.New(why),
		Advice: "lab create, where a registry can be reached, brings them to its machines; lab's own programs need none: lab images save FILE --stack mini"}
}

func (v view) sizeOf(refs []string) (n int64) {
	for _, s := range v.images {
		if slices.Contains(refs, s.ref) {
			n += s.size
		}
	}
	return n
}

// usualArch is the machines' architecture, or this computer's.
func (d *delivery) usualArch(ctx context.Context) (string, error) {
	if len(d.machines) > 0 {
		return d.machines[0].arch(ctx)
	}
	return runtime.GOARCH, nil
}

// dropPassing removes archives that were only on their way.
func (d *delivery) dropPassing(parts []*Archive) {
	for _, p := range parts {
		if filepath.Dir(p.Path) == filepath.Clean(d.Temp) {
			os.Remove(p.Path)
		}
	}
}

// writeParts writes one archive of several, or a copy of one.
func writeParts(ctx context.Context, file string, parts []*Archive, say func(string)) (*Archive, error) {
	var total int64
	for _, p := range parts {
		total += p.Size
	}
	fail := func(err error) (*Archive, error) { return nil, fmt.Errorf("write %s: %w", file, err) }
	temp, err := os.CreateTemp(filepath.Dir(file), ".lab-images-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	w := io.MultiWriter(temp, &meter{doing: "writing", total: total, said: say})
	if len(parts) == 1 {
		err = copyFile(ctx, w, parts[0].Path)
	} else {
		err = join(ctx, w, parts)
	}
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return fail(err)
	}
	a, err := Open(ctx, temp.Name(), say)
	if err != nil {
		return fail(err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return fail(err)
	}
	a.Path = file
	return a, nil
}

func copyFile(ctx context.Context, w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, &ctxReader{ctx, f})
	return err
}

// join writes the images of several archives into one. Files of archives are
// named by their content, so that what has the same name is the same; only
// manifest.json is made anew, and the indexes of other formats are left out.
func join(ctx context.Context, w io.Writer, parts []*Archive) error {
	t := tar.NewWriter(w)
	written := map[string]bool{"repositories": true, "index.json": true, "oci-layout": true}
	var manifest []json.RawMessage
	for _, p := range parts {
		more, err := joinOne(ctx, t, p, written)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Path, err)
		}
		manifest = append(manifest, more...)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: imagetar.ManifestName, Mode: 0o644, Size: int64(len(text)), ModTime: epoch, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	if _, err := io.Copy(t, bytes.NewReader(text)); err != nil {
		return err
	}
	return t.Close()
}

// joinOne copies the files that are not written yet and returns the part's
// manifest.
func joinOne(ctx context.Context, w *tar.Writer, part *Archive, written map[string]bool) (manifest []json.RawMessage, err error) {
	f, err := os.Open(part.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := tar.NewReader(&ctxReader{ctx, f})
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return manifest, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Name == imagetar.ManifestName {
			if err := json.NewDecoder(r).Decode(&manifest); err != nil {
				return nil, err
			}
			continue
		}
		if written[h.Name] {
			continue
		}
		written[h.Name] = true
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.Copy(w, r); err != nil {
			return nil, err
		}
	}
}
