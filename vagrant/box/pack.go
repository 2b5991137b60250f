package box

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"
)

// metadata is a box's own description. Vagrant and vagrant-libvirt read the
// first three; the last one is ours.
type metadata struct {
	Provider    string `json:"provider"`
	Format      string `json:"format"`
	VirtualSize int    `json:"virtual_size"` // GiB, rounded up
	Recipe      string `json:"lab_recipe"`
}

// inner is the Vagrantfile inside the box, below that of the lab.
const inner = `# Of a box made by lab box build.
Vagrant.configure('2') do |config|
  config.vm.synced_folder '.', '/vagrant', disabled: true
end
`

// pack writes the box: metadata first, so that it is read quickly, then the
// disk. It returns the box's SHA-256.
func pack(ctx context.Context, out string, meta metadata, disk string, wait func(string)) (string, error) {
	image, err := os.Open(disk)
	if err != nil {
		return "", fmt.Errorf("read the disk: %w", err)
	}
	defer image.Close()
	st, err := image.Stat()
	if err != nil {
		return "", fmt.Errorf("read the disk: %w", err)
	}
	f, err := os.Create(out)
	if err != nil {
		return "", fmt.Errorf("write the box: %w", err)
	}
	sum := sha256.New()
	err = errors.Join(write(io.MultiWriter(f, sum), meta, &progress{ctx: ctx, in: image, size: st.Size(), wait: wait}, st.Size()), f.Close())
	if err != nil {
		return "", fmt.Errorf("write the box: %w", err)
	}
	return hexOf(sum), nil
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

func write(out io.Writer, meta metadata, image io.Reader, size int64) error {
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	header := func(name string, size int64) error {
		return w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)})
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{"metadata.json", text}, {"Vagrantfile", []byte(inner)}} {
		if err := header(file.name, int64(len(file.text))); err != nil {
			return err
		}
		if _, err := w.Write(file.text); err != nil {
			return err
		}
	}
	if err := header("box.img", size); err != nil {
		return err
	}
	if _, err := io.Copy(w, image); err != nil {
		return err
	}
	return errors.Join(w.Close(), z.Close())
}

// progress reads and says how far it is.
type progress struct {
	ctx  context.Context
	in   io.Reader
	size int64
	done int64
	wait func(string)
	told int64
}

func (p *progress) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.in.Read(b)
	p.done += int64(n)
	if p.done-p.told >= p.size/20 {
		p.told = p.done
		p.wait(fmt.Sprintf("%d of %d MiB", p.done>>20, p.size>>20))
	}
	return n, err
}

// recipeOf reads by which recipe a box was made; "" for other boxes.
func recipeOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return "", nil // somebody else's, packed in another way
	}
	r := tar.NewReader(z)
	for range 2 { // before the disk
		h, err := r.Next()
		if err != nil {
			return "", nil
		}
		if h.Name == "metadata.json" {
			var m metadata
			if err := json.NewDecoder(io.LimitReader(r, 1<<16)).Decode(&m); err != nil {
				return "", nil
			}
			return m.Recipe, nil
		}
	}
	return "", nil
}

// sumOf returns a file's SHA-256.
func sumOf(ctx context.Context, path string, wait func(string)) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, &progress{ctx: ctx, in: f, size: st.Size(), wait: wait}); err != nil {
		return "", err
	}
	return hexOf(h), nil
}
