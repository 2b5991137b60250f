package images

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/mesoslab/lab"
	"golang.org/x/sync/errgroup"
)

// carry does everything at once: what is slow is the network and the engines'
// disks, and each step has its own.
func (d *delivery) carry(ctx context.Context, p plan) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, l := range p.loads {
		group.Go(func() error {
			return d.step(l.machine.Name, "images", func(say func(string)) (string, error) {
				if err := d.bring(groupCtx, l, say); err != nil {
					return "", err
				}
				d.done("images %s on %s", strings.Join(l.refs, ", "), l.machine.Name)
				return fmt.Sprintf("images loaded (%s)", megabytes(l.archive.Size)), nil
			})
		})
	}
	for _, m := range p.moves {
		group.Go(func() error { return d.move(groupCtx, m) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, m := range d.machines {
		if dir := d.dirs[m.Name]; dir != "" {
			if _, err := m.Host.Run(ctx, "rm -rf "+dir, nil); err != nil {
				d.Report.Emit(lab.Event{Op: d.Op, Kind: lab.EventNote, Node: m.Name, Text: fmt.Sprintf("%s stays: %v", dir, err)})
			}
		}
	}
	return nil
}

// bring uploads an archive to a machine, checks it there and loads it. The
// machine's own docker command reads the file: a load through the API would
// send it over the wire once more.
func (d *delivery) bring(ctx context.Context, l load, say func(string)) error {
	m, a := l.machine, l.archive
	room, err := m.room(ctx, needs{file: a.SHA256, upload: a.Size, docker: a.Size + a.Unpacked, what: strings.Join(l.refs, ", ")})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.dirs[m.Name] = room.dir
	d.mu.Unlock()
	file := path.Join(room.dir, a.SHA256)
	if err := m.upload(ctx, a, file, say); err != nil {
		return err
	}
	say(fmt.Sprintf("docker load of %s", megabytes(a.Size)))
	if err := m.load(ctx, file); err != nil {
		return err
	}
	if _, err := m.Host.Run(ctx, "rm -f "+file, nil); err != nil {
		return fmt.Errorf("remove %s: %w", file, err)
	}
	return m.verify(ctx, l)
}

// upload sends the archive and compares it with ours on the machine. What is
// left of an earlier upload is continued; if the whole is then wrong, it is
// sent once more from its start.
func (m Machine) upload(ctx context.Context, a *Archive, file string, say func(string)) error {
	f, err := os.Open(a.Path)
	if err != nil {
		return fmt.Errorf("open images: %w", err)
	}
	defer f.Close()
	fail := func(err error) error {
		if ctx.Err() != nil {
			return err
		}
		if full := m.full(ctx, err); full != nil {
			return full
		}
		return &lab.Error{ID: "image-upload", Op: "upload images", Machine: m.Name, Err: err,
			Advice: "run lab create again: the upload goes on where it stopped"}
	}
	told := meter{doing: "uploading", total: a.Size, said: say}
	for try := 1; ; try++ {
		if err := m.Host.Send(ctx, file, f, a.Size, func(n int64) { told.set(n, a.Size) }); err != nil {
			return fail(err)
		}
		say("checking the upload")
		out, err := m.Host.Run(ctx, "sha256sum "+file, nil)
		if err != nil {
			return fail(fmt.Errorf("check upload: %w", err))
		}
		got, _, _ := strings.Cut(strings.TrimPrefix(string(out), `\`), " ")
		if got == a.SHA256 {
			return nil
		}
		if _, err := m.Host.Run(ctx, "rm -f "+file, nil); err != nil {
			return fail(fmt.Errorf("remove damaged upload: %w", err))
		}
		if try == 2 {
			return fail(fmt.Errorf("%s arrived with digest %.64q instead of %s, twice", a.Path, got, a.SHA256))
		}
		say("the upload is damaged: once more")
	}
}

// load gives a file of the machine to its engine.
func (m Machine) load(ctx context.Context, file string) error {
	command := "docker load -q -i " + file
	if !m.Host.Root() {
		command = "sudo -n " + command
	}
	err := m.whileItAnswers(ctx, "docker load", func(ctx context.Context) error {
		_, err := m.Host.Run(ctx, command, nil)
		return err
	})
	if err == nil || ctx.Err() != nil || lab.ErrorID(err) != "" {
		return err
	}
	if full := m.full(ctx, err); full != nil {
		return full
	}
	return &lab.Error{ID: "image-load", Op: "docker load", Machine: m.Name, Err: err,
		Advice: "the machine needs the docker command and an engine of 1.10 or newer; see its log: lab ssh " + m.Name}
}

// verify looks whether the engine has now what it was given.
func (m Machine) verify(ctx context.Context, l load) error {
	for _, ref := range l.refs {
		s := state{ref: ref}
		if err := m.inspect(ctx, &s); err != nil {
			return err
		}
		if e, _ := l.archive.find(ref); !s.present || s.digest != e.Digest {
			return &lab.Error{ID: "image-missing", Op: "load images", Machine: m.Name,
				Err:    fmt.Errorf("docker load said yes, but the engine does not have %s as it was sent", ref),
				Advice: "see the engine's log: lab ssh " + m.Name}
		}
	}
	return nil
}
