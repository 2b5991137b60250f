package master

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// capture reads what a real Mesos 1.3.2 master answered in a situation.
func capture(t *testing.T, situation, file string) []byte {
	t.Helper()
	dir := labtest.Contracts(t)
	name := fmt.Sprintf("1.3.2-%s-master-%s.json", situation, file)
	b, err := os.ReadFile(filepath.Join(dir, "captures-mesos", "1.3.2", situation, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shape is a JSON document without its values: for every path the keys in
// their order, and the form of every scalar.
func shape(t *testing.T, doc []byte) []string { return shapeWithout(t, doc, nil) }

// shapeWithout leaves out the keys whose paths are in drop.
func shapeWithout(t *testing.T, doc []byte, drop map[string]bool) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var lines []string
	var walk func(path string)
	walk = func(path string) {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		switch tok := tok.(type) {
		case json.Delim:
			var keys []string
			i := 0
			for d.More() {
				if tok == '{' {
					k, _ := d.Token()
					if drop[path+"."+k.(string)] {
						var skipped json.RawMessage
						d.Decode(&skipped)
						continue
					}
					keys = append(keys, k.(string))
					walk(path + "." + k.(string))
				} else {
					walk(path + "[]")
					i++
				}
			}
			d.Token()
			if tok == '{' {
				lines = append(lines, path+" {"+strings.Join(keys, " ")+"}")
			} else {
				lines = append(lines, fmt.Sprintf("%s list, empty=%v", path, i == 0))
			}
		case json.Number:
			form := "integer"
			if strings.ContainsAny(tok.String(), ".e") {
				form = "double"
			}
			lines = append(lines, path+" "+form)
		default:
			lines = append(lines, fmt.Sprintf("%s %T", path, tok))
		}
	}
	walk("$")
	slices.Sort(lines)
	return slices.Compact(lines)
}

// without drops paths that a test cannot or need not bring about.
func without(lines []string, prefixes ...string) []string {
	return slices.DeleteFunc(lines, func(l string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(l, p) })
	})
}

// TestContract brings the master into the situations of the captures and
// compares every classic endpoint: keys, their order, number formats.
func TestContract(t *testing.T) {
	files := map[string]string{
		"/state": "master_state", "/slaves": "master_slaves", "/frameworks": "master_frameworks",
		"/tasks": "master_tasks", "/state-summary": "master_state-summary", "/roles": "master_roles",
		"/version": "version", "/weights": "weights", "/quota": "quota",
	}
	compare := func(t *testing.T, r *rig, situation string) {
		t.Helper()
		for path, file := range files {
			real := capture(t, situation, file)
			resp, body := r.get(masterAddr, path)
			if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("%s: Content-Type %s", path, ct)
			}
			// Our flags are not the same set: --compat is ours, the run's
			// command line its own.
			skip := []string{"$.flags"}
			if d := cmp.Diff(without(shape(t, real), skip...), without(shape(t, body), skip...)); d != "" {
				t.Errorf("%s %s (-real +ours):\n%s", situation, path, d)
			}
		}
	}
	info := func() *mesos.FrameworkInfo {
		f := framework("capA")
		role, principal, host, web := "*", "probe", "sched.lab", "http://sched.lab:8080"
		f.Role, f.Principal, f.Hostname, f.WebUiURL = &role, &principal, &host, &web
		return f
	}
	bubble.Test(t, func(t *testing.T) {
		capture(t, "empty", "version") // skips if there are none
		r := newRig(t)
		r.master(masterIP, nil, "--cluster=labcap", "--compat=1.3")
		a := r.agent("10.0.0.2")
		r.agent("10.0.0.3")
		compare(t, r, "agents-idle")

		s := r.scheduler(info())
		offers := s.offers()
		compare(t, r, "framework-offers-outstanding")

		run := task("t-run", a.agentID(), 0.5, 64)
		web := "web"
		run.Labels = &mesos.Labels{Labels: []mesos.Label{{Key: "app", Value: &web}}}
		s.call(launch(offers[a.agentID()], time.Second, run))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		compare(t, r, "task-running")

		s.call(calls.Kill("t-run", ""))
		s.new() // acknowledged
		s.stop()
		<-s.done
		synctest.Wait()
		st := r.state()
		if len(st.Frameworks) != 1 || st.Frameworks[0].Active {
			t.Errorf("disconnected framework: %+v", st.Frameworks)
		}
	})
}

func TestContractEmpty(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		real := capture(t, "empty", "master_state")
		r := newRig(t)
		r.master(masterIP, nil, "--cluster=labcap", "--compat=1.3")
		_, body := r.get(masterAddr, "/state.json")
		if d := cmp.Diff(without(shape(t, real), "$.flags"), without(shape(t, body), "$.flags")); d != "" {
			t.Errorf("(-real +ours):\n%s", d)
		}
	})
}

// TestContractFlags: every flag the real master shows by default is shown,
// with the same default.
func TestContractFlags(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var real, ours struct{ Flags map[string]string }
		if err := json.Unmarshal(capture(t, "task-running", "master_flags"), &real); err != nil {
			t.Fatal(err)
		}
		r := newRig(t)
		r.master(masterIP, nil, "--cluster=labcap", "--registry=replicated_log", "--work_dir=/w", "--logbufsecs=0")
		_, body := r.get(masterAddr, "/master/flags")
		if err := json.Unmarshal(body, &ours); err != nil {
			t.Fatal(err)
		}
		for name, want := range real.Flags {
			got, ok := ours.Flags[name]
			switch {
			case !ok:
				t.Errorf("%s is not shown", name)
			case got != want && name != "ip" && name != "work_dir" && name != "webui_dir":
				t.Errorf("%s = %s, the real one shows %s", name, got, want)
			}
		}
	})
}

// TestContractMetrics: the real master's metrics are all there, but those
// that time its insides or look at the computer.
func TestContractMetrics(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var real, ours map[string]float64
		if err := json.Unmarshal(capture(t, "task-running", "metrics_snapshot"), &real); err != nil {
			t.Fatal(err)
		}
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.0.2")
		r.agent("10.0.0.3")
		s := r.scheduler(framework("f"))
		offers := s.offers()
		s.call(launch(offers[a.agentID()], 0, task("t", a.agentID(), 0.5, 64)))
		time.Sleep(3 * time.Second)
		_, body := r.get(masterAddr, "/metrics/snapshot")
		if err := json.Unmarshal(body, &ours); err != nil {
			t.Fatal(err)
		}
		for name, want := range real {
			got, ok := ours[name]
			if !ok && !strings.Contains(name, "_ms") && !strings.HasPrefix(name, "system/") &&
				!strings.HasPrefix(name, "allocator/") && !strings.HasPrefix(name, "frameworks/") && name != "registrar/registry_size_bytes" {
				t.Errorf("%s is missing", name)
			}
			if strings.HasPrefix(name, "master/") && name != "master/uptime_secs" && name != "master/messages_decline_offers" &&
				name != "master/messages_update_slave" && got != want {
				t.Errorf("%s = %v, the real one says %v", name, got, want)
			}
		}
	})
}

func TestWireFormat(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		r.agent("10.0.0.2")
		_, body := r.get(masterAddr, "/state.json")
		for _, part := range []string{`"activated_slaves":1.0,`, `"deactivated_slaves":0.0,`, `"cpus":4.0,"ports":"[31000-31099]"}`,
			`"webui_dir":"\/usr`, `"pid":"master@10.0.0.1:5050"`} {
			if !bytes.Contains(body, []byte(part)) {
				t.Errorf("no %s in %s", part, body)
			}
		}
		resp, body := r.get(masterAddr, "/state?jsonp=cb")
		if !bytes.HasPrefix(body, []byte("cb({")) || !bytes.HasSuffix(body, []byte("});")) || resp.Header.Get("Content-Type") != "text/javascript" {
			t.Errorf("jsonp: %.20s… %s", body, resp.Header.Get("Content-Type"))
		}
		if resp, body := r.get(masterAddr, "/state?jsonp=alert(1)//"); resp.StatusCode != 400 {
			t.Errorf("jsonp with code: %d %.40s", resp.StatusCode, body)
		}
	})
}
