package mini

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// chapters of docs/mini.md, and the folders of their tests where no room is
// named.
var chapters = map[string][]string{
	"Mesos master":  {"mini/mesos/master"},
	"Mesos agent":   {"mini/mesos/agent"},
	"Marathon":      {"mini/marathon"},
	"ZooKeeper":     {"mini/zookeeper"},
	"Load balancer": {"mini/marathonlb"},
	"Pages":         {"e2e", "mini/mesos/master", "mini/mesos/master/webui", "mini/marathon/ui"},
}

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	namedTest    = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z0-9]\w+`)
	roomsBefore  = regexp.MustCompile("^ *`?[a-z0-9/]+`?(?:, `?[a-z0-9/]+`?)*: ")
)

// TestDocsNameTestsThatExist: docs/mini.md says of each feature which test
// proves it, and in which room that test is.
func TestDocsNameTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../docs/mini.md")
	if err != nil {
		t.Fatal(err)
	}
	there := testsOf(t, "..")
	named, chapter := 0, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			chapter = title
			if chapters[chapter] == nil {
				t.Errorf("where are the tests of the chapter %q?", chapter)
			}
		}
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, " |"), " | ")
		for group := range strings.SplitSeq(cells[len(cells)-1], ";") {
			folders := foldersOf(chapters[chapter], roomsBefore.FindString(group))
			for _, name := range namedTest.FindAllString(group, -1) {
				named++
				if !slices.ContainsFunc(folders, func(dir string) bool { return slices.Contains(there[dir], name) }) {
					t.Errorf("%s: no %s in %v (%q)", chapter, name, folders, cells[0])
				}
			}
		}
	}
	if named < 300 {
		t.Errorf("only %d tests are named", named)
	}
}

// foldersOf are the folders that the rooms before a colon name, or the
// chapter's own.
func foldersOf(chapter []string, rooms string) []string {
	if rooms == "" {
		return chapter
	}
	var folders []string
	for _, room := range strings.Split(strings.TrimSuffix(rooms, ": "), ",") {
		room = strings.Trim(room, " `")
		folders = append(folders, room, path.Join(chapter[0], room))
	}
	return folders
}

// testsOf lists the tests below root by their folder.
func testsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	there := map[string][]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		code, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		for _, m := range testFunction.FindAllSubmatch(code, -1) {
			there[filepath.ToSlash(dir)] = append(there[filepath.ToSlash(dir)], string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
