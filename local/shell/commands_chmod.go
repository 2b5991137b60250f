package shell

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

func chmod(_ context.Context, p *Proc) int {
	args := p.Args[1:]
	recursive := false
	for len(args) > 0 && (args[0] == "-R" || args[0] == "-v" || args[0] == "-f") {
		recursive = recursive || args[0] == "-R"
		args = args[1:]
	}
	if len(args) < 2 {
		return p.errorf("missing operand")
	}
	status := 0
	for _, name := range args[1:] {
		err := p.chmod(p.Path(name), args[0], recursive)
		if err != nil {
			status = p.errorf("cannot access '%s': %s", name, words(err))
		}
	}
	return status
}

func (p *Proc) chmod(file, mode string, recursive bool) error {
	i, err := p.Files().Stat(file)
	if err != nil {
		return err
	}
	m, err := fileMode(mode, i.Mode(), i.IsDir())
	if err != nil {
		return err
	}
	if err := p.Files().Chmod(file, m); err != nil {
		return err
	}
	if !recursive || !i.IsDir() {
		return nil
	}
	entries, err := p.Files().ReadDir(file)
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			err = errors.Join(err, p.chmod(path.Join(file, e.Name()), mode, true))
		}
	}
	return err
}

// fileMode reads 0644 or u+x,go-w. X means x for directories only.
func fileMode(text string, old fs.FileMode, dir bool) (fs.FileMode, error) {
	if n, err := strconv.ParseUint(text, 8, 32); err == nil && n <= 0o7777 {
		return fs.FileMode(n).Perm(), nil
	}
	mode := old.Perm()
	for clause := range strings.SplitSeq(text, ",") {
		at := strings.IndexAny(clause, "+-=")
		if at < 0 {
			return 0, fmt.Errorf("invalid mode: '%s'", text)
		}
		var who, what fs.FileMode
		for _, c := range clause[:at] {
			who |= map[rune]fs.FileMode{'u': 0o700, 'g': 0o070, 'o': 0o007, 'a': 0o777}[c]
		}
		if at == 0 {
			who = 0o777
		}
		for _, c := range clause[at+1:] {
			bit, known := map[rune]fs.FileMode{'r': 0o444, 'w': 0o222, 'x': 0o111, 'X': 0o111, 's': 0, 't': 0}[c]
			if !known {
				return 0, fmt.Errorf("invalid mode: '%s'", text)
			}
			if c != 'X' || dir {
				what |= bit
			}
		}
		switch clause[at] {
		case '+':
			mode |= who & what
		case '-':
			mode &^= who & what
		case '=':
			mode = mode&^who | who&what
		}
	}
	return mode, nil
}

// ownership checks that the files are there; every file here has one owner.
func ownership(_ context.Context, p *Proc) int {
	_, names, ok := p.options("Rvfh")
	if !ok {
		return 1
	}
	status := 0
	for _, name := range names[min(1, len(names)):] {
		if _, err := p.Files().Lstat(p.Path(name)); err != nil {
			status = p.errorf("cannot access '%s': %s", name, words(err))
		}
	}
	return status
}

func touch(_ context.Context, p *Proc) int {
	o, names, ok := p.options("camr:d:t:")
	if !ok {
		return 1
	}
	status := 0
	now := time.Now()
	for _, name := range names {
		if _, err := p.Files().Stat(p.Path(name)); errors.Is(err, fs.ErrNotExist) && o.has("c") {
			continue
		}
		f, err := p.Files().OpenFile(p.Path(name), os.O_WRONLY|os.O_CREATE, 0o644)
		if err == nil {
			f.Close()
		} else if errors.Is(err, errIsDir) {
			err = nil
		}
		if err == nil {
			err = p.Files().Chtimes(p.Path(name), now, now)
		}
		if err != nil {
			status = p.errorf("cannot touch '%s': %s", name, words(err))
		}
	}
	return status
}

func truncate(_ context.Context, p *Proc) int {
	o, names, ok := p.options("s: size=")
	size, err := strconv.ParseInt(o["s"]+o["size"], 10, 64)
	if !ok || err != nil {
		return p.errorf("you must specify '--size'")
	}
	status := 0
	for _, name := range names {
		f, err := p.Files().OpenFile(p.Path(name), os.O_WRONLY|os.O_CREATE, 0o644)
		if err == nil {
			err = errors.Join(f.Truncate(size), f.Close())
		}
		if err != nil {
			status = p.failed(name, err)
		}
	}
	return status
}
