package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"rsc.io/script"

	"github.com/mesoslab/lab"
)

// Mistake is one thing wrong with a script.
type Mistake struct {
	Line int
	Text string
	Err  error
}

// Check finds every mistake of a script without running it: unknown verbs,
// wrong or missing arguments, wrong values.
func Check(ctx context.Context, sc Scenario) ([]Mistake, error) {
	s, err := script.NewState(ctx, os.TempDir(), nil)
	if err != nil {
		return nil, fmt.Errorf("check scenario %s: %w", sc.Name, err)
	}
	defer s.CloseAndWait(discard{})
	e := engine(nil)
	var names []string
	for n := range e.Cmds {
		names = append(names, n)
	}
	slices.Sort(names)
	var mistakes []Mistake
	for _, l := range sc.Lines {
		if l.Chapter != "" {
			continue
		}
		if _, ok := speech(l.Text); ok {
			continue
		}
		word, _, _ := strings.Cut(l.Text, " ")
		if _, known := e.Cmds[word]; !known {
			err := fmt.Errorf("no verb %q: verbs are say, explain, %s%s", word, strings.Join(names, ", "), lab.DidYouMean(word, names))
			mistakes = append(mistakes, Mistake{l.Number, l.Text, err})
			continue
		}
		if err := execute(e, s, sc.Name, l); err != nil {
			mistakes = append(mistakes, Mistake{l.Number, l.Text, cause(err)})
		}
	}
	return mistakes, nil
}

// cause strips the engine's own position, which counts from our single line.
func cause(err error) error {
	if c, ok := errors.AsType[*script.CommandError](err); ok {
		return c.Err
	}
	return err
}

// Sound returns nil for a script without mistakes, else all of them in one
// error for people.
func Sound(ctx context.Context, sc Scenario) error {
	mistakes, err := Check(ctx, sc)
	if err != nil || len(mistakes) == 0 {
		return err
	}
	var lines []string
	for _, m := range mistakes {
		lines = append(lines, fmt.Sprintf("%s:%d: %v", sc.Name, m.Line, m.Err))
	}
	return &lab.Error{
		ID: "scenario-invalid", Op: "check scenario",
		Err:    fmt.Errorf("%w: %s", lab.ErrUsage, strings.Join(lines, "\n")),
		Advice: "correct the lines above; nothing was broken",
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
