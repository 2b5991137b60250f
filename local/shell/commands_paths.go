package shell

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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

func mktemp(_ context.Context, p *Proc) int {
	o, names, ok := p.options("dqup:t tmpdir=")
	if !ok {
		return 1
	}
	name := path.Join("/tmp", o["p"], "tmp.XXXXXXXXXX")
	if len(names) > 0 {
		name = p.Path(names[0])
	}
	random := make([]byte, 8)
	rand.Read(random)
	stem := strings.TrimRight(name, "X")
	name = stem + hex.EncodeToString(random)[:max(3, min(16, len(name)-len(stem)))]
	var err error
	if o.has("d") {
		err = p.Files().Mkdir(name, 0o700)
	} else {
		var f *os.File
		if f, err = p.Files().OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
			f.Close()
		}
	}
	if err != nil {
		return p.errorf("failed to create '%s': %s", name, words(err))
	}
	p.printf("%s\n", name)
	return 0
}
