package shell

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// less shows files a screen at a time; without a screen it is cat. more is the
// same, but leaves at the end.
func less(ctx context.Context, p *Proc) int {
	toEnd, follow := false, false
	var names []string
	for _, a := range p.Args[1:] {
		switch {
		case a == "+F":
			follow = true
		case a == "+G":
			toEnd = true
		case strings.HasPrefix(a, "+"), strings.HasPrefix(a, "-") && a != "-": // how it shows: nothing to do
		default:
			names = append(names, a)
		}
	}
	if len(names) == 0 && p.Keyboard() != nil {
		return p.errorf("missing filename (\"%s --help\" does not help here: it is %s FILE, or … | %s)", p.name(), p.name(), p.name())
	}
	t := p.Screen()
	if t == nil || p.Terminal() != t {
		return p.each(names, func(_ string, r io.Reader) error { _, err := io.Copy(p.Stdout, r); return err })
	}
	if len(names) == 0 {
		names = []string{"-"}
	}
	status := 0
	for i, name := range names {
		r, err := p.open(name)
		if err != nil {
			status = p.failed(name, err)
			continue
		}
		g := newPager(t, title(name, i, len(names)))
		g.leaveAtEnd, g.following = p.name() == "more", follow
		if toEnd {
			g.top = 1 << 30
		}
		err = g.show(ctx, r)
		r.Close()
		if err != nil && ctx.Err() == nil {
			status = p.failed(name, err)
		}
	}
	return status
}

func title(name string, i, n int) string {
	switch {
	case name == "-":
		return ""
	case n > 1:
		return fmt.Sprintf("%s (file %d of %d)", name, i+1, n)
	}
	return name
}

// page shows a text as less does, or prints it where nobody can turn pages or
// nothing is to be turned.
func (p *Proc) page(ctx context.Context, text string) error {
	t := p.Screen()
	if t == nil || p.Terminal() != t || strings.Count(text, "\n") < t.Size().Rows {
		_, err := io.WriteString(p.Stdout, text)
		return err
	}
	return newPager(t, "").show(ctx, strings.NewReader(text))
}

// man has no pages.
func man(_ context.Context, p *Proc) int {
	if len(p.Args) < 2 {
		p.printf("What manual page do you want?\n")
		return 1
	}
	fmt.Fprintf(p.Stderr, "No manual entry for %s: an embedded machine has no manual pages. help lists its commands; your own computer has the manual.\n", p.Args[len(p.Args)-1])
	return 16
}
