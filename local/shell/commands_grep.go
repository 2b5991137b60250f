package shell

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// grepper is one run of grep.
type grepper struct {
	p             *Proc
	re            *regexp.Regexp
	o             options
	named         bool // with file names
	before, after int
	most          int      // -1 for any number
	only, not     []string // names to look into with -r, and not
	found         int
}

func grep(ctx context.Context, p *Proc) int {
	patterns, args := grepPatterns(p.Args[1:])
	o, names, err := parseOptions(args, "EFGiyqvcnsowxhHrRlLaIm:A:B:C: quiet silent color= colour= color colour include= exclude= exclude-dir= "+
		"ignore-case invert-match count line-number recursive extended-regexp fixed-strings word-regexp files-with-matches only-matching max-count= no-messages")
	if err != nil {
		p.errorf("%v", err)
		return 2
	}
	for long, short := range map[string]string{"ignore-case": "i", "invert-match": "v", "count": "c", "line-number": "n", "recursive": "r", "extended-regexp": "E",
		"fixed-strings": "F", "word-regexp": "w", "files-with-matches": "l", "only-matching": "o", "quiet": "q", "silent": "q", "no-messages": "s", "y": "i", "R": "r"} {
		if o.has(long) {
			o[short] = ""
		}
	}
	if len(patterns) == 0 {
		if len(names) == 0 {
			p.errorf("usage: grep [OPTION]... PATTERNS [FILE]...")
			return 2
		}
		patterns, names = names[:1], names[1:]
	}
	g := &grepper{p: p, o: o, most: -1, only: repeated(p.Args, "--include="), not: repeated(p.Args, "--exclude=", "--exclude-dir=")}
	if g.re, err = grepPattern(patterns, o, p.name()); err == nil {
		err = g.counts()
	}
	if err != nil {
		p.errorf("%v", err)
		return 2
	}
	return g.run(ctx, names)
}

// grepPatterns takes -e PATTERN out, which may come several times.
func grepPatterns(args []string) (patterns, rest []string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--":
			return patterns, append(rest, args[i:]...)
		case a == "-e" && i+1 < len(args):
			i++
			patterns = append(patterns, args[i])
		case strings.HasPrefix(a, "--regexp="):
			patterns = append(patterns, strings.TrimPrefix(a, "--regexp="))
		case len(a) > 1 && a[0] == '-' && strings.Trim(a[1:], "0123456789") == "":
			rest = append(rest, "-C", a[1:]) // grep -3
		default:
			rest = append(rest, a)
		}
	}
	return patterns, rest
}

// repeated are the values of an option that may come several times.
func repeated(args []string, prefixes ...string) []string {
	var out []string
	for _, a := range args {
		for _, prefix := range prefixes {
			if value, ok := strings.CutPrefix(a, prefix); ok {
				out = append(out, value)
			}
		}
	}
	return out
}

// wants reports whether -r looks into a file.
func (g *grepper) wants(file string) bool {
	matches := func(name string) func(string) bool {
		return func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }
	}
	for part := range strings.SplitSeq(file, "/") {
		if slices.ContainsFunc(g.not, matches(part)) {
			return false
		}
	}
	return len(g.only) == 0 || slices.ContainsFunc(g.only, matches(path.Base(file)))
}

func (g *grepper) counts() error {
	both := 0
	for letter, to := range map[string]*int{"C": &both, "A": &g.after, "B": &g.before, "m": &g.most} {
		text, given := g.o[letter]
		if letter == "m" && !given {
			text, given = g.o["max-count"]
		}
		if !given {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return fmt.Errorf("%s: invalid number", text)
		}
		*to = n
	}
	g.before, g.after = max(g.before, both), max(g.after, both)
	return nil
}

func (g *grepper) run(ctx context.Context, names []string) int {
	failed := false
	if g.o.has("r") {
		here := len(names) == 0
		if here {
			names = []string{"."}
		}
		var all []string
		for _, name := range names {
			err := g.p.walk(ctx, name, func(file string, i fs.FileInfo) {
				if here {
					file = strings.TrimPrefix(file, "./")
				}
				if i.Mode().IsRegular() && g.wants(file) {
					all = append(all, file)
				}
			})
			if err != nil {
				failed = true
				g.p.failed(name, err)
			}
		}
		if names = all; len(names) == 0 {
			return map[bool]int{true: 2, false: 1}[failed]
		}
		g.named = true
	}
	g.named = (g.named || len(names) > 1 || g.o.has("H")) && !g.o.has("h")
	errors := g.p.Stderr
	if g.o.has("s") {
		g.p.Stderr = io.Discard
	}
	status := g.p.each(names, func(name string, r io.Reader) error { return g.file(ctx, name, r) })
	g.p.Stderr = errors
	switch {
	case g.o.has("q") && g.found > 0:
		return 0
	case status == 141:
		return status
	case status != 0 || failed:
		return 2
	case g.found == 0:
		return 1
	}
	return 0
}

// file looks through one input.
func (g *grepper) file(ctx context.Context, name string, r io.Reader) error {
	if name == "-" {
		name = "(standard input)"
	}
	matches, n, last, due := 0, 0, 0, 0
	var earlier []string // the lines before, as many as are wanted
	err := lines(r, func(line string) error {
		if n++; ctx.Err() != nil {
			return ctx.Err()
		}
		hit := g.re.MatchString(line) != g.o.has("v") && (g.most < 0 || matches < g.most)
		if hit {
			matches++
		}
		if g.o.has("q", "c", "l", "L") {
			return nil
		}
		switch {
		case hit:
			if context := g.before+g.after > 0; context && last > 0 && n-len(earlier) > last+1 {
				g.p.printf("--\n")
			}
			for i, l := range earlier {
				g.print(name, n-len(earlier)+i, '-', l)
			}
			earlier, due, last = nil, g.after, n
			g.hit(name, n, line)
		case due > 0:
			due--
			last = n
			g.print(name, n, '-', line)
		case g.before > 0:
			if earlier = append(earlier, line); len(earlier) > g.before {
				earlier = slices.Clone(earlier[1:])
			}
		}
		return nil
	})
	g.found += matches
	switch {
	case g.o.has("c"):
		g.print(name, 0, ':', strconv.Itoa(matches))
	case g.o.has("l") && matches > 0, g.o.has("L") && matches == 0:
		g.p.printf("%s\n", name)
	}
	return err
}

func (g *grepper) hit(name string, n int, line string) {
	if !g.o.has("o") || g.o.has("v") {
		g.print(name, n, ':', line)
		return
	}
	for _, m := range g.re.FindAllString(line, -1) {
		if m != "" {
			g.print(name, n, ':', m)
		}
	}
}

func (g *grepper) print(name string, n int, sep byte, text string) {
	if g.named {
		g.p.printf("%s%c", name, sep)
	}
	if g.o.has("n") && n > 0 {
		g.p.printf("%d%c", n, sep)
	}
	g.p.printf("%s\n", text)
}

func grepPattern(patterns []string, o options, name string) (*regexp.Regexp, error) {
	var all []string
	for _, pattern := range strings.Split(strings.Join(patterns, "\n"), "\n") {
		switch {
		case o.has("F") || name == "fgrep":
			pattern = regexp.QuoteMeta(pattern)
		case !o.has("E") && name != "egrep":
			pattern = basicRegexp(pattern)
		}
		all = append(all, pattern)
	}
	pattern := strings.Join(all, "|")
	if o.has("w") {
		pattern = `\b(?:` + pattern + `)\b`
	}
	if o.has("x") {
		pattern = `^(?:` + pattern + `)$`
	}
	if o.has("i") {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("invalid pattern: %w", err)
	}
	re.Longest() // as POSIX wants
	return re, nil
}

var (
	basicSpecial = regexp.MustCompile(`\\.|\[[^]]*\]|[+?(){}|]`)
	firstStar    = regexp.MustCompile(`^(\^?)\*`)
)

// basicRegexp turns a basic regular expression into one of Go's: + ? ( ) { } |
// are plain unless escaped, and a star at the beginning is a star.
func basicRegexp(pattern string) string {
	pattern = firstStar.ReplaceAllString(pattern, `$1\*`)
	return basicSpecial.ReplaceAllStringFunc(pattern, func(s string) string {
		switch {
		case s[0] == '[':
			return s
		case s == `\<` || s == `\>`:
			return `\b`
		case s[0] != '\\':
			return `\` + s
		case strings.Contains("+?(){}|", s[1:]):
			return s[1:]
		}
		return s
	})
}
