package provision

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mesoslab/lab"
)

func TestConflicts(t *testing.T) {
	for _, tt := range []struct {
		name, file, opts string
		unit             bool
		want             []string
	}{
		{"no file", "", article, true, nil},
		{"nothing in common", `{"log-driver": "json-file"}`, article + " --tls=false", true, nil},
		{"hosts beside -H", `{"hosts": ["fd://"]}`, article, false, []string{"hosts"}},
		{"hosts beside the unit's own -H fd://", `{"hosts": []}`, "--debug", true, []string{"hosts"}},
		{"hosts where no unit has a say", `{"hosts": []}`, "--debug", false, nil},
		{"lab's own flag", `{"tls": true}`, article + " --tls=false", true, []string{"tls"}},
		{"several, in order", `{"labels": ["a"], "debug": true, "hosts": []}`, "-D --label a -H fd://", true, []string{"debug", "hosts", "labels"}},
		{"the flag runs into its value", `{"hosts": []}`, "-Htcp://0.0.0.0:2375", false, []string{"hosts"}},
		{"one dash", `{"debug": true}`, "-debug=true", false, []string{"debug"}},
	} {
		got, err := conflicts([]byte(tt.file), tt.opts, tt.unit)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", tt.name, err, diff)
		}
	}
	for _, broken := range []string{"{", "[]", `{"hosts": [}`} {
		if _, err := conflicts([]byte(broken), article, true); err == nil || !strings.Contains(err.Error(), daemonJSONPath) {
			t.Errorf("%s: %v", broken, err)
		}
	}
}

// TestDaemonJSONStopsBeforeAnything: what dockerd would die of is named, and
// neither written nor restarted.
func TestDaemonJSONStopsBeforeAnything(t *testing.T) {
	f := Facts{Init: Systemd, Engine: Engine{State: EngineRunning, Number: "20.10.24"}}
	for name, file := range map[string]string{"hosts": `{"hosts": ["unix:///run/docker.sock"]}`, "no JSON": `{"hosts": `} {
		h := &fakeHost{user: "root", files: map[string]string{daemonJSONPath: file}, units: debianUnit}
		_, err := ConfigureDocker(t.Context(), h, f, article)
		if lab.ErrorID(err) != "docker-daemon-json" || !strings.Contains(err.Error(), daemonJSONPath) {
			t.Errorf("%s: %v", name, err)
		}
		if e, ok := errors.AsType[*lab.Error](err); !ok || e.Machine != "node1" || e.Advice == "" {
			t.Errorf("%s: %+v", name, e)
		}
		if len(h.wrote) > 0 || len(h.ran) != 1 || !strings.HasPrefix(h.ran[0], "systemctl cat") {
			t.Errorf("%s: wrote %q, ran %q", name, h.wrote, h.ran)
		}
	}
	// A file that sets TLS keeps lab's own flag away.
	h := &fakeHost{user: "root", files: map[string]string{daemonJSONPath: `{"tlsverify": true}`}, units: debianUnit}
	if _, err := ConfigureDocker(t.Context(), h, f, article); err != nil || strings.Contains(h.files[defaultsPath], "tls") {
		t.Errorf("daemon.json has a word about TLS: %v, %q", err, h.files[defaultsPath])
	}
	// An engine that runs as it should is left alone, whatever stands there.
	h = &fakeHost{user: "root", files: map[string]string{daemonJSONPath: `{"hosts": []}`, defaultsPath: "DOCKER_OPTS=\"-H fd://\"\n"}, units: debianUnit}
	if changed, err := ConfigureDocker(t.Context(), h, f, "-H fd://"); err != nil || changed {
		t.Errorf("nothing to do: %v, %v", changed, err)
	}
}

func FuzzConflicts(f *testing.F) {
	f.Add(`{"hosts": []}`, "-H tcp://0.0.0.0:2375 --tls=false -D")
	f.Add("null", "- -- -= --=")
	f.Fuzz(func(t *testing.T, file, opts string) {
		keys, err := conflicts([]byte(file), opts, true)
		if err != nil && len(keys) > 0 {
			t.Errorf("%q with %v", keys, err)
		}
	})
}
