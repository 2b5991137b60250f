package master

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/internal/labtest"
)

// since026 are the keys of 0.26.2's /state.json that this master does not
// have with --compat=0.26, and why. Everything else 0.26.2 tells is there in
// the same form; there is more, as 1.3.2 tells more.
func since026() map[string]string {
	const (
		address = "the field was deprecated in 0.26 and is gone in 1.3; ip_addresses beside it says the same"
		driver  = "drivers of libmesos have a pid; here are HTTP schedulers only"
		status  = ".statuses[].container_status.network_infos[].ip_address"
	)
	return map[string]string{
		"$.frameworks[].tasks[]" + status:                     address,
		"$.frameworks[].completed_tasks[]" + status:           address,
		"$.completed_frameworks[].completed_tasks[]" + status: address,
		"$.completed_frameworks[].pid":                        driver,
	}
}

// more brings about what a run of 0.26.2 had besides, in some situations.
func more(r *rig, situation string) {
	switch situation {
	case "framework-disconnected", "loss-default-agent1-back", "restart-recovered", "agent2-sigusr1":
		s := r.scheduler(framework("past"))
		s.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
		<-s.done
	case "loss-default-agent1-dead-before-timeout":
		r.scheduler(framework("holder"))
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

// forms maps the path of each scalar of a document to how it is written.
func forms(t *testing.T, doc []byte) map[string][]string {
	m := map[string][]string{}
	for _, line := range shape(t, doc) {
		path, form, _ := strings.Cut(line, " ")
		if strings.HasPrefix(form, "{") || strings.HasPrefix(form, "list") || strings.HasPrefix(path, "$.flags.") {
			continue
		}
		m[path] = append(m[path], form)
	}
	return m
}

// TestReplay026: with --compat=0.26 a client of 0.26.2 finds what it knows in
// /state.json, in the form it knows, in every situation that was captured.
func TestReplay026(t *testing.T) {
	dir := filepath.Join(labtest.Contracts(t), "captures-mesos", "0.26.2")
	compared, captured, ran := 0, 0, 0
	missing := map[string]bool{}
	for _, s := range situations() {
		if s.who != "master" {
			continue
		}
		var real []byte
		for _, name := range []string{"master_state.json", "state.json", "state.json.json"} {
			b, err := os.ReadFile(filepath.Join(dir, s.name, "0.26.2-"+s.name+"-master-"+name))
			if err == nil {
				real = b
				break
			}
		}
		if real == nil {
			t.Logf("%s: no /state.json of 0.26.2", s.name)
			continue
		}
		captured++
		t.Run(s.name, func(t *testing.T) {
			ran++
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.generation = "0.26"
				addr := s.bring(r)
				more(r, s.name)
				_, body := r.get(addr, "/state.json")
				ours := forms(t, body)
				known := forms(t, real)
				compared += len(known)
				for _, path := range slices.Sorted(maps.Keys(known)) {
					for _, form := range known[path] {
						if slices.Contains(ours[path], form) {
							continue
						}
						if missing[path] = true; since026()[path] == "" {
							t.Errorf("%s is %s in 0.26.2, here %v", path, form, ours[path])
						}
					}
				}
			})
		})
	}
	if ran < captured {
		return
	}
	if t.Logf("%d values compared", compared); compared < 1000 {
		t.Errorf("only %d values were compared", compared)
	}
	for path, why := range since026() {
		if !missing[path] {
			t.Errorf("%s is there now (%s)", path, why)
		}
	}
}
