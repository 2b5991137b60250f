// Package imagetar reads the archives that docker save writes and docker load
// takes: which images are in them, for which architecture, and whether they
// are whole. It is shared by those who send such archives (provision/images)
// and those who take them (the engine of embedded machines).
//
// It trusts nothing that it reads: what it keeps is bounded, and names in an
// archive are only compared, never opened. It does no I/O of its own, and it
// does not check the digests of layers: every engine does that when it loads.
package imagetar

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/distribution/reference"
)

// Label is the label by which lab's own images are known: its value is a digest
// of their content.
const Label = "lab.images"

// ManifestName is the file by which docker load finds everything else.
const ManifestName = "manifest.json"

// Limits of what is kept of a foreign archive while it is read. Configs have
// some KiB; a hundred images have some hundred files.
const (
	maxJSON    = 1 << 20
	maxAllJSON = 32 << 20
	maxFiles   = 100_000
)

// GzipFactor is how much larger a compressed layer is taken to be when it is
// unpacked.
const GzipFactor = 3

// Entry is one image of an archive.
type Entry struct {
	Refs   []string // names with tags; may be empty
	OS     string
	Arch   string // as Go says it
	Digest string // the value of Label, or ""
}

// content is what was found in an archive.
type content struct {
	files map[string]int64 // by clean name; links have size 0
	texts map[string][]byte
	kept  int64
	// zipped are the files that begin as gzip does.
	zipped map[string]bool
}

// manifestEntry is one image in manifest.json.
type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Scan reads what docker save writes, plain or compressed as a whole by gzip or
// bzip2, for Linux. It returns the images in it and about what they need
// unpacked, in bytes.
func Scan(r io.Reader) ([]Entry, int64, error) {
	r, err := plain(r)
	if err != nil {
		return nil, 0, err
	}
	c := content{files: map[string]int64{}, texts: map[string][]byte{}, zipped: map[string]bool{}}
	if err := c.read(tar.NewReader(r)); err != nil {
		return nil, 0, err
	}
	text, ok := c.texts[ManifestName]
	if !ok {
		if _, oci := c.files["oci-layout"]; oci {
			return nil, 0, errors.New("it has an OCI layout but no manifest.json: write it with docker save")
		}
		return nil, 0, errors.New("no manifest.json in it: it is no archive of images")
	}
	var manifest []manifestEntry
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, 0, fmt.Errorf("manifest.json: %w", err)
	}
	if len(manifest) == 0 {
		return nil, 0, errors.New("manifest.json names no image")
	}
	var entries []Entry
	var unpacked int64
	counted := map[string]bool{}
	for i, m := range manifest {
		e, err := c.entry(m)
		if err != nil {
			return nil, 0, fmt.Errorf("manifest.json: image %d: %w", i+1, err)
		}
		entries = append(entries, e)
		for _, l := range m.Layers {
			if l = clean(l); !counted[l] {
				counted[l] = true
				unpacked += c.unpacked(l)
			}
		}
	}
	return entries, unpacked, nil
}

// read goes through the tar file and keeps what may be JSON.
func (c *content) read(t *tar.Reader) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if len(c.files) == 0 {
				return fmt.Errorf("it is no tar file: %w", err)
			}
			return fmt.Errorf("it is cut off or damaged after %d files: %w", len(c.files), err)
		}
		if len(c.files) >= maxFiles {
			return fmt.Errorf("more than %d files in it", maxFiles)
		}
		if err := c.take(clean(h.Name), h, t); err != nil {
			return fmt.Errorf("%.100q: %w", h.Name, err)
		}
	}
}

func (c *content) take(name string, h *tar.Header, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeSymlink, tar.TypeLink: // how older engines save a layer that two images share
		c.files[name] = 0
		return nil
	case tar.TypeReg:
	default:
		return nil
	}
	head := make([]byte, 2)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	head = head[:n]
	c.files[name] = h.Size
	c.zipped[name] = bytes.Equal(head, []byte{0x1f, 0x8b})
	if h.Size > maxJSON || !bytes.ContainsAny(head, "{[") {
		return nil
	}
	if c.kept += h.Size; c.kept > maxAllJSON {
		return fmt.Errorf("more than %d MiB of JSON", maxAllJSON>>20)
	}
	text := make([]byte, h.Size)
	copy(text, head)
	if _, err := io.ReadFull(r, text[n:]); err != nil {
		return err
	}
	c.texts[name] = text
	return nil
}

// entry checks one image.
func (c *content) entry(m manifestEntry) (Entry, error) {
	text, ok := c.texts[clean(m.Config)]
	if !ok {
		return Entry{}, fmt.Errorf("its config %.100q is not in the file", m.Config)
	}
	var config struct {
		Architecture, OS string
		Config           struct{ Labels map[string]string }
		RootFS           struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return Entry{}, fmt.Errorf("config %.100q: %w", m.Config, err)
	}
	if config.OS != "linux" || config.Architecture == "" {
		return Entry{}, fmt.Errorf("it is for %.20q on %.20q, not for linux", config.OS, config.Architecture)
	}
	if len(m.Layers) != len(config.RootFS.DiffIDs) {
		return Entry{}, fmt.Errorf("it has %d layers, its config names %d", len(m.Layers), len(config.RootFS.DiffIDs))
	}
	for _, l := range m.Layers {
		if _, ok := c.files[clean(l)]; !ok {
			return Entry{}, fmt.Errorf("its layer %.100q is not in the file", l)
		}
	}
	for _, tag := range m.RepoTags {
		if _, err := reference.ParseNormalizedNamed(tag); err != nil {
			return Entry{}, fmt.Errorf("its name %.100q: %w", tag, err)
		}
	}
	return Entry{Refs: m.RepoTags, OS: config.OS, Arch: config.Architecture, Digest: config.Config.Labels[Label]}, nil
}

func (c *content) unpacked(layer string) int64 {
	size := min(c.files[layer], 1<<50) // what a header claims
	if c.zipped[layer] {
		return GzipFactor * size
	}
	return size
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// plain undoes the compression of an archive as a whole, of the kinds that every
// engine undoes, too.
func plain(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case len(head) == 0:
		return nil, errors.New("the file is empty")
	case strings.HasPrefix(string(head), "\x1f\x8b"):
		return gzip.NewReader(b)
	case strings.HasPrefix(string(head), "BZh"):
		return bzip2.NewReader(b), nil
	case string(head) == "\xfd7zXZ\x00":
		return nil, errors.New("it is compressed by xz: unpack it first (xz -d)")
	case strings.HasPrefix(string(head), "\x28\xb5\x2f\xfd"):
		return nil, errors.New("it is compressed by zstd: unpack it first (zstd -d)")
	}
	return b, nil
}
