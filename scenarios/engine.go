package scenarios

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"rsc.io/script"

	"github.com/mesoslab/lab"
)

// language runs lines: one on a lab, or one that only checks. Both know the
// same verbs, words and variables; what a verb comes to is for do to say.
type language struct {
	verbs map[string]verb
	vars  map[string]string
	do    func(ctx context.Context, v verb, a arguments) error

	engine *script.Engine
	state  *script.State
}

// newLanguage makes the engine of our verbs. Lines see none of the
// environment: what a script does must not depend on whose shell it is.
func newLanguage(ctx context.Context, do func(context.Context, verb, arguments) error) (*language, error) {
	s, err := script.NewState(ctx, os.TempDir(), []string{})
	if err != nil {
		return nil, fmt.Errorf("make script state: %w", err)
	}
	l := &language{verbs: verbs(), vars: map[string]string{}, do: do, state: s}
	l.engine = &script.Engine{Cmds: map[string]script.Cmd{}, Conds: map[string]script.Cond{}}
	for name, v := range l.verbs {
		l.engine.Cmds[name] = script.Command(script.CmdUsage{Summary: v.summary, Args: v.usage()},
			func(s *script.State, words ...string) (script.WaitFunc, error) {
				if name == "expect" {
					sub, err := expectation(words)
					if err != nil {
						return nil, err
					}
					v, words = sub, words[1:]
				}
				a, err := v.parse(words)
				if err != nil {
					return nil, err
				}
				return nil, l.call(s.Context(), v, a)
			})
	}
	return l, nil
}

// again is the same language, with what its variables are now, under another
// context.
func (l *language) again(ctx context.Context) (*language, error) {
	next, err := newLanguage(ctx, l.do)
	if err != nil {
		return nil, err
	}
	for name, value := range l.vars {
		next.let(name, value)
	}
	return next, nil
}

func (l *language) close() { l.state.CloseAndWait(io.Discard) }

// find returns the verb of a line, expectations included. near is the one that
// may have been meant where there is none.
func (l *language) find(text string) (v verb, near string, err error) {
	words := strings.Fields(text)
	names := slices.Sorted(maps.Keys(l.verbs))
	v, known := l.verbs[words[0]]
	switch {
	case !known:
		return verb{}, lab.Nearest(words[0], names),
			fmt.Errorf("no verb %q: verbs are %s%s", words[0], strings.Join(names, ", "), lab.DidYouMean(words[0], names))
	case v.name == "expect":
		sub, err := expectation(words[1:])
		if err != nil && len(words) > 1 {
			near = lab.Nearest(words[1], expectationNames())
		}
		return sub, near, err
	}
	return v, "", nil
}

// run carries out one line. The engine would split what is meant for people
// like a shell, so lines with a raw end go past it.
func (l *language) run(ctx context.Context, file string, line Line) error {
	if err := l.defined(line.Text); err != nil {
		return err
	}
	v, _, err := l.find(line.Text)
	if err != nil {
		return err
	}
	if v.rest != "" {
		_, rest, _ := strings.Cut(line.Text, " ")
		a, err := v.parseRaw(os.Expand(rest, func(name string) string { return l.vars[name] }))
		if err != nil {
			return err
		}
		return l.call(ctx, v, a)
	}
	err = cause(l.engine.Execute(l.state, file, bufio.NewReader(strings.NewReader(line.Text+"\n")), io.Discard))
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) && !isUnmet(err) {
		return context.Cause(ctx) // the engine itself names our single line
	}
	return err
}

// call hands a line on; variables are the language's own business.
func (l *language) call(ctx context.Context, v verb, a arguments) error {
	if v.name == "let" {
		l.let(a["name"], a["value"])
	}
	return l.do(ctx, v, a)
}

// let defines a variable for the lines that follow.
func (l *language) let(name, value string) {
	l.vars[name] = value
	l.state.Setenv(name, value)
}

var (
	quoted   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`'[^']*'`) })
	variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{?(\w+)`) })
)

// defined finds variables that no line before has set. They would silently be
// empty.
func (l *language) defined(text string) error {
	for _, m := range variable().FindAllStringSubmatch(quoted().ReplaceAllString(text, ""), -1) {
		if _, ok := l.vars[m[1]]; !ok {
			names := slices.Sorted(maps.Keys(l.vars))
			return fmt.Errorf("$%s is not set by then: give \"let %s VALUE\" before it%s", m[1], m[1], lab.DidYouMean(m[1], names))
		}
	}
	return nil
}

// cause strips the engine's own position, which counts from our single line.
func cause(err error) error {
	for {
		c, ok := err.(*script.CommandError)
		if !ok {
			return err
		}
		err = c.Err
	}
}
