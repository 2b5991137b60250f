package shell

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
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

// target returns where an operand goes, as messages name it: into dest if that
// is a directory.
func (p *Proc) target(name, dest string) string {
	if i, err := p.Files().Stat(p.Path(dest)); err == nil && i.IsDir() {
		return strings.TrimSuffix(dest, "/") + "/" + path.Base(p.Path(name))
	}
	return dest
}

// operands splits sources and destination; several sources need a directory.
func (p *Proc) operands(names []string, dir string) (sources []string, dest string, ok bool) {
	if dir != "" {
		names = append(names, dir)
	}
	switch {
	case len(names) == 0:
		p.errorf("missing file operand")
		return nil, "", false
	case len(names) == 1:
		p.errorf("missing destination file operand after '%s'", names[0])
		return nil, "", false
	}
	sources, dest = names[:len(names)-1], names[len(names)-1]
	if len(sources) > 1 || dir != "" {
		i, err := p.Files().Stat(p.Path(dest))
		if err == nil && !i.IsDir() {
			err = syscall.ENOTDIR
		}
		if err != nil {
			p.errorf("target '%s': %s", dest, words(err))
			return nil, "", false
		}
	}
	return sources, dest, true
}

func mv(_ context.Context, p *Proc) int {
	o, names, ok := p.options("fnvt:T force no-clobber verbose")
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
			to = dest
		}
		i, err := p.Files().Lstat(p.Path(name))
		if err != nil {
			status = p.errorf("cannot stat '%s': %s", name, words(err))
			continue
		}
		if old, err := p.Files().Lstat(p.Path(to)); err == nil && o.has("n", "no-clobber") {
			continue
		} else if err == nil && os.SameFile(i, old) {
			status = p.errorf("'%s' and '%s' are the same file", name, to)
			continue
		}
		if i.IsDir() && strings.HasPrefix(p.Path(to)+"/", p.Path(name)+"/") {
			status = p.errorf("cannot move '%s' to a subdirectory of itself, '%s'", name, to)
			continue
		}
		if err := p.Files().Rename(p.Path(name), p.Path(to)); err != nil {
			status = p.errorf("cannot move '%s' to '%s': %s", name, to, words(err))
		} else if o.has("v", "verbose") {
			p.printf("renamed '%s' -> '%s'\n", name, to)
		}
	}
	return status
}

func rm(_ context.Context, p *Proc) int {
	o, names, ok := p.options("rRfdv recursive force no-preserve-root verbose")
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
			continue
		}
		if kind := ""; o.has("v", "verbose") {
			if i.IsDir() {
				kind = "directory "
			}
			p.printf("removed %s'%s'\n", kind, name)
		}
	}
	return status
}

func mkdir(_ context.Context, p *Proc) int {
	o, names, ok := p.options("pvm: parents mode= verbose")
	if !ok {
		return 1
	}
	if len(names) == 0 {
		return p.errorf("missing operand")
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
		_, err := p.Files().Stat(p.Path(name))
		there := err == nil
		if o.has("p", "parents") {
			err = p.Files().MkdirAll(p.Path(name), mode)
		} else {
			err = p.Files().Mkdir(p.Path(name), mode)
		}
		if err != nil {
			status = p.errorf("cannot create directory '%s': %s", name, words(err))
		} else if o.has("v", "verbose") && !there {
			p.printf("mkdir: created directory '%s'\n", name)
		}
	}
	return status
}

func rmdir(_ context.Context, p *Proc) int {
	o, names, ok := p.options("pv parents verbose")
	if !ok {
		return 1
	}
	if len(names) == 0 {
		return p.errorf("missing operand")
	}
	if o.has("p", "parents") {
		for i := 0; i < len(names); i++ {
			if above := path.Dir(strings.TrimRight(names[i], "/")); above != "." && above != "/" {
				names = slices.Insert(names, i+1, above)
			}
		}
	}
	status := 0
	for _, name := range names {
		if o.has("v", "verbose") {
			p.printf("rmdir: removing directory, '%s'\n", name)
		}
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
	o, names, ok := p.options("sfnvT symbolic force no-dereference")
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
	kind, status := "hard", 0
	if o.has("s", "symbolic") {
		kind = "symbolic"
	}
	for _, name := range sources {
		to := p.target(name, dest)
		if kind == "hard" {
			i, err := p.Files().Lstat(p.Path(name))
			if err != nil {
				status = p.errorf("failed to access '%s': %s", name, words(err))
				continue
			}
			if i.IsDir() {
				status = p.errorf("%s: hard link not allowed for directory", name)
				continue
			}
		}
		if i, err := p.Files().Lstat(p.Path(dest)); o.has("T") || (o.has("n", "no-dereference") && err == nil && i.Mode()&fs.ModeSymlink != 0) {
			to = dest
		}
		if o.has("f", "force") {
			if err := p.Files().Remove(p.Path(to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				status = p.errorf("cannot remove '%s': %s", to, words(err))
				continue
			}
		}
		var err error
		if kind == "symbolic" {
			err = p.Files().Symlink(name, p.Path(to))
		} else {
			err = p.Files().Link(p.Path(name), p.Path(to))
		}
		if err != nil {
			status = p.errorf("failed to create %s link '%s': %s", kind, to, words(err))
		} else if o.has("v") {
			p.printf("'%s' %s '%s'\n", to, map[string]string{"hard": "=>", "symbolic": "->"}[kind], name)
		}
	}
	return status
}
