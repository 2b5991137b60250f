// Package arrows holds no code: its test keeps the imports between rooms as
// the architecture wants them.
package arrows

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/mesoslab/lab"

// rooms lists what each room of the module may import of the others. A room
// includes the packages below it. cmd/lab may import everything.
var rooms = map[string][]string{
	"":                    {},
	"cmd/lab":             {"*"},
	"vagrant":             {"", "internal/atomicfile", "internal/computer", "internal/command"},
	"containers":          {"", "internal/atomicfile", "internal/computer", "internal/command"},
	"local":               {"", "internal/atomicfile", "internal/guard", "internal/imagetar", "internal/proctab", "internal/computer", "internal/disturb"},
	"internal/proctab":    {}, // processes by identity: the supervisor of package mini needs it, too
	"provision":           {"", "internal/disturb"},
	"provision/images":    {"", "internal/imagetar", "internal/command"},
	"stack":               {"", "provision"},
	"scenarios":           {"", "internal/atomicfile", "provision", "stack"},
	"mini":                {"internal/atomicfile", "internal/guard", "internal/proctab"},
	"internal/atomicfile": {},
	"internal/guard":      {},
	"internal/disturb":    {""}, // machines are disturbed over SSH and in namespaces
	"internal/imagetar":   {},
	"internal/computer":   {""},
	"internal/command":    {},
	"internal/flow":       {"", "provision", "provision/images", "stack", "scenarios", "internal/state", "internal/computer", "internal/disturb"},
	"internal/state":      {"", "internal/atomicfile"},
	"internal/ui":         {""},
	"internal/labtest":    {""},
	"internal/arrows":     {},
	"bench":               {"*"},
	"e2e":                 {"*"},
}

// programs are the mini programs, which never import each other.
var programs = []string{"mini/zookeeper", "mini/mesos", "mini/marathon", "mini/marathonlb", "mini/web"}

func TestArrows(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Doc", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath, Doc string
			Imports         []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		from := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if p.Doc == "" && from != "internal/arrows" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		room := roomOf(from)
		allowed, known := rooms[room]
		if !known {
			t.Errorf("%s lies in no room of the architecture", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if i != module && !strings.HasPrefix(i, module+"/") {
				continue
			}
			to := strings.TrimPrefix(strings.TrimPrefix(i, module), "/")
			if !may(room, allowed, roomOf(to)) || crossesPrograms(from, to) {
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
		}
	}
}

func roomOf(pkg string) string {
	best := ""
	for room := range rooms {
		if (pkg == room || strings.HasPrefix(pkg, room+"/")) && len(room) > len(best) {
			best = room
		}
	}
	if best == "" && pkg != "" {
		return pkg
	}
	return best
}

func may(from string, allowed []string, to string) bool {
	if from == to {
		return true
	}
	for _, a := range allowed {
		if a == "*" || a == to {
			return true
		}
	}
	return false
}

func crossesPrograms(from, to string) bool {
	a, b := programOf(from), programOf(to)
	if a == "" {
		// The parent package mini knows none of its programs.
		return roomOf(from) == "mini" && b != ""
	}
	return b != "" && a != b
}

func programOf(pkg string) string {
	for _, p := range programs {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return p
		}
	}
	return ""
}
