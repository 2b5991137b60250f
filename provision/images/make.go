package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/mesoslab/lab/internal/imagetar"
)

// layout is part of the digest: it changes when an image of the same binary and
// catalogue would look otherwise.
const layout = "lab images 2"

// Archive makes the catalogue's images for an architecture, or finds them in
// the cache. The error id mini-binary-missing is Binary's.
func (m *Maker) Archive(ctx context.Context, arch string, say func(string)) (*Archive, error) {
	binary, err := m.Binary(ctx, arch, say)
	if err != nil {
		return nil, err
	}
	digest, err := m.digest(binary, arch)
	if err != nil {
		return nil, fmt.Errorf("make images: %w", err)
	}
	folder := filepath.Join(m.Cache, "archives")
	to := filepath.Join(folder, "lab-"+arch+"-"+digest[:16]+".tar")
	if a, err := Open(ctx, to, nil); err == nil && a.digest() == digest {
		touch(to)
		return a, nil
	}
	say("packing images for linux/" + arch)
	err = keep(to, 0o600, func(temp string) error {
		all, err := m.images(binary, arch, digest)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(temp, os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := writeArchive(f, all); err != nil {
			return err
		}
		return f.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("make images: %w", err)
	}
	prune(folder, 6)
	return Open(ctx, to, nil)
}

// digest identifies the images' content: what goes into them, not how it was
// compressed.
func (m *Maker) digest(binary, arch string) (string, error) {
	f, err := os.Open(binary)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	catalogue, err := json.Marshal(m.Catalogue)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(hash, layout, arch, string(catalogue))
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// images makes the catalogue's images, all of one layer.
func (m *Maker) images(binary, arch, digest string) (map[name.Reference]v1.Image, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(writeLayer(w, binary)) }()
		return r, nil
	}, tarball.WithCompressionLevel(gzip.DefaultCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	out := map[name.Reference]v1.Image{}
	for _, i := range m.Catalogue {
		tag, err := name.NewTag(i.Name)
		if err != nil {
			return nil, err
		}
		if out[tag], err = i.make(layer, arch, digest); err != nil {
			return nil, fmt.Errorf("%s: %w", i.Name, err)
		}
	}
	return out, nil
}

func (i Image) make(layer v1.Layer, arch, digest string) (v1.Image, error) {
	config := v1.ConfigFile{
		Architecture: arch, OS: "linux", Created: v1.Time{Time: epoch}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: i.Entrypoint, Cmd: i.Cmd, WorkingDir: "/", Labels: map[string]string{Label: digest},
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
	}
	for _, p := range i.ExposedPorts {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[p] = struct{}{}
	}
	img, err := mutate.ConfigFile(empty.Image, &config)
	if err != nil {
		return nil, err
	}
	return mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "lab"}})
}

// writeArchive writes images as docker load wants them: configs, layers (one
// that several share once), manifest.json. It does what tarball.MultiWrite
// does, but always in the same order.
func writeArchive(w io.Writer, all map[name.Reference]v1.Image) error {
	manifest, err := tarball.ComputeManifest(all)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	written := map[string]bool{}
	put := func(name string, size int64, r io.Reader) error {
		if written[name] {
			return nil
		}
		written[name] = true
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: epoch, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err := io.Copy(t, r)
		return err
	}
	refs := slices.SortedFunc(maps.Keys(all), func(a, b name.Reference) int { return strings.Compare(a.Name(), b.Name()) })
	for _, ref := range refs {
		if err := putImage(all[ref], put); err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := put(imagetar.ManifestName, int64(len(text)), bytes.NewReader(text)); err != nil {
		return err
	}
	return t.Close()
}

func putImage(img v1.Image, put func(name string, size int64, r io.Reader) error) error {
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	id, err := img.ConfigName()
	if err != nil {
		return err
	}
	if err := put(id.String(), int64(len(config)), bytes.NewReader(config)); err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		size, err := l.Size()
		if err != nil {
			return err
		}
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		err = put(digest.Hex+".tar.gz", size, r)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
