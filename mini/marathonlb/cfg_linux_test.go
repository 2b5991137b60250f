package marathonlb

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// A real HAProxy takes every line that we render.
func TestHAProxyReadsConfiguration(t *testing.T) {
	program := labtest.NeedProgram(t, "haproxy")
	for _, name := range []string{"zoo.cfg", "nginx.cfg"} {
		golden, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		text := strings.ReplaceAll(string(golden), "node-3.example:", "10.0.0.3:") // there is no such host
		if err := os.WriteFile(file, []byte(unprivileged(text, "127.0.0.1")), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, "-c", "-f", file).CombinedOutput()
		if err != nil || strings.Contains(string(out), "[WARNING]") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// Our columns are HAProxy's; newer versions append more.
func TestHAProxyColumns(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	w := newTwin(t, "haproxy")
	w.start([]service{w.service(w.add("a", "ok"))})
	var ours strings.Builder
	if err := proxy.WriteCSV(&ours, nil); err != nil {
		t.Fatal(err)
	}
	if theirs, _, _ := strings.Cut(w.csv(), "\n"); !strings.HasPrefix(theirs, strings.TrimSuffix(ours.String(), "\n")) {
		t.Errorf("haproxy: %s\nlab:     %s", theirs, ours.String())
	}
}
