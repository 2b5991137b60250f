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
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// executorEnded is the class of the event that an agent makes for a task whose
// executor ended without a word.
const executorEnded = "UPDATE TASK_FAILED SOURCE_AGENT REASON_EXECUTOR_TERMINATED uuid=true"

// since026 are the differences from 0.26.2 with --compat=0.26: what its
// answers have and ours have not, and why. Everything else that 0.26.2 tells
// is there in the same form; there is more, as 1.3.2 tells more.
func since026() []difference {
	const (
		address    = "the field was deprecated in 0.26 and is gone in 1.3; ip_addresses beside it says the same"
		driver     = "drivers of libmesos have a pid; here are HTTP schedulers only"
		checkpoint = "v1's AgentInfo has no such key: all agents checkpoint"
		nothing    = "0.26.2 writes what is not there as 0 here and as 0.0 in /state; 1.3.2 and this master write 0.0 everywhere, which is the same number"
		insides    = "it measures the insides of libprocess, of the replicated log or of the C++ allocator, of which there are none here"
		later      = "it came after 0.26; --compat takes nothing away"
		method     = "a wrong method is refused in 1.3's words"
		standby    = "a standby leads to the leader, as 1.3's does; --compat is about agents that are lost, and words"
	)
	return []difference{
		{what: ".network_infos[].ip_address string", why: address},
		{what: "$.completed_frameworks[].pid string", why: driver},
		{what: "$.slaves.slaves[].info.checkpoint bool", why: checkpoint},
		{what: ".cpus integer", why: nothing},
		{what: ".mem integer", why: nothing},
		{what: ".disk integer", why: nothing},
		{request: "/metrics/snapshot", what: "$.allocator/event_queue_dispatches double", why: insides},
		{request: "/metrics/snapshot", what: "$.registrar/…", why: insides},
		{request: "/metrics/snapshot", what: "$.master/task_…", why: "tasks are counted by state, not also by source and reason"},
		{request: "/__processes__", what: "status", why: "it lists libprocess's actors, of which there are none here"},
		{request: "/observe", what: "status", why: "it took reports of monitoring programs, did nothing with them and is gone since"},
		{request: "/quota", what: "status", why: later},
		{request: "/weights", what: "status", why: later},
		{request: "/reserve", what: "status", why: method},
		{request: "/machine/…", what: "status", why: method},
		{request: "/…", what: "status", why: standby, in: "nonleader"},
		{request: executorEnded, what: ".ip_addresses[].ip_address string", why: "agents are those of 1.3 with any --compat, and these say nothing of a container that is gone", in: "scheduler"},
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

// TestReplay026: with --compat=0.26 a client of 0.26.2 finds what it knows, in
// the form it knows, in every situation that was captured.
func TestReplay026(t *testing.T) {
	dir := filepath.Join(labtest.Contracts(t), "captures-mesos", "0.26.2")
	tally := replayed026{used: map[difference]bool{}}
	captured, ran := 0, 0
	for _, s := range situations() {
		index := filepath.Join(dir, s.name, "0.26.2-"+s.name+"-"+s.who+"-INDEX.txt")
		if _, err := os.Stat(index); err != nil {
			t.Logf("%s: nothing of 0.26.2's %s", s.name, s.who)
			continue
		}
		captured++
		t.Run(s.name+"/"+s.who, func(t *testing.T) {
			ran++
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.generation = "0.26"
				addr := s.bring(r)
				more(r, s.name)
				for _, c := range captures(t, "0.26.2", s.name, s.who) {
					tally.ask(r, addr, s.who, c)
				}
			})
		})
	}
	if ran < captured {
		return
	}
	if t.Logf("%d answers, %d values compared", tally.answers, tally.values); tally.values < 1000 {
		t.Errorf("only %d values were compared", tally.values)
	}
	for _, d := range since026() {
		if !tally.used[d] && d.in != "scheduler" { // TestStreams026 sees to these
			t.Errorf("%s %s is there now (%s)", d.request, d.what, d.why)
		}
	}
}

type replayed026 struct {
	used            map[difference]bool
	answers, values int
}

func (p *replayed026) allowed(who, request, what string) bool {
	like := func(s, pattern string) bool {
		begin, more := strings.CutSuffix(pattern, "…")
		return s == pattern || more && strings.HasPrefix(s, begin)
	}
	for _, d := range since026() {
		if d.in != "" && d.in != who || d.request != "" && !like(request, d.request) {
			continue
		}
		if like(what, d.what) || strings.HasPrefix(d.what, ".") && strings.HasSuffix(what, d.what) {
			p.used[d] = true
			return true
		}
	}
	return false
}

// ask asks what 0.26.2 was asked.
func (p *replayed026) ask(r *rig, addr, who string, c captured) {
	r.t.Helper()
	resp, body := r.get(addr, c.request)
	if resp.StatusCode != c.status {
		if !p.allowed(who, c.request, "status") {
			r.t.Errorf("%s: status %d, 0.26.2 answered %d", c.request, resp.StatusCode, c.status)
		}
		return
	}
	if c.body == nil || c.header.Get("Content-Type") != "application/json" {
		return
	}
	p.answers++
	ours, known := forms(r.t, body), forms(r.t, c.body)
	p.values += len(known)
	for _, path := range slices.Sorted(maps.Keys(known)) {
		for _, form := range known[path] {
			if !slices.Contains(ours[path], form) && !p.allowed(who, c.request, path+" "+form) {
				r.t.Errorf("%s: %s is %s in 0.26.2, here %v", c.request, path, form, ours[path])
			}
		}
	}
}
