package agent

import (
	"slices"
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/supervise"
)

// oldOnly is what an agent of 0.26.2 answered and 1.x, and this agent, does
// not: an end of a place, with its reason.
var oldOnly = map[string]string{
	".network_infos[].ip_address string": "before there could be several: ip_addresses",
	".resources.ports string":            "of an executor whose tasks have ended: it does not hold theirs any more",
}

// oldStatus are the requests that are answered with another status now.
var oldStatus = map[string]string{
	"/containers":                  "it came after 0.26",
	"/slave(1)/containers":         "it came after 0.26",
	"/slave(1)/monitor/statistics": "in 0.26 the monitor was a process beside slave(1); 1.x has it in both places",
}

// TestOldStateKeys: where --compat=0.26 is what people compare with, they find
// every key that 0.26.2 has in an agent's answers, and the same forms.
func TestOldStateKeys(t *testing.T) {
	used, answers := map[string]bool{}, 0
	for _, r := range recordings(t, "0.26.2") {
		t.Run(r.prefix, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.someOfEach()
				for _, q := range r.requests(t) {
					status, _, body := w.ask(q)
					if status != q.status {
						if used[q.what] = true; oldStatus[q.what] == "" {
							t.Errorf("%s: %s, 0.26.2 answered %s", q.what, status, q.status)
						}
						continue
					}
					if old := r.body(q.file() + ".json"); old != nil && q.content == "application/json" {
						answers++
						w.compareOld(q.what, old, body, used)
					}
				}
			})
		})
	}
	if answers < 100 {
		t.Errorf("only %d answers were compared", answers)
	}
	for _, list := range []map[string]string{oldOnly, oldStatus} {
		for what, why := range list {
			if !used[what] {
				t.Errorf("%s does not differ any more (%s)", what, why)
			}
		}
	}
}

// compareOld looks for what 0.26.2 tells. Frameworks that are there no more
// look like those that are, and what is not there was written as 0, not 0.0.
func (w *world) compareOld(what string, old, body []byte, used map[string]bool) {
	w.t.Helper()
	have, told := shape(w.t, body), shape(w.t, old)
	if strings.HasPrefix(what, "/files/debug") { // keys are paths with ids in them
		have, told = masked(have), masked(told)
	}
	for _, place := range told {
		place = strings.Replace(place, "$.completed_frameworks[]", "$.frameworks[]", 1)
		place = strings.Replace(place, ".completed_executors[].tasks[]", ".executors[].tasks[]", 1)
		if slices.Contains(have, place) || slices.Contains(have, strings.TrimSuffix(place, "integer")+"double") || strings.HasPrefix(place, "$.flags.") {
			continue
		}
		known := false
		for end := range oldOnly {
			if strings.HasSuffix(place, end) {
				known, used[end] = true, true
			}
		}
		if !known {
			w.t.Errorf("%s: no %s", what, place)
		}
	}
}

// someOfEach has a running task, an ended one and one whose end is not
// acknowledged.
func (w *world) someOfEach() {
	m, _ := registered(w, "--hostname=agent1", "--containerizers=mesos", "--attributes=rack:r1;zone:a")
	task := cmdTask("a")
	task.Labels = &mesos.Labels{Labels: []mesos.Label{{Key: "app", Value: ptr("web")}}}
	task.Discovery = &mesos.DiscoveryInfo{Visibility: mesos.CLUSTER, Name: ptr("web"),
		Ports: &mesos.Ports{Ports: []mesos.Port{{Number: 31005, Name: ptr("http"), Protocol: ptr("tcp")}}}}
	m.run(task)
	m.update("a", mesos.TASK_RUNNING)
	task.TaskID.Value = "b"
	w.launcher.Exit(m.commanded(w, task), supervise.Result{})
	m.update("b", mesos.TASK_FINISHED)
	task.TaskID.Value = "c"
	w.launcher.Exit(m.commanded(w, task), supervise.Result{})
	m.unacknowledged("c", mesos.TASK_FINISHED)
}
