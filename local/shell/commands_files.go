package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

var errIsDir = syscall.EISDIR

func fileCommands() map[string]Command {
	return map[string]Command{
		"cat": cat, "tee": tee, "mv": mv, "rm": rm, "mkdir": mkdir, "rmdir": rmdir, "cp": cp, "ln": ln, "chmod": chmod,
		"chown": ownership, "chgrp": ownership, "touch": touch, "readlink": readlink, "realpath": realpath, "mktemp": mktemp,
		"install": install, "sync": succeed, "truncate": truncate,
	}
}

func succeed(context.Context, *Proc) int { return 0 }

// cat knows -n and -b, which number lines.
func cat(_ context.Context, p *Proc) int {
	o, names, ok := p.options("nbuAvEeTts number number-nonblank")
	if !ok {
		return 1
	}
	if !o.has("n", "b", "number", "number-nonblank") {
		return p.each(names, func(_ string, r io.Reader) error { _, err := io.Copy(p.Stdout, r); return err })
	}
	n := 0
	return p.each(names, func(_ string, r io.Reader) error {
		return lines(r, func(line string) error {
			if line == "" && o.has("b", "number-nonblank") {
				_, err := fmt.Fprintln(p.Stdout)
				return err
			}
			n++
			_, err := fmt.Fprintf(p.Stdout, "%6d\t%s\n", n, line)
			return err
		})
	})
}

func tee(_ context.Context, p *Proc) int {
	o, names, ok := p.options("ai append")
	if !ok {
		return 1
	}
	more := os.O_TRUNC
	if o.has("a", "append") {
		more = os.O_APPEND
	}
	status := 0
	out := []io.Writer{p.Stdout}
	for _, name := range names {
		f, err := p.create(name, more)
		if err != nil {
			status = p.failed(name, err)
			continue
		}
		defer f.Close()
		out = append(out, f)
	}
	if _, err := io.Copy(io.MultiWriter(out...), p.Stdin); err != nil {
		return p.failed("standard output", err)
	}
	return status
}

// target returns where an operand goes: into dest if that is a directory.
func (p *Proc) target(name, dest string) string {
	if i, err := p.Files().Stat(p.Path(dest)); err == nil && i.IsDir() {
		return path.Join(p.Path(dest), path.Base(p.Path(name)))
	}
	return p.Path(dest)
}

// operands splits sources and destination; several sources need a directory.
func (p *Proc) operands(names []string, dir string) (sources []string, dest string, ok bool) {
	if dir != "" {
		names = append(names, dir)
	}
	if len(names) < 2 {
		p.errorf("missing file operand")
		return nil, "", false
	}
	sources, dest = names[:len(names)-1], names[len(names)-1]
	if i, err := p.Files().Stat(p.Path(dest)); len(sources) > 1 && (err != nil || !i.IsDir()) {
		p.errorf("target '%s' is not a directory", dest)
		return nil, "", false
	}
	return sources, dest, true
}

func mv(_ context.Context, p *Proc) int {
	o, names, ok := p.options("fnvt:T force")
	if !ok {
		return 1
	}
	sources, dest, ok := p.operands(names, o["t"])
	if !ok {
		return 1
	}
	status := 0
	for _, name := range sources {
		to := p.target(name, dest)
		if o.has("T") {
			to = p.Path(dest)
		}
		if _, err := p.Files().Lstat(to); err == nil && o.has("n") {
			continue
		}
		if err := p.Files().Rename(p.Path(name), to); err != nil {
			status = p.errorf("cannot move '%s' to '%s': %s", name, to, words(err))
		}
	}
	return status
}

func rm(_ context.Context, p *Proc) int {
	o, names, ok := p.options("rRfdiv recursive force no-preserve-root")
	if !ok {
		return 1
	}
	if len(names) == 0 && !o.has("f", "force") {
		return p.errorf("missing operand")
	}
	status := 0
	for _, name := range names {
		i, err := p.Files().Lstat(p.Path(name))
		switch {
		case errors.Is(err, fs.ErrNotExist) && o.has("f", "force"):
			continue
		case err == nil && i.IsDir() && !o.has("r", "R", "recursive", "d"):
			err = errIsDir
		case err == nil && i.IsDir() && o.has("r", "R", "recursive"):
			err = p.Files().RemoveAll(p.Path(name))
		case err == nil:
			err = p.Files().Remove(p.Path(name))
		}
		if err != nil {
			status = p.errorf("cannot remove '%s': %s", name, words(err))
		}
	}
	return status
}

func mkdir(_ context.Context, p *Proc) int {
	o, names, ok := p.options("pvm: parents mode=")
	if !ok {
		return 1
	}
	mode := fs.FileMode(0o755)
	if text := o["m"] + o["mode"]; text != "" {
		m, err := fileMode(text, 0o755, true)
		if err != nil {
			return p.errorf("%v", err)
		}
		mode = m
	}
	status := 0
	for _, name := range names {
		var err error
		if o.has("p", "parents") {
			err = p.Files().MkdirAll(p.Path(name), mode)
		} else {
			err = p.Files().Mkdir(p.Path(name), mode)
		}
		if err != nil {
			status = p.errorf("cannot create directory '%s': %s", name, words(err))
		}
	}
	return status
}

func rmdir(_ context.Context, p *Proc) int {
	_, names, ok := p.options("pv")
	if !ok {
		return 1
	}
	status := 0
	for _, name := range names {
		i, err := p.Files().Lstat(p.Path(name))
		if err == nil && !i.IsDir() {
			err = syscall.ENOTDIR
		}
		if err == nil {
			err = p.Files().Remove(p.Path(name))
		}
		if err != nil {
			status = p.errorf("failed to remove '%s': %s", name, words(err))
		}
	}
	return status
}

func ln(_ context.Context, p *Proc) int {
	o, names, ok := p.options("sfnvTr symbolic force no-dereference")
	if !ok {
		return 1
	}
	if len(names) == 1 {
		names = append(names, ".")
	}
	sources, dest, ok := p.operands(names, "")
	if !ok {
		return 1
	}
	status := 0
	for _, name := range sources {
		to := p.target(name, dest)
		if i, err := p.Files().Lstat(p.Path(dest)); o.has("T") || (o.has("n", "no-dereference") && err == nil && i.Mode()&fs.ModeSymlink != 0) {
			to = p.Path(dest)
		}
		if o.has("f", "force") {
			if err := p.Files().Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
				status = p.errorf("cannot remove '%s': %s", to, words(err))
				continue
			}
		}
		var err error
		if o.has("s", "symbolic") {
			err = p.Files().Symlink(name, to)
		} else {
			err = p.Files().Link(p.Path(name), to)
		}
		if err != nil {
			status = p.errorf("failed to create link '%s': %s", to, words(err))
		}
	}
	return status
}
