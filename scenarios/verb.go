package scenarios

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"rsc.io/script"

	"github.com/mesoslab/lab"
)

// verb is one word of the script language. The same table drives running and
// checking, so that check knows exactly what run accepts.
type verb struct {
	name    string
	summary string
	args    []param // by position
	options []param // key=value
	// do runs the verb; it is nil for verbs that only speak.
	do func(ctx context.Context, r *run, a arguments) error
}

// param is one argument of a verb.
type param struct {
	name     string
	kind     kind
	fallback string
}

// kind says what an argument may be.
type kind int

const (
	kindWord kind = iota
	kindApp
	kindNode // a machine's name, its alias, or "victim"
	kindCount
	kindDuration
)

// arguments are a verb's values by parameter name, complete with defaults.
type arguments map[string]string

func (a arguments) duration(name string) time.Duration {
	d, _ := time.ParseDuration(a[name]) // checked by parse
	return d
}

func (a arguments) count(name string) int {
	n, _ := strconv.Atoi(a[name]) // checked by parse
	return n
}

// parse fits words to the verb's parameters.
func (v verb) parse(words []string) (arguments, error) {
	a := arguments{}
	for _, p := range v.options {
		a[p.name] = p.fallback
	}
	rest := v.args
	for _, w := range words {
		if key, value, ok := strings.Cut(w, "="); ok {
			i := slices.IndexFunc(v.options, func(p param) bool { return p.name == key })
			if i < 0 {
				var known []string
				for _, p := range v.options {
					known = append(known, p.name+"=")
				}
				return nil, fmt.Errorf("%s knows no %s=: allowed are %s%s", v.name, key, strings.Join(known, ", "), lab.DidYouMean(key+"=", known))
			}
			if err := v.options[i].check(value); err != nil {
				return nil, err
			}
			a[key] = value
			continue
		}
		if len(rest) == 0 {
			return nil, fmt.Errorf("%s: surplus word %q (usage: %s)", v.name, w, v.usage())
		}
		if err := rest[0].check(w); err != nil {
			return nil, err
		}
		a[rest[0].name], rest = w, rest[1:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%s: %s is missing (usage: %s)", v.name, rest[0].name, v.usage())
	}
	return a, nil
}

func (p param) check(value string) error {
	switch p.kind {
	case kindCount:
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 1e6 {
			return fmt.Errorf("%s=%q must be a whole number from 1", p.name, value)
		}
	case kindDuration:
		if d, err := time.ParseDuration(value); err != nil || d <= 0 {
			return fmt.Errorf("%s=%q must be a duration like 10s", p.name, value)
		}
	default:
		if value == "" {
			return fmt.Errorf("%s is empty", p.name)
		}
	}
	return nil
}

func (v verb) usage() string {
	parts := []string{v.name}
	for _, p := range v.args {
		parts = append(parts, strings.ToUpper(p.name))
	}
	for _, p := range v.options {
		parts = append(parts, "["+p.name+"="+p.fallback+"]")
	}
	return strings.Join(parts, " ")
}

// engine makes a script engine of our verbs: one that runs them on r, or,
// with r nil, one that only checks.
func engine(r *run) *script.Engine {
	e := &script.Engine{Cmds: map[string]script.Cmd{}, Conds: map[string]script.Cond{}}
	for name, v := range verbs() {
		e.Cmds[name] = script.Command(script.CmdUsage{Summary: v.summary, Args: v.usage()},
			func(s *script.State, words ...string) (script.WaitFunc, error) {
				if name == "expect" {
					sub, err := expectation(words)
					if err != nil {
						return nil, err
					}
					v, words = sub, words[1:]
				}
				a, err := v.parse(words)
				if err != nil || r == nil {
					return nil, err
				}
				return nil, v.do(s.Context(), r, a)
			})
	}
	return e
}

// speech returns the raw text of a say or explain line: the engine would
// split it like a shell.
func speech(text string) (string, bool) {
	for _, word := range []string{"say", "explain"} {
		if rest, ok := strings.CutPrefix(text, word+" "); ok {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// execute runs one line in the state.
func execute(e *script.Engine, s *script.State, file string, l Line) error {
	return e.Execute(s, file, bufio.NewReader(strings.NewReader(l.Text+"\n")), io.Discard)
}
