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
	switch {
	case len(args) == 0:
		return p.errorf("missing operand")
	case len(args) == 1:
		return p.errorf("missing operand after '%s'", args[0])
	}
	if _, err := fileMode(args[0], 0, false); err != nil {
		return p.errorf("%v", err)
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
			bit, known := map[rune]fs.FileMode{
				'r': 0o444, 'w': 0o222, 'x': 0o111, 'X': 0o111, 's': 0, 't': 0,
				'u': mode >> 6 & 7 * 0o111, 'g': mode >> 3 & 7 * 0o111, 'o': mode & 7 * 0o111, // as they have it
			}[c]
			if !known {
				return 0, fmt.Errorf("invalid mode: '%s'", text)
			}
			if c != 'X' || dir || mode&0o111 != 0 {
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

// touch sets the time of change: to now, that of -d, or that of another file.
func touch(_ context.Context, p *Proc) int {
	o, names, ok := p.options("camhr:d: date= reference= no-create")
	if !ok {
		return 1
	}
	if len(names) == 0 {
		return p.errorf("missing file operand")
	}
	status := 0
	now := time.Now()
	if text, given := o["d"]; given || o.has("date") {
		t, err := readDate(text+o["date"], now)
		if err != nil {
			return p.errorf("invalid date format '%s'", text+o["date"])
		}
		now = t
	}
	if like := o["r"] + o["reference"]; like != "" {
		i, err := p.Files().Stat(p.Path(like))
		if err != nil {
			return p.errorf("failed to get attributes of '%s': %s", like, words(err))
		}
		now = i.ModTime()
	}
	for _, name := range names {
		if _, err := p.Files().Stat(p.Path(name)); errors.Is(err, fs.ErrNotExist) && o.has("c", "no-create") {
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

// truncate sets sizes: -s 10, or by how much: -s +10, -s -10; with K, M or G.
func truncate(_ context.Context, p *Proc) int {
	o, names, ok := p.options("cs: size= no-create")
	if !ok {
		return 1
	}
	text := o["s"] + o["size"]
	if text == "" {
		return p.errorf("you must specify '--size'")
	}
	if len(names) == 0 {
		return p.errorf("missing file operand")
	}
	digits, unit := text, int64(1)
	if i := strings.IndexByte("KMG", text[len(text)-1]); i >= 0 {
		digits, unit = text[:len(text)-1], 1<<(10*(i+1))
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > 1<<40/unit || n < -(1<<40)/unit {
		return p.errorf("Invalid number: '%s'", text)
	}
	n *= unit
	status := 0
	for _, name := range names {
		if _, err := p.Files().Stat(p.Path(name)); err != nil && o.has("c", "no-create") {
			continue
		}
		f, err := p.Files().OpenFile(p.Path(name), os.O_WRONLY|os.O_CREATE, 0o644)
		if err == nil {
			err = errors.Join(resize(f, n, text[0] == '+' || text[0] == '-'), f.Close())
		}
		if err != nil {
			status = p.failed(name, err)
		}
	}
	return status
}

func resize(f *os.File, n int64, by bool) error {
	if by {
		i, err := f.Stat()
		if err != nil {
			return err
		}
		n = max(0, n+i.Size())
	}
	return f.Truncate(n)
}
