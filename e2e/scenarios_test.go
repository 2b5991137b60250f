//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/scenarios/report"
)

// TestScenarios runs the built-in scenarios one after the other on one lab, and
// reads the reports that they leave. failover is in TestFromCreateToDestroy.
// They have the proxy in Go, as where no HAProxy is installed; TestRealHAProxy has
// those that are about the load balancer with a real one.
func TestScenarios(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Write("lab.yaml", withoutHAProxy)
	l.Create("--fast")
	for _, c := range []builtinRun{
		{"failover-crash", []string{"baseline", "victim", "refused", "inactive", "lost", "replaced", "serving", "agents", "whole"}, []string{"detect", "back-off", "launch", "LB", "health"}},
		{"scale", []string{"baseline", "instances", "youngest", "instances", "whole"}, []string{"offer", "launch", "LB", "health", "stop", "out"}},
		{"balance", []string{"baseline", "shares", "youngest", "shares", "instances", "shares", "whole"}, []string{"offer", "launch", "stop", "out"}},
		{"rejoin", []string{"baseline", "victim", "silence", "lost", "replaced", "serving", "agents", "steady", "whole"}, []string{"detect", "back-off", "launch"}},
		{"last-slave", []string{"baseline", "victim", "silence", "lost", "outage", "queued", "agents", "replaced", "serving", "whole"}, []string{"detect", "no-slave", "offer", "launch"}},
		{"upgrade", []string{"baseline", "restarted", "release", "whole"}, []string{"launch", "stop"}},
		{"upgrade-zero-downtime", []string{"baseline", "swap", "drained", "seamless", "release", "whole"}, []string{"launch", "stop"}},
		{"discovery", []string{"baseline", "restarted", "moved", "whole"}, []string{"launch", "stop"}},
		{"bad-deploy", []string{"baseline", "errors", "stuck", "release", "whole"}, []string{"launch"}},
		{"bad-deploy-checked", []string{"baseline", "spared", "stuck", "release", "restored", "whole"}, []string{"launch"}},
		{"crash", []string{"baseline", "crashing", "outage", "release", "whole"}, []string{"launch"}},
		{"zombie", []string{"baseline", "restarted", "unhealthy", "errors", "release", "whole"}, []string{"launch", "stop"}},
		{"bad-label", []string{"baseline", "ignored", "instances", "whole"}, []string{"launch"}},
		{"placement", []string{"baseline", "placed", "victim", "silence", "lost", "blocked", "agents", "replaced", "serving", "whole"}, []string{"detect"}},
		{"crowded", []string{"baseline", "victim", "silence", "lost", "crowded", "agents", "instances", "whole"}, []string{"detect"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.passes(t, l.In(t)) })
	}
	scenariosInside(t, l)
	l.Must("destroy")
	l.MustBeGone()
}

// withoutHAProxy is a lab.yaml.
const withoutHAProxy = "marathon-lb: {args: [--haproxy, never]}\n"

// builtinRun is what a run of a built-in scenario has to show.
type builtinRun struct {
	name     string
	criteria []string
	phases   []string // that have to be there
}

func (c builtinRun) passes(t *testing.T, l *rig.Lab) {
	t.Helper()
	ranAsTold(t, l, c.name, c.criteria, c.phases)
}

// ranAsTold runs a scenario until it passes, and reads what it says: exactly
// these criteria, at least these phases. The lab is as before afterwards.
func ranAsTold(t *testing.T, l *rig.Lab, name string, wantCriteria, wantPhases []string) *scenarios.Result {
	t.Helper()
	dir := filepath.Join(l.Work, "report-"+filepath.Base(name))
	res := mustPass(t, l, name, "--report", dir)
	var criteria, phases []string
	for _, k := range res.Criteria {
		criteria = append(criteria, k.Name)
		if k.State != scenarios.Held || k.Detail == "" {
			t.Errorf("PASS with %+v", k)
		}
	}
	if !slices.Equal(criteria, wantCriteria) {
		t.Errorf("criteria %v, want %v", criteria, wantCriteria)
	}
	for _, p := range res.Phases {
		phases = append(phases, p.Name)
	}
	for _, p := range wantPhases {
		if !slices.Contains(phases, p) {
			t.Errorf("no phase %s: %v", p, phases)
		}
	}
	reported(t, dir, res)
	if s := l.AwaitWhole(); len(s.Faults) != 0 || s.Marathon.Apps[0].Instances != 2 || len(s.Marathon.Apps) != 1 {
		t.Errorf("the lab is not as before: %+v", s)
	}
	return res
}

// reported reads the three files of a report.
func reported(t *testing.T, dir string, res *scenarios.Result) {
	t.Helper()
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if rec.Result.Verdict != res.Verdict || rec.Fault == nil || len(rec.Faults) == 0 || len(rec.Machines) != 3 || len(rec.Tasks) < 2 || len(rec.Events) < 10 {
		t.Errorf("recording: %s, fault %v, %d faults, %d machines, %d tasks, %d events", rec.Result.Verdict, rec.Fault, len(rec.Faults), len(rec.Machines), len(rec.Tasks), len(rec.Events))
	}
	if got := len(rec.Requests); got < res.Traffic.Done { // some were on their way when the result was taken
		t.Errorf("%d requests recorded, %d counted", got, res.Traffic.Done)
	}
	for _, f := range rec.Faults {
		if len(f.Nodes) > 0 && (f.Until == nil || *f.Until <= f.At || f.InForce < f.At) {
			t.Errorf("a fault without an end: %+v", f)
		}
	}
	for name, words := range map[string][]string{
		report.PageFile:  {"<!DOCTYPE html>", `<div class="verdict pass">PASS</div>`, "<svg", res.Criteria[0].Detail, "</html>"},
		report.JUnitFile: {`<testsuite name="` + res.Scenario + `"`, `failures="0" errors="0"`, "verdict"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		for _, w := range words {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s lacks %q", name, w)
			}
		}
	}
}
