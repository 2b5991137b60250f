package shell

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

func cp(ctx context.Context, p *Proc) int {
	o, names, ok := p.options("aprRfnvdLPTt: recursive archive no-clobber verbose")
	if !ok {
		return 1
	}
	sources, dest, ok := p.operands(names, o["t"])
	if !ok {
		return 1
	}
	recursive := o.has("a", "r", "R", "recursive", "archive")
	status := 0
	for _, name := range sources {
		i, err := p.Files().Stat(p.Path(name))
		to := p.target(name, dest)
		if o.has("T") {
			to = dest
		}
		_, old := p.Files().Lstat(p.Path(to))
		switch {
		case err != nil:
			status = p.errorf("cannot stat '%s': %s", name, words(err))
			continue
		case i.IsDir() && !recursive:
			status = p.errorf("-r not specified; omitting directory '%s'", name)
			continue
		case o.has("n", "no-clobber") && old == nil && !i.IsDir():
			continue
		case !i.IsDir() && same(p.Files(), p.Path(name), p.Path(to)):
			status = p.errorf("'%s' and '%s' are the same file", name, to)
			continue
		case i.IsDir() && strings.HasPrefix(p.Path(to)+"/", p.Path(name)+"/"):
			status = p.errorf("cannot copy a directory, '%s', into itself, '%s'", name, to)
			continue
		}
		if err := p.copy(ctx, p.Path(name), p.Path(to), copying{links: o.has("a", "d", "P", "archive"), times: o.has("a", "p", "archive")}); err != nil {
			status = p.errorf("cannot copy '%s': %s", name, words(err))
		} else if o.has("v", "verbose") {
			p.printf("'%s' -> '%s'\n", name, to)
		}
	}
	return status
}

// copying is how to copy: links as links, and with the time of change.
type copying struct{ links, times bool }

// copy copies a file or a tree.
func (p *Proc) copy(ctx context.Context, from, to string, how copying) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	look := p.Files().Stat
	if how.links {
		look = p.Files().Lstat
	}
	i, err := look(from)
	if err != nil {
		return err
	}
	if i.Mode()&fs.ModeSymlink != 0 {
		target, err := p.Files().Readlink(from)
		if err != nil {
			return err
		}
		return p.Files().Symlink(target, to)
	}
	switch {
	case i.IsDir():
		err = p.copyDir(ctx, from, to, i.Mode().Perm(), how)
	case i.Mode().IsRegular():
		err = p.copyFile(from, to, i.Mode().Perm())
	default:
		return &fs.PathError{Op: "copy", Path: from, Err: fs.ErrInvalid}
	}
	if err == nil && how.times {
		err = p.Files().Chtimes(to, i.ModTime(), i.ModTime())
	}
	return err
}

func (p *Proc) copyDir(ctx context.Context, from, to string, perm fs.FileMode, how copying) error {
	how.links = true
	if err := p.Files().MkdirAll(to, perm|0o700); err != nil {
		return err
	}
	entries, err := p.Files().ReadDir(from)
	for _, e := range entries {
		err = errors.Join(err, p.copy(ctx, path.Join(from, e.Name()), path.Join(to, e.Name()), how))
	}
	return err
}

func (p *Proc) copyFile(from, to string, perm fs.FileMode) error {
	in, err := p.Files().Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if same(p.Files(), from, to) {
		return &fs.PathError{Op: "copy", Path: from, Err: errors.New("source and target are the same file")}
	}
	out, err := p.Files().OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func same(f Files, a, b string) bool {
	x, err1 := f.Stat(a)
	y, err2 := f.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// install is cp that makes a new file with a mode, or directories (-d).
func install(_ context.Context, p *Proc) int {
	o, names, ok := p.options("m:o:g:dDTvt: mode= owner= group= directory")
	if !ok {
		return 1
	}
	mode := fs.FileMode(0o755)
	if text := o["m"] + o["mode"]; text != "" {
		m, err := fileMode(text, mode, false)
		if err != nil {
			return p.errorf("%v", err)
		}
		mode = m
	}
	if o.has("d", "directory") {
		for _, name := range names {
			if err := p.Files().MkdirAll(p.Path(name), mode); err != nil {
				return p.errorf("cannot create directory '%s': %s", name, words(err))
			}
		}
		return 0
	}
	sources, dest, ok := p.operands(names, o["t"])
	if !ok {
		return 1
	}
	for _, name := range sources {
		to := p.Path(p.target(name, dest))
		if o.has("D") {
			if err := p.Files().MkdirAll(path.Dir(to), 0o755); err != nil {
				return p.failed(to, err)
			}
		}
		if err := p.Files().Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return p.failed(to, err)
		}
		err := p.copyFile(p.Path(name), to, mode)
		if err == nil {
			err = p.Files().Chmod(to, mode)
		}
		if err != nil {
			return p.errorf("cannot install '%s': %s", name, words(err))
		}
	}
	return 0
}
