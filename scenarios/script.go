package scenarios

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
)

//go:embed *.txt
var builtin embed.FS

// Scenario is one script, read but not checked.
type Scenario struct {
	Name    string   `json:"name"`    // failover, or the file's path
	Summary string   `json:"summary"` // the first comment line
	Usual   string   `json:"usual"`   // how long it usually takes, in words
	Needs   []string `json:"needs"`   // what it says it needs: "2 slaves"
	Text    string   `json:"-"`       // the whole script
	Lines   []Line   `json:"-"`

	needsLine int
}

// Line is one line of a script.
type Line struct {
	Number int
	Text   string
	// Chapter is the title, where the line is a comment.
	Chapter string
	// Finally lines run at the end, whatever happened.
	Finally bool
}

// List returns the built-in scenarios by name.
func List() ([]Scenario, error) {
	names, err := fs.Glob(builtin, "*.txt")
	if err != nil {
		return nil, fmt.Errorf("list scenarios: %w", err)
	}
	var all []Scenario
	for _, n := range names {
		text, err := builtin.ReadFile(n)
		if err != nil {
			return nil, fmt.Errorf("read scenario %s: %w", n, err)
		}
		all = append(all, Parse(strings.TrimSuffix(n, path.Ext(n)), string(text)))
	}
	slices.SortFunc(all, func(a, b Scenario) int { return strings.Compare(a.Name, b.Name) }) // not as files: upgrade.txt comes after upgrade-…
	return all, nil
}

// Load finds a built-in scenario by name, or reads a file where the name has
// a slash or ends in .txt.
func Load(name string) (Scenario, error) {
	if strings.ContainsAny(name, "/\\") || strings.HasSuffix(name, ".txt") {
		text, err := os.ReadFile(name)
		if err != nil {
			return Scenario{}, fmt.Errorf("%w: read scenario: %w", lab.ErrUsage, err)
		}
		return Parse(name, string(text)), nil
	}
	all, err := List()
	if err != nil {
		return Scenario{}, err
	}
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		return Scenario{}, &lab.Error{
			ID: "unknown-scenario", Op: "find scenario",
			Err:    fmt.Errorf("%w: no scenario %q", lab.ErrUsage, name),
			Advice: "scenarios are " + strings.Join(names, ", ") + lab.DidYouMean(name, names) + "; ./FILE.txt runs one of your own",
		}
	}
	return all[i], nil
}

// Parse splits a script into lines. The first comment is the summary; the
// comments "# usually: …" and "# needs: 2 slaves" say how long it takes and
// what it cannot do without. Other comments are chapters, but for remarks: they
// begin with "##".
func Parse(name, text string) Scenario {
	s := Scenario{Name: name, Text: text, Needs: []string{}}
	for i, raw := range strings.Split(text, "\n") {
		l := Line{Number: i + 1, Text: strings.TrimSpace(raw)}
		if title, ok := strings.CutPrefix(l.Text, "#"); ok {
			title = strings.TrimSpace(title)
			if title == "" || strings.HasPrefix(title, "#") || s.header(title, l.Number) {
				continue
			}
			l.Chapter = title
		}
		if rest, ok := strings.CutPrefix(l.Text, "finally "); ok {
			l.Finally, l.Text = true, strings.TrimSpace(rest)
		}
		if l.Text != "" {
			s.Lines = append(s.Lines, l)
		}
	}
	return s
}

// header takes in a comment that says something of the whole script.
func (s *Scenario) header(title string, line int) bool {
	if usual, ok := strings.CutPrefix(title, "usually:"); ok {
		s.Usual = strings.TrimSpace(usual)
		return true
	}
	if needs, ok := strings.CutPrefix(title, "needs:"); ok {
		for _, n := range strings.Split(needs, ",") {
			s.Needs = append(s.Needs, strings.TrimSpace(n))
		}
		s.needsLine = line
		return true
	}
	if s.Summary == "" {
		s.Summary = title
		return true
	}
	return false
}

// Requires lists what a scenario cannot do without: what it says itself, and
// the ways to break a machine that it uses.
func (sc Scenario) Requires() []string {
	out := append([]string{}, sc.Needs...)
	known := verbs()
	for _, l := range sc.Lines {
		words := strings.Fields(l.Text)
		if l.Chapter != "" || len(words) < 2 {
			continue
		}
		v := known[words[0]]
		needs := v.requires
		if v.isFault(arguments{"target": words[1]}) {
			needs = []string{v.name}
		}
		for _, need := range needs {
			if !slices.Contains(out, need) {
				out = append(out, need)
			}
		}
	}
	return out
}
