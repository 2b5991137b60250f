package master

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// difference is something in which this master's answers are not those of
// Mesos 1.3.2, and why. Request is one as the captures' INDEX names it, or a
// beginning of one that ends in "…". What is the status line's part that
// differs ("Content-Type", "status", "text"), or the path of a key.
// In names the only situations in which it may differ, none for all.
type difference struct{ request, what, why, in string }

// differences are all of them.
func differences() []difference {
	const (
		insides = "it measures the insides of libprocess, of the replicated log or of the C++ allocator, of which there are none here"
		ours    = "--compat is this master's own flag"
		// The running totals of 1.3.2 know the equal port ranges of two agents
		// as one, and lose it when one of the two offers is taken back.
		setOfPorts = "what is offered is added up anew for each answer, so that no port is lost when one of two offers is taken back"
		fast       = "loss-fast-agent1-dead-before-timeout"
		brought    = "a returning agent brings along which update it sent last, so that a reconciliation says what the scheduler heard"
		back       = "loss-default-agent1-back loss-fast-agent1-back restart-recovered agent2-sigusr1 loss-fast-agent1-sigcont"
		stopped    = "loss-fast-agent1-sigstop loss-fast-agent1-sigcont"
		utf8       = "the page is this master's own, and says in which encoding it is"
	)
	return []difference{
		{request: "/", what: "Content-Type", why: utf8},
		{request: "/help", what: "Content-Type", why: utf8},
		{request: "/", what: "text", why: "the page is this master's own"},
		{request: "/help/master", what: "Content-Type", why: utf8},
		{request: "/help/master", what: "text", why: "the page is this master's own"},
		{request: "/help", what: "text", why: "the page is this master's own"},
		{request: "/__processes__", what: "status", why: "it lists libprocess's actors, of which there are none here"},
		{request: "/flags", what: "$.flags.compat", why: ours},
		{request: "/master/flags", what: "$.flags.compat", why: ours},
		{request: "/state…", what: "$.flags.compat", why: ours},
		{request: "/master/state…", what: "$.flags.compat", why: ours},
		{request: "/metrics/snapshot", what: "registrar/state_", why: insides},
		{request: "/metrics/snapshot", what: "registrar/registry_size_bytes", why: insides},
		{request: "/metrics/snapshot", what: "allocator/event_queue_dispatches", why: insides},
		{request: "/metrics/snapshot", what: "allocator/mesos/allocation_run_ms/", why: insides},
		{request: "/metrics/snapshot", what: "allocator/mesos/offer_filters/", why: "the number of filters is not published"},
		{request: "/metrics/snapshot", what: "allocator/mesos/roles/", why: "shares are not published"},
		{request: "/metrics/snapshot", what: "frameworks/", why: "there are no principals, so nothing is counted by them"},
		{request: "/metrics/snapshot", what: "master/task_", why: "tasks are counted by state, not also by source and reason"},
		{request: "/registrar(1)/registry", what: "$.slaves.slaves[].info.checkpoint", why: "v1's AgentInfo has no such key: all agents checkpoint"},
		{request: "/registrar(1)/registry", what: "$.unreachable", why: "unreachable agents are told by /state"},
		{request: "/metrics/snapshot", what: "master/slaves_unreachable", why: "one more than 1.3.2 has; scripts for later ones poll it (contracts 6.4)"},
		{request: "/frameworks", what: "$.frameworks[].offered_resources.ports", why: setOfPorts, in: fast},
		{request: "/frameworks", what: "$.frameworks[].resources.ports", why: setOfPorts, in: fast},
		{request: "/master/frameworks", what: "$.frameworks[].offered_resources.ports", why: setOfPorts, in: fast},
		{request: "/master/frameworks", what: "$.frameworks[].resources.ports", why: setOfPorts, in: fast},
		{request: "/roles…", what: "$.roles[].resources.ports", why: setOfPorts, in: fast},
		{request: "/master/roles", what: "$.roles[].resources.ports", why: setOfPorts, in: fast},
		{request: "/state…", what: "$.frameworks[].offered_resources.ports", why: setOfPorts, in: fast},
		{request: "/state…", what: "$.frameworks[].resources.ports", why: setOfPorts, in: fast},
		{request: "/master/state…", what: "$.frameworks[].offered_resources.ports", why: setOfPorts, in: fast},
		{request: "/master/state…", what: "$.frameworks[].resources.ports", why: setOfPorts, in: fast},
		{request: "POST /api/v1 GET_FRAMEWORKS", what: "$.get_frameworks.frameworks[].offered_resources", why: setOfPorts, in: fast},
		{request: "POST /api/v1 GET_ROLES", what: "$.get_roles.roles[].resources", why: setOfPorts, in: fast},
		{request: "POST /api/v1 GET_STATE", what: "$.get_state.get_frameworks.frameworks[].offered_resources", why: setOfPorts, in: fast},
		{request: "POST /api/v1 GET_TASKS", what: "$.get_tasks.tasks[].status_update_state", why: brought, in: back},
		{request: "POST /api/v1 GET_TASKS", what: "$.get_tasks.tasks[].status_update_uuid", why: brought, in: back},
		{request: "POST /api/v1 GET_STATE", what: "$.get_state.get_tasks.tasks[].status_update_state", why: brought, in: back},
		{request: "POST /api/v1 GET_STATE", what: "$.get_state.get_tasks.tasks[].status_update_uuid", why: brought, in: back},
		{request: "POST /api/v1 GET_TASKS", what: "$.get_tasks.unreachable_tasks[].status_update_state", why: brought, in: stopped},
		{request: "POST /api/v1 GET_TASKS", what: "$.get_tasks.unreachable_tasks[].status_update_uuid", why: brought, in: stopped},
		{request: "POST /api/v1 GET_STATE", what: "$.get_state.get_tasks.unreachable_tasks[].status_update_state", why: brought, in: stopped},
		{request: "POST /api/v1 GET_STATE", what: "$.get_state.get_tasks.unreachable_tasks[].status_update_uuid", why: brought, in: stopped},
		{request: "/tasks?limit=1&offset=0&order=asc", what: "Location", why: "the order of a query's parts is that of the request, not of a hash table"},
	}
}

// captured is one request of a capture and what was answered.
type captured struct {
	request string // "/state", "POST /api/v1 GET_STATE"
	status  int
	header  http.Header
	body    []byte // nil: not kept
}

// captures reads what was asked of who ("master", "leader", …) in a situation.
func captures(t *testing.T, version, situation, who string) []captured {
	t.Helper()
	dir := filepath.Join(labtest.Contracts(t), "captures-mesos")
	tag := version + "-" + situation + "-" + who
	index, err := os.ReadFile(filepath.Join(dir, version, situation, tag+"-INDEX.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same := aliases(t, dir, tag)
	var list []captured
	for line := range strings.Lines(string(index)) {
		request, answer, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, who+" ")), " -> ")
		if !ok {
			t.Fatalf("%s: cannot read %q", tag, line)
		}
		c := captured{request: request, header: http.Header{}}
		for i, part := range strings.Split(answer, " | ") {
			if i == 0 {
				fmt.Sscanf(part, "HTTP %d", &c.status)
			} else if k, v, ok := strings.Cut(part, ": "); ok {
				c.header.Set(k, v)
			}
		}
		for _, name := range fileNames(request) {
			if c.body == nil {
				c.body = capturedBody(filepath.Join(dir, version, situation, tag+"-"), name, same)
			}
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		t.Fatalf("%s: nothing was captured", tag)
	}
	return list
}

// fileName is what the captures make of a request.
func fileName(request string) string {
	if call, ok := strings.CutPrefix(request, "POST /api/v1 "); ok {
		return "api_v1-" + call
	}
	if request == "/" {
		return "root"
	}
	return strings.NewReplacer("/", "_", "?", "-", "=", "-", "&", "-").Replace(strings.TrimPrefix(request, "/"))
}

// fileNames are the names under which the answer may lie: what several paths
// answered alike was kept once, without the file saying so in every case.
func fileNames(request string) []string {
	name := strings.TrimSuffix(strings.TrimPrefix(fileName(request), "master_"), ".json")
	return []string{fileName(request), name, "master_" + name, name + ".json", "master_" + name + ".json"}
}

// aliases maps the names of files that were stored once, under another name.
func aliases(t *testing.T, dir, tag string) map[string]string {
	b, err := os.ReadFile(filepath.Join(dir, "ALIASES.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same := map[string]string{}
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), tag+": ")
		kept, dropped, ok2 := strings.Cut(rest, " == ")
		if !ok || !ok2 {
			continue
		}
		for name := range strings.SplitSeq(dropped, ", ") {
			same[name] = kept
		}
	}
	return same
}

func capturedBody(prefix, name string, same map[string]string) []byte {
	for _, ext := range []string{".json", ".txt"} {
		file := name + ext
		for range 3 { // aliases of aliases
			b, err := os.ReadFile(prefix + file)
			if err == nil {
				if _, body, ok := bytes.Cut(b, []byte("\n\n")); ok && bytes.HasPrefix(b, []byte("HTTP ")) {
					b = body
				}
				return b
			}
			if same[file] == "" {
				break
			}
			file = same[file]
		}
	}
	return nil
}

// replay asks a master everything that the real one was asked, and compares.
type replay struct {
	*rig
	situation string
	used      map[difference]bool
	bodies    int // compared
	lost      int // not found
}

func (p *replay) allowed(request, what string) bool {
	for _, d := range differences() {
		if d.in != "" && !slices.Contains(strings.Fields(d.in), p.situation) {
			continue
		}
		begin, more := strings.CutSuffix(d.request, "…")
		if d.what == what && (d.request == request || more && strings.HasPrefix(request, begin)) {
			p.used[d] = true
			return true
		}
	}
	return false
}

// drops are the keys in which the answers to a request differ.
func (p *replay) drops(request string) map[string]bool {
	m := map[string]bool{}
	for _, d := range differences() {
		if p.allowed(request, d.what) {
			m[d.what] = true
		}
	}
	return m
}

var hostPortPattern = regexp.MustCompile(`//[0-9.]+:[0-9]+`)

func (p *replay) ask(addr string, c captured) {
	p.t.Helper()
	name := p.situation + " " + c.request
	resp, body := p.request(addr, c.request)
	if resp.StatusCode != c.status && !p.allowed(c.request, "status") {
		p.t.Errorf("%s: status %d, the real one answered %d", name, resp.StatusCode, c.status)
	}
	if resp.StatusCode != c.status {
		return
	}
	for _, h := range []string{"Content-Type", "Location", "Allow"} {
		real := hostPortPattern.ReplaceAllString(c.header.Get(h), "//host")
		got := hostPortPattern.ReplaceAllString(resp.Header.Get(h), "//host")
		if real != got && !p.allowed(c.request, h) {
			p.t.Errorf("%s: %s %q, the real one sent %q", name, h, got, real)
		}
	}
	switch {
	case c.body == nil && slices.Contains([]string{"/", "/help", "/version", "/flags", "/master/flags", "/system/stats.json"}, c.request):
		// The same in all situations: compared where it was kept.
	case c.body == nil && c.header.Get("Content-Length") != "0" && c.header.Get("Content-Length") != "2":
		p.lost++ // captures keep what situations have in common once, and do not tell where
	case c.body == nil:
	case c.request == "/metrics/snapshot":
		p.compareMetrics(c.body, body)
	case c.header.Get("Content-Type") == "application/json":
		p.bodies++
		drops := p.drops(c.request)
		if d := cmp.Diff(shapeWithout(p.t, c.body, drops), shapeWithout(p.t, body, drops)); d != "" {
			p.t.Errorf("%s (-real +ours):\n%s", name, d)
		}
	default:
		if strings.TrimSpace(string(c.body)) != strings.TrimSpace(string(body)) && !p.allowed(c.request, "text") {
			p.t.Errorf("%s: %q, the real one answered %q", name, body, c.body)
		}
	}
}

// request makes a request as the captures name it.
func (p *replay) request(addr, request string) (*http.Response, []byte) {
	p.t.Helper()
	method, path, body := "GET", request, ""
	if call, ok := strings.CutPrefix(request, "POST /api/v1 "); ok {
		method, path, body = "POST", "/api/v1", `{"type":"`+call+`"}`
	}
	resp, text := p.at(addr, method, path, body, nil)
	return resp, []byte(text)
}

// compareMetrics compares names: the order is a hash table's.
func (p *replay) compareMetrics(real, ours []byte) {
	p.t.Helper()
	var r, o map[string]float64
	if err := json.Unmarshal(real, &r); err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(ours, &o); err != nil {
		p.t.Fatal(err)
	}
	known := func(name string) bool {
		return slices.ContainsFunc(differences(), func(d difference) bool {
			return d.request == "/metrics/snapshot" && strings.HasPrefix(name, d.what) && p.allowed(d.request, d.what)
		})
	}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if _, ok := o[name]; !ok && !known(name) {
			p.t.Errorf("%s: the metric %s is missing", p.situation, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if _, ok := r[name]; !ok && !known(name) {
			p.t.Errorf("%s: the real one has no metric %s", p.situation, name)
		}
	}
}

// TestReplay brings a master into each situation in which a real 1.3.2 was
// captured, asks it the same and compares keys and their order, JSON types,
// status lines and headers. Whatever differs is on the list of differences.
func TestReplay(t *testing.T) {
	labtest.Contracts(t)
	used := map[difference]bool{}
	bodies, lost, ran := 0, 0, 0
	for _, s := range situations() {
		t.Run(s.name+"/"+s.who, func(t *testing.T) {
			ran++
			bubble.Test(t, func(t *testing.T) {
				p := &replay{rig: newRig(t), situation: s.name, used: used}
				addr := s.bring(p.rig)
				for _, c := range captures(t, "1.3.2", s.name, s.who) {
					p.ask(addr, c)
				}
				bodies, lost = bodies+p.bodies, lost+p.lost
			})
		})
	}
	t.Logf("%d bodies compared", bodies)
	if ran < len(situations()) {
		return // some only were asked for: the rest says nothing of the list
	}
	if bodies < 600 || lost > 15 {
		t.Errorf("only %d bodies were compared, %d not found", bodies, lost)
	}
	for _, d := range differences() {
		if !used[d] && !t.Failed() {
			t.Errorf("%s: %s does not differ any more (%s)", d.request, d.what, d.why)
		}
	}
}

// TestSituationsAreAll: no situation with a master in it is left out.
func TestSituationsAreAll(t *testing.T) {
	dir := filepath.Join(labtest.Contracts(t), "captures-mesos", "1.3.2")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*-INDEX.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d captures: %v", len(files), err)
	}
	have := map[string]bool{}
	for _, s := range situations() {
		have["1.3.2-"+s.name+"-"+s.who+"-INDEX.txt"] = true
	}
	for _, f := range files {
		if name := filepath.Base(f); !have[name] && !strings.Contains(name, "-agent1-INDEX") && !strings.Contains(name, "-agent2-INDEX") {
			t.Errorf("%s is not replayed", name)
		}
	}
}
