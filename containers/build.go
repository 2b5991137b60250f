package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/command"
	"github.com/moby/moby/client"
)

// Bootstrap runs mmdebstrap with args; the system's tar goes to out, each line
// that it says to said.
type Bootstrap func(ctx context.Context, args []string, out io.Writer, said func(line string)) error

// findBootstrap returns nil where the program is not installed.
func findBootstrap() Bootstrap {
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return nil
	}
	return func(ctx context.Context, args []string, out io.Writer, said func(string)) error {
		return command.Command{Path: program, Args: args, Out: out, OwnMounts: true}.Run(ctx, said)
	}
}

// ImageReady reports whether the engine is reachable and has the machine image
// already, so that machines can be made without building anything.
func (p *Provider) ImageReady(ctx context.Context) (bool, error) {
	if err := p.reach(ctx); err != nil {
		return false, err
	}
	r, err := NewRecipe()
	if err != nil {
		return false, err
	}
	return p.hasImage(ctx, r)
}

func (p *Provider) hasImage(ctx context.Context, r Recipe) (bool, error) {
	ref, err := r.Image()
	if err != nil {
		return false, err
	}
	found, err := p.engine.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("look for image %s: %w", ref, err)
	}
	hash, err := r.Hash()
	return found.Config != nil && found.Config.Labels[labelHash] == hash, err
}

// EnsureImage builds the machine image where the engine lacks it, as Up does
// by itself. Two calls of one program do it once. The error id is image-build.
func (p *Provider) EnsureImage(ctx context.Context, report lab.Report) error {
	if err := p.reach(ctx); err != nil {
		return err
	}
	p.making.Lock()
	defer p.making.Unlock()
	r, err := NewRecipe()
	if err != nil {
		return err
	}
	if found, err := p.hasImage(ctx, r); found || err != nil {
		return err
	}
	return report.Step("create", "", "image", func(wait func(string)) error {
		way, advice := p.bootstrapImage, "look whether this computer reaches Debian's mirrors; as another user than root, mmdebstrap needs user namespaces"
		if p.build == nil {
			way, advice = p.buildImage, "look whether the engine reaches its registry and Debian's mirrors, or install mmdebstrap, which needs no registry"
		}
		err := way(ctx, r, wait)
		if err == nil || ctx.Err() != nil {
			return err
		}
		return &lab.Error{ID: "image-build", Op: "build the machine image", Err: err, Advice: advice}
	})
}

// bootstrapImage streams mmdebstrap's tar into the engine. The image gets its
// name only after both have succeeded: half a system is never taken for one.
func (p *Provider) bootstrapImage(ctx context.Context, r Recipe, wait func(string)) error {
	overlay, err := r.Overlay()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "lab-image-*.tar")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(overlay)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	hash, err := r.Hash()
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	built := make(chan error, 1)
	go func() {
		err := p.build(ctx, r.Args(f.Name()), writer, func(line string) {
			if text, ok := strings.CutPrefix(line, "I: "); ok {
				wait("Debian: " + text)
			}
		})
		writer.CloseWithError(err)
		built <- err
	}()
	result, err := p.engine.ImageImport(ctx, client.ImageImportSource{Source: reader, SourceName: "-"}, "", client.ImageImportOptions{
		Message: "machine image of lab",
		Changes: []string{"LABEL " + labelHash + "=" + hash, `CMD ["` + initPath + `"]`},
	})
	reader.CloseWithError(errors.New("the engine takes no more")) // ends mmdebstrap's writing if the engine stopped reading
	if buildErr := <-built; buildErr != nil {
		if result != nil {
			result.Close()
		}
		return errors.Join(buildErr, err)
	}
	if err != nil {
		return fmt.Errorf("import the new system: %w", err)
	}
	defer result.Close()
	id, err := readStream(result, wait)
	if err != nil {
		return fmt.Errorf("import the new system: %w", err)
	}
	return p.tag(ctx, r, id)
}

func (p *Provider) tag(ctx context.Context, r Recipe, id string) error {
	ref, err := r.Image()
	if err != nil {
		return err
	}
	if _, err := p.engine.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: ref}); err != nil {
		return fmt.Errorf("name the image %s: %w", ref, err)
	}
	return nil
}

// buildImage lets the engine build the image from a Dockerfile.
func (p *Provider) buildImage(ctx context.Context, r Recipe, wait func(string)) error {
	overlay, err := r.Overlay()
	if err != nil {
		return err
	}
	file, err := r.Dockerfile()
	if err != nil {
		return err
	}
	hash, err := r.Hash()
	if err != nil {
		return err
	}
	context, err := tarOf(map[string][]byte{"Dockerfile": []byte(file), "root.tar": overlay}, 0, 0o644)
	if err != nil {
		return err
	}
	ref, err := r.Image()
	if err != nil {
		return err
	}
	result, err := p.engine.ImageBuild(ctx, bytes.NewReader(context), client.ImageBuildOptions{
		Tags: []string{ref}, Remove: true, ForceRemove: true, Labels: map[string]string{labelHash: hash},
	})
	if err != nil {
		return err
	}
	defer result.Body.Close()
	_, err = readStream(result.Body, wait)
	return err
}

// readStream reads an engine's progress to its end and returns the last status
// (of an import: the image's id).
func readStream(r io.Reader, wait func(string)) (status string, err error) {
	dec := json.NewDecoder(r)
	for {
		var m struct{ Status, Stream, Error string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return status, nil
		} else if err != nil {
			return "", fmt.Errorf("read the engine's progress: %w", err)
		}
		if m.Error != "" {
			return "", errors.New(m.Error)
		}
		if m.Status != "" {
			status = m.Status
		}
		if text := strings.TrimSpace(m.Stream); text != "" {
			wait(text)
		}
	}
}

// tarOf is a tar of a few files.
func tarOf(files map[string][]byte, uid int, mode int64) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for name, text := range files {
		h := &tar.Header{Name: name, Mode: mode, Uid: uid, Gid: uid, Size: int64(len(text)), ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(text); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), w.Close()
}
