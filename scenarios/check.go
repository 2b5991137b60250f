package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
)

// Mistake is one thing wrong with a script.
type Mistake struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"` // the line itself
	Err  error  `json:"-"`
	What string `json:"mistake"` // Err in words
}

func (m Mistake) String() string { return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.What) }

// knowledge is what a checker knows when it comes to a line.
type knowledge struct {
	facts map[fact]bool
	app   string // that traffic goes to
	rate  int    // requests a second
	asked map[string]bool
	// deployed are apps that the script brings itself.
	deployed, updated map[string]bool
	counting          map[string]bool // of them, those that count in a file of their slave
}

// Check finds every mistake of a script without running it and without a lab:
// unknown verbs, wrong or missing arguments, lines that come too early for
// what they need, expectations that can never hold.
func Check(ctx context.Context, sc Scenario) ([]Mistake, error) {
	k := &knowledge{facts: map[fact]bool{}, deployed: map[string]bool{}, updated: map[string]bool{}, asked: map[string]bool{}, counting: map[string]bool{}}
	finally := false
	l, err := newLanguage(ctx, func(_ context.Context, v verb, a arguments) error { return k.judge(v, a, finally) })
	if err != nil {
		return nil, fmt.Errorf("check scenario %s: %w", sc.Name, err)
	}
	defer l.close()
	var mistakes []Mistake
	add := func(line int, text string, err error) {
		mistakes = append(mistakes, Mistake{File: sc.Name, Line: line, Text: text, Err: err, What: err.Error()})
	}
	for _, n := range sc.Needs {
		if err := checkNeed(n); err != nil {
			add(sc.needsLine, "# needs: "+strings.Join(sc.Needs, ", "), err)
		}
	}
	for _, line := range sc.Lines {
		if line.Chapter != "" {
			continue
		}
		finally = line.Finally
		if err := l.run(ctx, sc.Name, line); err != nil {
			add(line.Number, line.Text, err)
			k.assume(l, line.Text)
		}
	}
	return mistakes, nil
}

// judge looks at a line whose words are right by themselves.
func (k *knowledge) judge(v verb, a arguments, finally bool) error {
	defer k.take(v, a)
	if !finally { // what runs whatever happened may find anything
		for _, f := range v.after {
			if !k.facts[f] {
				return fmt.Errorf("%s: %s", v.name, lacking[f])
			}
		}
		for _, p := range slices.Concat(v.args, v.options) {
			if p.kind.isMachine() && a[p.name] == wordVictim && !k.facts[factVictim] {
				return fmt.Errorf("%s: %s", v.name, lacking[factVictim])
			}
		}
	}
	if v.watched && k.app != "" && a["app"] != k.app {
		return fmt.Errorf("%s %s can never hold: traffic goes to %s, and only that is watched", v.name, a["app"], k.app)
	}
	if v.sane != nil {
		return v.sane(a, k)
	}
	return nil
}

// take remembers what a line has done.
func (k *knowledge) take(v verb, a arguments) {
	for _, f := range v.gives {
		// Before the baseline, a change of an app is preparation.
		if f == factChange && !v.isFault(a) && !k.facts[factBaseline] {
			continue
		}
		k.facts[f] = true
	}
	switch v.name {
	case "traffic":
		k.app, k.rate = a["app"], a.count("rate")
	case "ask":
		k.asked[a["quantity"]] = true
	case "update":
		k.updated[a["app"]] = true
	case "upgrade":
		k.deployed[a["app"]] = true
	case "deploy":
		if d, err := loadApp(a["app"]); err == nil {
			k.deployed[d.ID] = true
			if _, ok := counterFile(d.JSON); ok {
				k.counting[d.ID] = true
			}
		}
	}
}

// assume takes a line with a mistake for what it may have been meant to be, so
// that one mistake is not found once for every line after it.
func (k *knowledge) assume(l *language, text string) {
	v, near, err := l.find(text)
	if err != nil {
		v = l.verbs[near]
	}
	for _, f := range v.gives {
		k.facts[f] = true
	}
	words := strings.Fields(text)
	if len(words) < 2 {
		return
	}
	switch v.name {
	case "let":
		l.let(words[1], "")
	case "ask":
		k.asked[words[1]] = true
	case "traffic":
		k.app = words[1]
	}
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
		lines = append(lines, m.String())
	}
	return &lab.Error{
		ID: "scenario-invalid", Op: "check scenario",
		Err:    fmt.Errorf("%w: %s", lab.ErrUsage, strings.Join(lines, "\n")),
		Advice: "correct the lines above; nothing was broken",
	}
}
