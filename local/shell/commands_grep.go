package shell

import (
	"context"
	"io"
	"regexp"
	"strings"
)

func grep(_ context.Context, p *Proc) int {
	o, names, ok := p.options("EFiqvcnsowxhHrle:m: quiet")
	if !ok {
		return 2
	}
	pattern, given := o["e"]
	if !given {
		if len(names) == 0 {
			p.errorf("no pattern")
			return 2
		}
		pattern, names = names[0], names[1:]
	}
	re, err := grepPattern(pattern, o, p.name())
	if err != nil {
		p.errorf("%v", err)
		return 2
	}
	found := 0
	quiet := o.has("q", "quiet")
	status := p.each(names, func(name string, r io.Reader) error {
		matches, n := 0, 0
		err := lines(r, func(line string) error {
			n++
			if re.MatchString(line) == o.has("v") {
				return nil
			}
			matches++
			if quiet || o.has("c") || o.has("l") {
				return nil
			}
			if len(names) > 1 && !o.has("h") || o.has("H") {
				p.printf("%s:", name)
			}
			if o.has("n") {
				p.printf("%d:", n)
			}
			if o.has("o") && !o.has("v") {
				line = strings.Join(re.FindAllString(line, -1), "\n")
			}
			p.printf("%s\n", line)
			return nil
		})
		found += matches
		if o.has("c") {
			p.printf("%d\n", matches)
		}
		if o.has("l") && matches > 0 {
			p.printf("%s\n", name)
		}
		return err
	})
	switch {
	case status != 0 && !o.has("s"):
		return 2
	case found == 0:
		return 1
	}
	return 0
}

func grepPattern(pattern string, o options, name string) (*regexp.Regexp, error) {
	switch {
	case o.has("F") || name == "fgrep":
		pattern = regexp.QuoteMeta(pattern)
	case !o.has("E") && name != "egrep":
		// Basic expressions: these characters are plain unless escaped.
		pattern = regexp.MustCompile(`\\?[+?(){}|]`).ReplaceAllStringFunc(pattern, func(s string) string {
			if strings.HasPrefix(s, `\`) {
				return s[1:]
			}
			return `\` + s
		})
	}
	if o.has("w") {
		pattern = `\b(?:` + pattern + `)\b`
	}
	if o.has("x") {
		pattern = `^(?:` + pattern + `)$`
	}
	if o.has("i") {
		pattern = "(?i)" + pattern
	}
	return regexp.Compile(pattern)
}
