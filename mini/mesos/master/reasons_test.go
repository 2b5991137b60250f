package master

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// said is what a master says of a task: state, reason and text, without the
// names and numbers in it.
func said(t *testing.T, doc []byte) (string, bool) {
	var e struct {
		Update struct {
			Status struct{ State, Source, Reason, Message string }
		}
	}
	if err := json.Unmarshal(doc, &e); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	s := e.Update.Status
	if s.Source != "SOURCE_MASTER" {
		return "", false
	}
	text := regexp.MustCompile(`agent-?[0-9][0-9.]*`).ReplaceAllString(s.Message, "<agent>")
	text = regexp.MustCompile(`Offer \S+ is`).ReplaceAllString(text, "Offer <offer> is")
	text = regexp.MustCompile(`ID: \S+`).ReplaceAllString(text, "ID: <task>")
	text = regexp.MustCompile(`resources .* required(.*)available .*`).ReplaceAllString(text, "resources <some> required${1}available <some>")
	text = regexp.MustCompile(`more resources .* than available .*`).ReplaceAllString(text, "more resources <some> than available <some>")
	return strings.Join([]string{s.State, s.Reason, text}, " | "), true
}

// TestReasons: whatever a captured master of either generation said of a task,
// this one says in the same words with --compat set to it.
func TestReasons(t *testing.T) {
	for version, compat := range map[string]string{"0.26.2": "0.26", "1.3.2": "1.3"} {
		t.Run(version, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(labtest.Contracts(t), "captures-mesos", version, "streams", "*-v1sched-*.txt"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%d streams: %v", len(files), err)
			}
			record := regexp.MustCompile(`(?s)^[^\n]*<<< EVENT UPDATE[^\n]*\n(\{.*\})\s*$`)
			real, ours := map[string]bool{}, map[string]bool{}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				for part := range strings.SplitSeq(string(b), "\n##### ") {
					if m := record.FindStringSubmatch(part); m != nil {
						if s, ok := said(t, []byte(m[1])); ok {
							real[s] = true
						}
					}
				}
			}
			stories := []func(*rig){(*rig).refusals, (*rig).reconciled, (*rig).unregistered, (*rig).lostLaunch}
			for _, story := range stories {
				bubble.Test(t, func(t *testing.T) {
					r := newRig(t)
					r.generation = compat
					story(r)
					synctest.Wait()
					for _, s := range r.scheds {
						s.mu.Lock()
						for _, e := range s.events {
							if s, ok := said(t, mjson.Marshal(mjson.Proto(e))); ok {
								ours[s] = true
							}
						}
						s.mu.Unlock()
					}
				})
			}
			if len(real) < 5 {
				t.Fatalf("only %d texts in the captures", len(real))
			}
			for _, s := range slices.Sorted(maps.Keys(real)) {
				if !ours[s] {
					t.Errorf("not said here: %s", s)
				}
			}
			for _, s := range slices.Sorted(maps.Keys(ours)) {
				if !real[s] {
					t.Logf("not captured: %s", s)
				}
			}
		})
	}
}

// lostLaunch ends and kills what is not there.
func (r *rig) lostLaunch() {
	l := r.lossRemoved(true)
	for _, name := range []string{"ckpt", "nockpt", "pa"} {
		s := l.frameless[name]
		s.call(calls.Kill(name+"-a1", l.a.agentID()))
		s.call(calls.Kill(name+"-a1", ""))
		s.call(calls.Kill("never", l.b.agentID()))
	}
	synctest.Wait()
}
