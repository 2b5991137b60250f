package shell

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// finder is what find does with a file: tests first, then actions.
type finder struct {
	p        *Proc
	min, max int
	tests    []func(name string, i fs.FileInfo) bool
	actions  []func(name string, i fs.FileInfo) bool
	batch    []batch
	deletes  bool // directories come after what is in them
	status   int
}

// batch is a command of -exec … + with the files it is to get.
type batch struct{ command, files []string }

// find knows -name, -iname, -path, -type, -size, -empty, -mindepth, -maxdepth,
// ! and -not before a test, and the actions -print, -print0, -delete, -exec.
func find(ctx context.Context, p *Proc) int {
	args := p.Args[1:]
	var roots []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "!" && args[0] != "(" {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	f := &finder{p: p, max: -1}
	for len(args) > 0 {
		used, problem := f.predicate(ctx, args)
		if problem != "" {
			return p.errorf("%s", problem)
		}
		args = args[used:]
	}
	if len(f.actions) == 0 {
		f.actions = append(f.actions, func(name string, _ fs.FileInfo) bool { p.printf("%s\n", name); return true })
	}
	for _, root := range roots {
		if err := f.walk(ctx, root, 0); err != nil {
			f.status = p.errorf("'%s': %s", root, words(err))
		}
	}
	for _, b := range f.batch {
		if len(b.files) > 0 && p.start(ctx, p.config(), slices.Concat(b.command, b.files)) != 0 {
			f.status = 1
		}
	}
	return f.status
}

// predicate reads one test or action and tells how many words it took.
func (f *finder) predicate(ctx context.Context, args []string) (used int, problem string) {
	word, value := args[0], ""
	if len(args) > 1 {
		value = args[1]
	}
	test := func(fn func(string, fs.FileInfo) bool) { f.tests = append(f.tests, fn) }
	switch word {
	case "!", "-not":
		if len(args) < 2 {
			return 0, "expected an expression after `" + word + "'"
		}
		before := len(f.tests)
		used, problem = f.predicate(ctx, args[1:])
		if len(f.tests) > before {
			inner := f.tests[before]
			f.tests[before] = func(n string, i fs.FileInfo) bool { return !inner(n, i) }
		}
		return used + 1, problem
	case "-empty":
		test(func(n string, i fs.FileInfo) bool { return f.empty(n, i) })
		return 1, ""
	case "-and", "-a", "-xdev", "-mount":
		return 1, ""
	case "-depth":
		f.deletes = true
		return 1, ""
	case "-print":
		f.actions = append(f.actions, func(n string, _ fs.FileInfo) bool { f.p.printf("%s\n", n); return true })
		return 1, ""
	case "-print0":
		f.actions = append(f.actions, func(n string, _ fs.FileInfo) bool { f.p.printf("%s\x00", n); return true })
		return 1, ""
	case "-delete":
		f.actions, f.deletes = append(f.actions, f.remove), true
		return 1, ""
	case "-exec":
		return f.exec(ctx, args)
	}
	if !slices.Contains([]string{"-name", "-iname", "-path", "-wholename", "-type", "-size", "-mindepth", "-maxdepth"}, word) {
		return 0, "unknown predicate `" + word + "'"
	}
	if len(args) < 2 {
		return 0, "missing argument to `" + word + "'"
	}
	switch word {
	case "-name", "-iname", "-path", "-wholename":
		if _, err := path.Match(value, ""); err != nil {
			return 0, "invalid pattern `" + value + "'"
		}
		test(func(n string, _ fs.FileInfo) bool { return matchName(word, value, n) })
	case "-type":
		if len(value) != 1 || strings.IndexByte("fdlsp", value[0]) < 0 {
			return 0, "Unknown argument to -type: " + value
		}
		test(func(_ string, i fs.FileInfo) bool {
			return strings.HasPrefix(strings.Replace(modeString(i.Mode())[:1], "-", "f", 1), value)
		})
	case "-size":
		return f.size(value)
	case "-mindepth", "-maxdepth":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return 0, "Expected a positive decimal integer argument to " + word + ", but got '" + value + "'"
		}
		if word == "-mindepth" {
			f.min = n
		} else {
			f.max = n
		}
	}
	return 2, ""
}

func matchName(word, pattern, name string) bool {
	switch word {
	case "-name":
		ok, _ := path.Match(pattern, path.Base(name)) // the pattern was checked
		return ok
	case "-iname":
		ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(path.Base(name)))
		return ok
	}
	// In -path a star matches slashes, too.
	ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x01"), strings.ReplaceAll(name, "/", "\x01"))
	return ok
}

// size reads +1M, -10k, 5c: more than, less than, as much as, rounded up.
func (f *finder) size(text string) (int, string) {
	sign := strings.TrimRight(text[:1], "0123456789")
	number := strings.TrimPrefix(text, sign)
	unit := int64(512)
	for suffix, n := range map[string]int64{"c": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "b": 512} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = rest, n
		}
	}
	want, err := strconv.ParseInt(number, 10, 64)
	if err != nil || sign != "" && sign != "+" && sign != "-" {
		return 0, "invalid argument `" + text + "' to `-size'"
	}
	f.tests = append(f.tests, func(_ string, i fs.FileInfo) bool {
		n := (i.Size() + unit - 1) / unit
		return sign == "" && n == want || sign == "+" && n > want || sign == "-" && n < want
	})
	return 2, ""
}

func (f *finder) empty(name string, i fs.FileInfo) bool {
	if i.IsDir() {
		entries, err := f.p.Files().ReadDir(f.p.Path(name))
		return err == nil && len(entries) == 0
	}
	return i.Mode().IsRegular() && i.Size() == 0
}

func (f *finder) remove(name string, _ fs.FileInfo) bool {
	if err := f.p.Files().Remove(f.p.Path(name)); err != nil {
		f.status = f.p.errorf("cannot delete '%s': %s", name, words(err))
		return false
	}
	return true
}

// exec reads -exec COMMAND … {} ; or +.
func (f *finder) exec(ctx context.Context, args []string) (int, string) {
	for n, word := range args {
		switch {
		case word == ";" && n > 1:
			command := args[1:n]
			f.actions = append(f.actions, func(name string, _ fs.FileInfo) bool {
				words := make([]string, len(command))
				for i, w := range command {
					words[i] = strings.ReplaceAll(w, "{}", name)
				}
				return f.p.start(ctx, f.p.config(), words) == 0
			})
			return n + 1, ""
		case word == "+" && n > 2 && args[n-1] == "{}":
			f.batch = append(f.batch, batch{command: args[1 : n-1]})
			at := len(f.batch) - 1
			f.actions = append(f.actions, func(name string, _ fs.FileInfo) bool {
				f.batch[at].files = append(f.batch[at].files, name)
				return true
			})
			return n + 1, ""
		}
	}
	return 0, "missing argument to `-exec'"
}

// walk visits a directory before what is in it, unless files are removed.
func (f *finder) walk(ctx context.Context, name string, depth int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i, err := f.p.Files().Lstat(f.p.Path(name))
	if err != nil {
		return err
	}
	visit := func() {
		if depth < f.min {
			return
		}
		for _, test := range f.tests {
			if !test(name, i) {
				return
			}
		}
		for _, act := range f.actions {
			if !act(name, i) {
				return
			}
		}
	}
	if !i.IsDir() || f.max >= 0 && depth >= f.max {
		visit()
		return nil
	}
	entries, err := f.p.Files().ReadDir(f.p.Path(name))
	if !f.deletes {
		visit()
	}
	for _, e := range entries {
		// What vanishes while one looks is not there.
		_ = f.walk(ctx, strings.TrimSuffix(name, "/")+"/"+e.Name(), depth+1)
	}
	if f.deletes {
		visit()
	}
	return err
}
