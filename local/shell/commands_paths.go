package shell

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

func readlink(ctx context.Context, p *Proc) int {
	o, names, ok := p.options("femn")
	if !ok {
		return 1
	}
	if o.has("f", "e", "m") {
		p.Args = append([]string{"realpath"}, names...)
		return realpath(ctx, p)
	}
	for _, name := range names {
		t, err := p.Files().Readlink(p.Path(name))
		if err != nil {
			return 1
		}
		p.printf("%s\n", t)
	}
	return 0
}

// realpath resolves links, at most 40 of them.
func realpath(_ context.Context, p *Proc) int {
	_, names, ok := p.options("emsq")
	if !ok {
		return 1
	}
	for _, name := range names {
		resolved, err := p.Files().resolve(p.Path(name))
		if err != nil {
			return p.failed(name, err)
		}
		p.printf("%s\n", resolved)
	}
	return 0
}

// resolve follows every symbolic link of p; the last part may be missing.
func (f Files) resolve(p string) (string, error) {
	done, todo := "/", strings.FieldsFunc(p, isSlash)
	for links := 0; len(todo) > 0; {
		next := path.Join(done, todo[0])
		todo = todo[1:]
		i, err := f.Lstat(next)
		if err != nil && (len(todo) > 0 || !errors.Is(err, fs.ErrNotExist)) {
			return "", err
		}
		if err != nil || i.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > 40 {
			return "", wrong("readlink", p, syscall.ELOOP)
		}
		target, err := f.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.FieldsFunc(target, isSlash), todo...)
	}
	return done, nil
}

// mktemp makes a file, or with -d a directory, of a name that is not taken; with
// -u it only prints one.
func mktemp(_ context.Context, p *Proc) int {
	o, names, ok := p.options("dqup:t tmpdir=")
	if !ok {
		return 1
	}
	folder := cmp.Or(o["p"], o["tmpdir"], p.Getenv("TMPDIR"), "/tmp")
	name := path.Join(folder, "tmp.XXXXXXXXXX")
	if len(names) > 0 {
		name = names[0]
		if o.has("t", "p", "tmpdir") {
			name = path.Join(folder, name)
		}
	}
	stem := strings.TrimRight(name, "X")
	letters := len(name) - len(stem)
	if letters < 3 {
		return p.errorf("too few X's in template '%s'", name)
	}
	name = stem
	for len(name) < len(stem)+letters {
		name += rand.Text()[:min(16, len(stem)+letters-len(name))]
	}
	var err error
	switch {
	case o.has("u"):
	case o.has("d"):
		err = p.Files().Mkdir(p.Path(name), 0o700)
	default:
		var f *os.File
		if f, err = p.Files().OpenFile(p.Path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return p.errorf("failed to create '%s': %s", name, words(err))
	}
	p.printf("%s\n", name)
	return 0
}

func basename(_ context.Context, p *Proc) int {
	args, suffix, many := p.Args[1:], "", false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && len(args[0]) > 1 {
		switch {
		case args[0] == "-a":
			many = true
		case args[0] == "-s" && len(args) > 1:
			many, suffix, args = true, args[1], args[1:]
		default:
			return p.errorf("unrecognized option '%s'", args[0])
		}
		args = args[1:]
	}
	switch {
	case len(args) == 0:
		return p.errorf("missing operand")
	case !many && len(args) > 2:
		return p.errorf("extra operand '%s'", args[2])
	case !many && len(args) == 2:
		args, suffix = args[:1], args[1]
	}
	for _, a := range args {
		base := path.Base(a)
		if base != suffix {
			base = strings.TrimSuffix(base, suffix)
		}
		p.printf("%s\n", base)
	}
	return 0
}

func dirname(_ context.Context, p *Proc) int {
	if len(p.Args) < 2 {
		return p.errorf("missing operand")
	}
	for _, a := range p.Args[1:] {
		dir := path.Dir(strings.TrimRight(a, "/"))
		if strings.Trim(a, "/") == "" && a != "" {
			dir = "/"
		}
		p.printf("%s\n", dir)
	}
	return 0
}
