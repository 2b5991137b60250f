package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/imagetar"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// twin is a machine in memory: an engine, its docker command and a disk.
type twin struct {
	name, arch string
	mu         sync.Mutex
	has        map[string]string // canonical name to label
	files      map[string][]byte
	commands   []string
	pulls      []string
	saves      []string
	free       int64 // KiB
	registry   *registry
	cut        int  // Send breaks off after so many bytes, once
	damage     bool // the next upload arrives damaged
	loadErr    error
	frozen     bool // from its next load on it answers nothing
}

// registry counts who pulls what.
type registry struct {
	mu    sync.Mutex
	has   []string
	pulls map[string]int
}

func newTwin(name string, has map[string]string) *twin {
	t := &twin{name: name, arch: "x86_64", has: map[string]string{}, files: map[string][]byte{}, free: 1 << 24, registry: &registry{pulls: map[string]int{}}}
	for ref, label := range has {
		full, err := canonical(ref)
		if err != nil {
			panic(err)
		}
		t.has[full] = label
	}
	return t
}

func (t *twin) machine(wants ...string) Machine {
	return Machine{Name: t.name, Docker: t, Host: t, Wants: wants}
}

// list is what the engine has, sorted.
func (t *twin) list() string { return strings.Join(slices.Sorted(maps.Keys(t.has)), " ") }

func (t *twin) ImageInspect(_ context.Context, ref string, _ ...client.ImageInspectOption) (client.ImageInspectResult, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	full, err := canonical(ref)
	if err != nil {
		return client.ImageInspectResult{}, err
	}
	label, ok := t.has[full]
	if !ok {
		return client.ImageInspectResult{}, fmt.Errorf("no such image: %s: %w", ref, errdefs.ErrNotFound)
	}
	var r client.ImageInspectResult
	r.Size = 1000
	r.Config = &dockerspec.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{Labels: map[string]string{Label: label}}}
	return r, nil
}

func (t *twin) Info(ctx context.Context, _ client.InfoOptions) (client.SystemInfoResult, error) {
	t.mu.Lock()
	frozen := t.frozen && slices.ContainsFunc(t.commands, func(c string) bool { return strings.Contains(c, "docker load") })
	t.mu.Unlock()
	if frozen {
		<-ctx.Done()
		return client.SystemInfoResult{}, ctx.Err()
	}
	var r client.SystemInfoResult
	r.Info.Architecture, r.Info.DockerRootDir = t.arch, "/var/lib/docker"
	return r, nil
}

// answer is a pull's stream.
type answer struct {
	io.Reader
	messages []jsonstream.Message
}

func (answer) Close() error               { return nil }
func (answer) Wait(context.Context) error { return errors.New("not used") }
func (a answer) JSONMessages(context.Context) iter.Seq2[jsonstream.Message, error] {
	return func(yield func(jsonstream.Message, error) bool) {
		for _, m := range a.messages {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (t *twin) ImagePull(_ context.Context, ref string, _ client.ImagePullOptions) (client.ImagePullResponse, error) {
	full, err := canonical(ref)
	if err != nil {
		return nil, err
	}
	t.registry.mu.Lock()
	t.registry.pulls[ref]++
	known := slices.Contains(t.registry.has, ref)
	t.registry.mu.Unlock()
	if !known {
		return answer{messages: []jsonstream.Message{{Error: &jsonstream.Error{Message: "toomanyrequests: You have reached your pull rate limit"}}}}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.has[full] = ""
	at := func(n int64) *jsonstream.Progress { return &jsonstream.Progress{Current: n, Total: 2e6} }
	return answer{messages: []jsonstream.Message{
		{ID: "1.10", Status: "Pulling from library/nginx"}, {ID: "aa", Status: "Downloading", Progress: at(1e6)},
		{ID: "aa", Status: "Download complete"}, {ID: "aa", Status: "Extracting", Progress: at(1)}, {ID: "aa", Status: "Pull complete"},
	}}, nil
}

func (t *twin) ImageSave(_ context.Context, refs []string, _ ...client.ImageSaveOption) (client.ImageSaveResult, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	images := map[string]string{}
	for _, ref := range refs {
		full, err := canonical(ref)
		if err != nil {
			return nil, err
		}
		label, ok := t.has[full]
		if !ok {
			return nil, errdefs.ErrNotFound
		}
		images[ref] = label
	}
	t.saves = append(t.saves, refs...)
	return io.NopCloser(bytes.NewReader(savedOf(goArch(t.arch), images))), nil
}

func (t *twin) Root() bool { return t.name == "node1" }

func (t *twin) Send(_ context.Context, name string, r io.ReaderAt, size int64, sent func(int64)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := t.files[name]
	sent(int64(len(have)))
	rest := make([]byte, size-int64(len(have)))
	if _, err := r.ReadAt(rest, int64(len(have))); err != nil {
		return err
	}
	if cut := t.cut; cut > 0 {
		t.cut = 0
		t.files[name] = append(have, rest[:cut]...)
		return errors.New("connection lost")
	}
	data := append(slices.Clip(have), rest...)
	if t.damage {
		t.damage = false
		data[0]++
	}
	t.files[name] = data
	sent(size)
	return nil
}

func (t *twin) Run(ctx context.Context, cmd string, _ io.Reader) ([]byte, error) {
	if strings.Contains(cmd, "docker load") && t.freezes(cmd) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commands = append(t.commands, cmd)
	words := strings.Fields(cmd)
	last := words[len(words)-1]
	switch {
	case strings.HasPrefix(cmd, "d=/var/tmp/"):
		line := fmt.Sprintf("Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 99 9 %d 9%% /\n", t.free)
		return []byte("/var/tmp/lab-images-1000\n0\n" + line + line), nil
	case strings.HasPrefix(cmd, "sha256sum "):
		sum := sha256.Sum256(t.files[last])
		return []byte(hex.EncodeToString(sum[:]) + "  " + last + "\n"), nil
	case strings.HasPrefix(cmd, "rm -f "):
		delete(t.files, last)
	case strings.HasPrefix(cmd, "rm -rf "):
		maps.DeleteFunc(t.files, func(name string, _ []byte) bool { return path.Dir(name) == last })
	case strings.Contains(cmd, "docker load"):
		if t.loadErr != nil {
			return nil, t.loadErr
		}
		entries, _, err := imagetar.Scan(bytes.NewReader(t.files[last]))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			for _, r := range e.Refs {
				full, err := canonical(r)
				if err != nil {
					return nil, err
				}
				t.has[full] = e.Digest
			}
		}
	default:
		return nil, fmt.Errorf("what is %q?", cmd)
	}
	return nil, nil
}

// freezes notes a load and reports whether the engine never ends it.
func (t *twin) freezes(cmd string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frozen {
		t.commands = append(t.commands, cmd)
	}
	return t.frozen
}

// heard collects events.
type heard struct {
	mu   sync.Mutex
	list []lab.Event
}

func (h *heard) report(e lab.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, e)
}

// says reports whether a step said something that contains text.
func (h *heard) says(node, step, text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.list, func(e lab.Event) bool {
		return e.Node == node && e.Step == step && strings.Contains(e.Text+e.Err, text)
	})
}

// savedOf is an archive with one image for each name and label.
func savedOf(arch string, images map[string]string) []byte {
	var files, entries []string
	for _, ref := range slices.Sorted(maps.Keys(images)) {
		name := hex.EncodeToString([]byte(ref)) + ".json"
		files = append(files, name, config(arch, images[ref], 0))
		entries = append(entries, fmt.Sprintf(`{"Config":%q,"RepoTags":[%q]}`, name, ref))
	}
	return pack(append(files, "manifest.json", "["+strings.Join(entries, ",")+"]")...)
}

// fileOf is the same as a file.
func fileOf(t *testing.T, arch string, images map[string]string) *Archive {
	t.Helper()
	file := path.Join(t.TempDir(), "images.tar")
	write(t, file, string(savedOf(arch, images)))
	a, err := Open(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
