package shell

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

func listCommands() map[string]Command {
	return map[string]Command{"ls": ls, "ll": ll, "dir": ls, "stat": stat, "basename": basename, "dirname": dirname, "find": find, "du": du}
}

// ll is the alias that Ubuntu gives its users.
func ll(ctx context.Context, p *Proc) int {
	p.Args = append([]string{"ls", "-alF"}, p.Args[1:]...)
	return ls(ctx, p)
}

func ls(_ context.Context, p *Proc) int {
	o, names, ok := p.options("alAdhH1CRtrFSnLgGopqkx color= color all almost-all full-time time-style= human-readable reverse recursive directory group-directories-first")
	if !ok {
		return 2
	}
	for long, short := range map[string]string{"all": "a", "almost-all": "A", "human-readable": "h", "reverse": "r", "recursive": "R", "directory": "d", "g": "l", "o": "l", "n": "l", "full-time": "l"} {
		if o.has(long) {
			o[short] = ""
		}
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	status := 0
	var files, dirs []string
	for _, name := range names {
		i, err := p.Files().Lstat(p.Path(name))
		if err == nil && i.Mode()&fs.ModeSymlink != 0 && !o.has("l", "d") {
			if followed, err := p.Files().Stat(p.Path(name)); err == nil {
				i = followed
			}
		}
		switch {
		case err != nil:
			p.errorf("cannot access '%s': %s", name, words(err))
			status = 2
		case i.IsDir() && !o.has("d"):
			dirs = append(dirs, name)
		default:
			files = append(files, name)
		}
	}
	if len(files) > 0 {
		o := maps.Clone(o)
		o["operands"] = "" // no total above
		p.list(p.Dir, files, o)
	}
	for n := 0; n < len(dirs); n++ {
		if len(names) > 1 || o.has("R") {
			if n > 0 || len(files) > 0 {
				p.printf("\n")
			}
			p.printf("%s:\n", dirs[n])
		}
		more, err := p.listDir(dirs[n], o)
		if err != nil {
			status = 2
		}
		if o.has("R") {
			dirs = slices.Insert(dirs, n+1, more...)
		}
	}
	return status
}

// listDir prints one directory and returns those in it.
func (p *Proc) listDir(dir string, o options) (inside []string, err error) {
	entries, err := p.Files().ReadDir(p.Path(dir))
	if err != nil {
		p.errorf("cannot open directory '%s': %s", dir, words(err))
		return nil, err
	}
	var names []string
	if o.has("a") {
		names = append(names, ".", "..")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !o.has("a", "A") {
			continue
		}
		names = append(names, e.Name())
		if e.IsDir() {
			inside = append(inside, path.Join(dir, e.Name()))
		}
	}
	p.list(p.Path(dir), names, o)
	return inside, nil
}

// entry is one file in a list.
type entry struct {
	name string
	info fs.FileInfo
}

// list prints names as seen from dir.
func (p *Proc) list(dir string, names []string, o options) {
	var all []entry
	for _, name := range names {
		if i, err := p.Files().Lstat(abs(dir, name)); err == nil { // else gone since the directory was read
			all = append(all, entry{name, i})
		}
	}
	switch {
	case o.has("t"):
		slices.SortStableFunc(all, func(a, b entry) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	case o.has("S"):
		slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.info.Size(), a.info.Size()) })
	}
	if o.has("r") {
		slices.Reverse(all)
	}
	if o.has("l") {
		p.longList(dir, all, o)
		return
	}
	shown := make([]string, len(all))
	for i, e := range all {
		shown[i] = e.name + p.mark(e, o)
	}
	if p.Screen() != nil && !o.has("1") || o.has("C", "x") {
		io.WriteString(p.Stdout, columnsOf(shown, p.columns()))
		return
	}
	for _, name := range shown {
		p.printf("%s\n", name)
	}
}

// mark is what -F and -p put behind a name.
func (p *Proc) mark(e entry, o options) string {
	m := e.info.Mode()
	switch {
	case m.IsDir() && o.has("F", "p"):
		return "/"
	case !o.has("F"):
	case m&fs.ModeSymlink != 0 && !o.has("l"):
		return "@"
	case m&fs.ModeSocket != 0:
		return "="
	case m.IsRegular() && m&0o111 != 0:
		return "*"
	}
	return ""
}

func (p *Proc) longList(dir string, all []entry, o options) {
	sizes := make([]string, len(all))
	widest, blocks := 0, int64(0)
	for i, e := range all {
		sizes[i] = strconv.FormatInt(e.info.Size(), 10)
		if o.has("h") {
			sizes[i] = human(e.info.Size())
		}
		widest = max(widest, len(sizes[i]))
		blocks += (e.info.Size() + 4095) / 4096 * 4
	}
	if !o.has("operands") {
		p.printf("total %d\n", blocks)
	}
	for i, e := range all {
		name := e.name
		if t, err := p.Files().Readlink(abs(dir, e.name)); err == nil {
			name += " -> " + t
		}
		p.printf("%s 1 root root %*s %s %s%s\n", modeString(e.info.Mode()), widest, sizes[i], listTime(e.info.ModTime()), name, p.mark(e, o))
	}
}

// listTime is the time as ls -l shows it: the year instead of the hour where it
// is long ago.
func listTime(t time.Time) string {
	if age := time.Since(t); age > 182*24*time.Hour || age < -time.Hour {
		return t.Format("Jan _2  2006")
	}
	return t.Format("Jan _2 15:04")
}

// human writes bytes as ls -h, du -h and df -h do.
func human(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	value, unit := float64(n), 0
	for value >= 1024 && unit < 5 {
		value /= 1024
		unit++
	}
	if value < 10 {
		return fmt.Sprintf("%.1f%c", math.Ceil(value*10)/10, "KMGTP"[unit-1])
	}
	return fmt.Sprintf("%.0f%c", math.Ceil(value), "KMGTP"[unit-1])
}

// modeString is the first column of ls -l.
func modeString(m fs.FileMode) string {
	kind := "-"
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	case m&fs.ModeSocket != 0:
		kind = "s"
	case m&fs.ModeNamedPipe != 0:
		kind = "p"
	}
	return kind + m.Perm().String()[1:]
}

// fileKind is what stat calls a file.
func fileKind(i fs.FileInfo) string {
	switch m := i.Mode(); {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case i.Size() == 0:
		return "regular empty file"
	}
	return "regular file"
}

// stat prints a file's facts; -c knows the commonest formats.
func stat(_ context.Context, p *Proc) int {
	o, names, ok := p.options("c:L format=")
	if !ok {
		return 1
	}
	format := o["c"] + o["format"]
	if len(names) == 0 {
		return p.errorf("missing operand")
	}
	for _, name := range names {
		look := p.Files().Lstat
		if o.has("L") {
			look = p.Files().Stat
		}
		i, err := look(p.Path(name))
		if err != nil {
			return p.errorf("cannot statx '%s': %s", name, words(err))
		}
		if format == "" {
			p.printf("  File: %s\n  Size: %d\nAccess: (%04o/%s)\nModify: %s\n", name, i.Size(), i.Mode().Perm(), modeString(i.Mode()), i.ModTime().Format(time.RFC3339))
			continue
		}
		p.printf("%s\n", strings.NewReplacer("%%", "%", "%a", fmt.Sprintf("%o", i.Mode().Perm()), "%s", fmt.Sprint(i.Size()), "%n", name,
			"%F", fileKind(i), "%y", i.ModTime().Format("2006-01-02 15:04:05.000000000 -0700"), "%X", fmt.Sprint(i.ModTime().Unix()), "%N", "'"+name+"'",
			"%U", "root", "%G", "root", "%u", "0", "%g", "0", "%A", modeString(i.Mode()), "%Y", fmt.Sprint(i.ModTime().Unix())).Replace(format))
	}
	return 0
}
