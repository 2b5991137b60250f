package images

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// pullNeeds is the least disk space with which a pull is begun. How much the
// image needs shows only while it comes.
const pullNeeds = 256 << 20

// move pulls an image if nobody has it, and hands it on.
func (d *delivery) move(ctx context.Context, m move) error {
	step := "image/" + m.ref
	if strings.Contains(m.ref, "@") {
		return d.pullEach(ctx, m, step)
	}
	have := make(chan struct{}) // closed when the holder has it
	ready := make(chan struct{})
	var archive *Archive // once ready
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if m.pull {
			if err := d.pull(ctx, m.holder, m.ref, step); err != nil {
				return err
			}
		}
		close(have)
		return nil
	})
	if len(m.missing) == 0 {
		return group.Wait()
	}
	group.Go(func() error {
		select {
		case <-have:
		case <-ctx.Done():
			return nil // the cause is told elsewhere
		}
		return d.step(m.holder.Name, step, func(say func(string)) (string, error) {
			var err error
			archive, err = d.save(ctx, m.holder, []string{m.ref}, m.size, say)
			close(ready)
			return "", err
		})
	})
	var receivers errgroup.Group
	for _, to := range m.missing {
		receivers.Go(func() error {
			return d.step(to.Name, step, func(say func(string)) (string, error) {
				say("waiting for " + m.holder.Name)
				select {
				case <-ready:
				case <-ctx.Done():
					return "", nil
				}
				if archive == nil {
					return "", nil
				}
				if err := d.bring(ctx, load{to, archive, []string{m.ref}}, say); err != nil {
					return "", err
				}
				d.done("image %s on %s, from %s", m.ref, to.Name, m.holder.Name)
				return fmt.Sprintf("%s from %s (%s)", m.ref, m.holder.Name, megabytes(archive.Size)), nil
			})
		})
	}
	group.Go(receivers.Wait)
	err := group.Wait()
	if archive != nil {
		os.Remove(archive.Path)
	}
	return err
}

// pullEach is for an image that is named by its digest: docker save does not
// keep such a name.
func (d *delivery) pullEach(ctx context.Context, m move, step string) error {
	group, ctx := errgroup.WithContext(ctx)
	machines := m.missing
	if m.pull {
		machines = append([]Machine{m.holder}, machines...)
	}
	for _, machine := range machines {
		group.Go(func() error { return d.pull(ctx, machine, m.ref, step) })
	}
	return group.Wait()
}

// pull makes one machine pull an image.
func (d *delivery) pull(ctx context.Context, m Machine, ref, step string) error {
	return d.step(m.Name, step, func(say func(string)) (string, error) {
		r, err := m.room(ctx, needs{docker: pullNeeds, what: ref})
		if err != nil {
			return "", err
		}
		say("asking the registry")
		p := pulled{layers: map[string]layerProgress{}}
		if err := m.pull(ctx, ref, &p, r.docker.free, say); err != nil {
			return "", err
		}
		d.done("image %s pulled by %s", ref, m.Name)
		return fmt.Sprintf("%s pulled (%s)", ref, megabytes(p.total())), nil
	})
}

func (m Machine) pull(ctx context.Context, ref string, p *pulled, free int64, say func(string)) error {
	fail := func(err error) error {
		if ctx.Err() != nil || lab.ErrorID(err) != "" {
			return err
		}
		if full := m.full(ctx, err); full != nil {
			return full
		}
		return &lab.Error{ID: "image-pull", Op: "pull " + ref, Machine: m.Name, Err: err, Advice: pullAdvice}
	}
	err := m.whileItAnswers(ctx, "pull "+ref, func(ctx context.Context) error { return m.follow(ctx, ref, p, free, say) })
	if err != nil {
		return fail(err)
	}
	s := state{ref: ref}
	if err := m.inspect(ctx, &s); err != nil {
		return fail(err)
	}
	if !s.present {
		return &lab.Error{ID: "image-missing", Op: "pull " + ref, Machine: m.Name,
			Err: fmt.Errorf("the pull ended well, but the engine does not have the image"), Advice: pullAdvice}
	}
	return nil
}

// follow begins a pull and reads what the engine says of it to the end.
func (m Machine) follow(ctx context.Context, ref string, p *pulled, free int64, say func(string)) error {
	resp, err := m.Docker.ImagePull(ctx, ref, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer resp.Close()
	told := meter{doing: "pulling", said: say}
	for msg, err := range resp.JSONMessages(ctx) {
		if err == nil && msg.Error != nil {
			err = msg.Error
		}
		if err != nil {
			return err
		}
		p.take(msg)
		if need := unpackFactor * p.total(); need > free {
			return diskFull(m.Name, "Docker's folder", ref, free, need)
		}
		if p.done() < p.total() {
			told.set(p.done(), p.total())
		} else if p.total() > 0 {
			say("unpacking " + megabytes(p.total()))
		}
	}
	return nil
}

// unpackFactor is by how much an image grows at least when it is unpacked.
const unpackFactor = 2

// pullAdvice names the ways out.
const pullAdvice = "ways out: stack: mini (lab's own programs need no registry); another name or a mirror under images: in lab.yaml; " +
	"or lab images save FILE on a computer that reaches the registry, then lab create --images FILE here"

// save copies images of a machine into a file here.
func (d *delivery) save(ctx context.Context, m Machine, refs []string, size int64, say func(string)) (*Archive, error) {
	if err := os.MkdirAll(d.Temp, 0o700); err != nil {
		return nil, fmt.Errorf("keep images here: %w", err)
	}
	f, err := os.CreateTemp(d.Temp, "save-*.tar")
	if err != nil {
		return nil, fmt.Errorf("keep images here: %w", err)
	}
	err = m.save(ctx, refs, f, &meter{doing: "saving", total: size, said: say})
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	var a *Archive
	if err == nil {
		a, err = Open(ctx, f.Name(), say)
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	return a, nil
}

// save writes images as docker save does, through the engine's API.
func (m Machine) save(ctx context.Context, refs []string, w io.Writer, told *meter) error {
	what := "docker save " + strings.Join(refs, " ")
	err := m.whileItAnswers(ctx, what, func(ctx context.Context) error {
		resp, err := m.Docker.ImageSave(ctx, refs)
		if err != nil {
			return err
		}
		defer resp.Close()
		_, err = io.Copy(io.MultiWriter(w, told), resp)
		return err
	})
	if err != nil && lab.ErrorID(err) == "" {
		return fmt.Errorf("%s: %s: %w", m.Name, what, err)
	}
	return err
}
