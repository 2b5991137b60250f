package scenarios

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestVerbsAreInTheREADME: its table has every verb and expectation of the
// language, and no other.
func TestVerbsAreInTheREADME(t *testing.T) {
	_, table, found := strings.Cut(readDoc(t, "../README.md"), "| verb | what it does |\n")
	table, _, ended := strings.Cut(table, "\n\n")
	if !found || !ended {
		t.Fatal("no table of verbs")
	}
	known, expected := verbs(), expectations()
	listed := map[string]bool{}
	for line := range strings.Lines(table) {
		verb, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(verb, -1) {
			words := strings.Fields(m[1])
			if words[0] == "expect" {
				listed["expect"] = true
				words = words[1:]
			}
			listed[words[0]] = true
			_, isVerb := known[words[0]]
			_, isExpected := expected[words[0]]
			if !isVerb && !isExpected && words[0] != "finally" { // that one stands before any verb
				t.Errorf("the README has %q, the language has not", m[1])
			}
		}
	}
	for name := range known {
		if !listed[name] {
			t.Errorf("the README does not tell of the verb %s", name)
		}
	}
	for name := range expected {
		if !listed[name] {
			t.Errorf("the README does not tell of expect %s", name)
		}
	}
}

// TestScenariosAreDescribed: docs/scenarios.md has a chapter for each built-in
// scenario and none for others, and names every app that comes with lab.
func TestScenariosAreDescribed(t *testing.T) {
	text := readDoc(t, "../docs/scenarios.md")
	var chapters []string
	for _, m := range regexp.MustCompile(`(?m)^## ([a-z-]+): `).FindAllStringSubmatch(text, -1) {
		chapters = append(chapters, m[1])
	}
	scripts := builtinNames(t, builtin, "*.txt")
	for _, name := range scripts {
		if !slices.Contains(chapters, name) {
			t.Errorf("docs/scenarios.md does not describe %s", name)
		}
	}
	for _, name := range chapters {
		if !slices.Contains(scripts, name) {
			t.Errorf("docs/scenarios.md describes %s, which does not exist", name)
		}
	}
	_, own, _ := strings.Cut(text, "\n## Scripts of your own\n")
	for _, name := range builtinNames(t, builtinApps, "apps/*.json") {
		if !regexp.MustCompile(`[ \n]` + name + `[ ,.;)]`).MatchString(own) {
			t.Errorf("docs/scenarios.md does not name the app %s", name)
		}
	}
}

// TestListIsByName: a scenario stands before those whose names go on from its.
func TestListIsByName(t *testing.T) {
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b Scenario) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not by name")
	}
}

func readDoc(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func builtinNames(t *testing.T, files fs.FS, pattern string) []string {
	t.Helper()
	matches, err := fs.Glob(files, pattern)
	if err != nil || len(matches) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	for i, name := range matches {
		matches[i] = strings.TrimSuffix(path.Base(name), path.Ext(name))
	}
	return matches
}
