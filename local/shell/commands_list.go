package shell

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func listCommands() map[string]Command {
	return map[string]Command{"ls": ls, "stat": stat, "basename": basename, "dirname": dirname, "find": find, "du": du}
}

func ls(_ context.Context, p *Proc) int {
	o, names, ok := p.options("alAdh1RtrF color= all full-time")
	if !ok {
		return 2
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
	p.list(p.Dir, files, o)
	for n, dir := range dirs {
		if len(names) > 1 || o.has("R") {
			if n > 0 || len(files) > 0 {
				p.printf("\n")
			}
			p.printf("%s:\n", dir)
		}
		if more := p.listDir(dir, o); o.has("R") {
			dirs = slices.Concat(dirs[:n+1], more, dirs[n+1:])
		}
	}
	return status
}

// listDir prints one directory and returns those in it.
func (p *Proc) listDir(dir string, o options) (inside []string) {
	entries, err := p.Files().ReadDir(p.Path(dir))
	if err != nil {
		p.errorf("cannot open directory '%s': %s", dir, words(err))
		return nil
	}
	var names []string
	if o.has("a", "all") {
		names = append(names, ".", "..")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !o.has("a", "A", "all") {
			continue
		}
		names = append(names, e.Name())
		if e.IsDir() {
			inside = append(inside, path.Join(dir, e.Name()))
		}
	}
	if o.has("l") {
		p.printf("total %d\n", 4*len(names))
	}
	p.list(p.Path(dir), names, o)
	return inside
}

// list prints names as seen from dir.
func (p *Proc) list(dir string, names []string, o options) {
	if o.has("r") {
		slices.Reverse(names)
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 1, ' ', tabwriter.AlignRight)
	for _, name := range names {
		if !o.has("l") {
			fmt.Fprintln(p.Stdout, name)
			continue
		}
		file := abs(dir, name)
		i, err := p.Files().Lstat(file)
		if err != nil {
			continue // gone since the directory was read
		}
		if t, err := p.Files().Readlink(file); err == nil {
			name += " -> " + t
		}
		fmt.Fprintf(w, "%s\t 1\t root\t root\t %d\t %s %s\n", modeString(i.Mode()), i.Size(), i.ModTime().Format("Jan _2 15:04"), name)
	}
	w.Flush()
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

// stat prints a file's facts; -c knows the commonest formats.
func stat(_ context.Context, p *Proc) int {
	o, names, ok := p.options("c:L format=")
	if !ok {
		return 1
	}
	format := o["c"] + o["format"]
	for _, name := range names {
		look := p.Files().Lstat
		if o.has("L") {
			look = p.Files().Stat
		}
		i, err := look(p.Path(name))
		if err != nil {
			return p.errorf("cannot stat '%s': %s", name, words(err))
		}
		if format == "" {
			p.printf("  File: %s\n  Size: %d\nAccess: (%04o/%s)\nModify: %s\n", name, i.Size(), i.Mode().Perm(), modeString(i.Mode()), i.ModTime().Format(time.RFC3339))
			continue
		}
		p.printf("%s\n", strings.NewReplacer("%%", "%", "%a", fmt.Sprintf("%o", i.Mode().Perm()), "%s", fmt.Sprint(i.Size()), "%n", name,
			"%U", "root", "%G", "root", "%u", "0", "%g", "0", "%A", modeString(i.Mode()), "%Y", fmt.Sprint(i.ModTime().Unix())).Replace(format))
	}
	return 0
}

func basename(_ context.Context, p *Proc) int {
	if len(p.Args) < 2 {
		return p.errorf("missing operand")
	}
	base := path.Base(p.Args[1])
	if len(p.Args) > 2 && base != p.Args[2] {
		base = strings.TrimSuffix(base, p.Args[2])
	}
	p.printf("%s\n", base)
	return 0
}

func dirname(_ context.Context, p *Proc) int {
	if len(p.Args) < 2 {
		return p.errorf("missing operand")
	}
	p.printf("%s\n", path.Dir(strings.TrimRight(p.Args[1], "/")))
	return 0
}

// find knows -name, -type and -maxdepth 1.
func find(ctx context.Context, p *Proc) int {
	args := p.Args[1:]
	var roots []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	if len(args)%2 != 0 {
		return p.errorf("missing argument to `%s'", args[len(args)-1])
	}
	keep := func(string, fs.FileMode) bool { return true }
	for ; len(args) > 0; args = args[2:] {
		before, value := keep, args[1]
		switch args[0] {
		case "-name":
			keep = func(n string, m fs.FileMode) bool {
				ok, _ := path.Match(value, path.Base(n))
				return ok && before(n, m)
			}
		case "-type":
			keep = func(n string, m fs.FileMode) bool {
				return strings.HasPrefix(strings.Replace(modeString(m), "-", "f", 1), value) && before(n, m)
			}
		default:
			return p.errorf("unknown predicate `%s'", args[0])
		}
	}
	status := 0
	for _, root := range roots {
		if err := p.walk(ctx, root, func(name string, i fs.FileInfo) {
			if keep(name, i.Mode()) {
				p.printf("%s\n", name)
			}
		}); err != nil {
			status = p.errorf("‘%s’: %s", root, words(err))
		}
	}
	return status
}

// walk visits name and everything below it, following no links.
func (p *Proc) walk(ctx context.Context, name string, visit func(string, fs.FileInfo)) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i, err := p.Files().Lstat(p.Path(name))
	if err != nil {
		return err
	}
	visit(name, i)
	if !i.IsDir() {
		return nil
	}
	entries, err := p.Files().ReadDir(p.Path(name))
	for _, e := range entries {
		// What vanishes while one looks is not there.
		_ = p.walk(ctx, strings.TrimSuffix(name, "/")+"/"+e.Name(), visit)
	}
	return err
}

func du(ctx context.Context, p *Proc) int {
	_, names, ok := p.options("shkm")
	if !ok {
		return 1
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	for _, name := range names {
		var sum int64
		if err := p.walk(ctx, name, func(_ string, i fs.FileInfo) { sum += (i.Size() + 1023) / 1024 }); err != nil {
			return p.errorf("cannot access '%s': %s", name, words(err))
		}
		p.printf("%d\t%s\n", sum, name)
	}
	return 0
}
