package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// mutantsInside are those of the scenarios that look into machines.
var mutantsInside = []mutant{
	{"partition", "placebo", sabotage{}, Inconclusive, "silence"},
	{"partition", "the cut stops the tasks", sabotage{insideSabotage: insideSabotage{stopsInside: true}}, Inconclusive, "overlap"},
	{"partition", "somebody else has the old port", sabotage{insideSabotage: insideSabotage{usurped: true}}, Fail, "overlap"},
	{"partition", "what answers is no container", sabotage{insideSabotage: insideSabotage{secretly: true}}, Inconclusive, "overlap"},
	{"partition", "what was given up goes on for ever", sabotage{insideSabotage: insideSabotage{keepsOrphans: true}}, Fail, "whole"},
	{"partition", "never lost", sabotage{lossAfter: time.Hour}, Inconclusive, "lost"},
	{"partition", "lost before the law", sabotage{lossAfter: 2 * time.Second}, Fail, "lost"},
	{"partition", "restarted on the other side", sabotage{sameNode: true}, Fail, "replaced"},
	{"partition", "load balancer frozen", sabotage{blindBalancer: true}, Inconclusive, "serving"},
	{"partition", "the slave never returns", sabotage{rejoinsNever: true}, Inconclusive, "agents"},

	{"stateful", "placebo", sabotage{}, Inconclusive, "silence"},
	{"stateful", "it counts nothing", sabotage{insideSabotage: insideSabotage{countsNothing: true}}, Inconclusive, "counted"},
	{"stateful", "all slaves have one disk", sabotage{insideSabotage: insideSabotage{shared: true}}, Fail, "forgotten"},
	{"stateful", "the old file loses a number", sabotage{insideSabotage: insideSabotage{shrinks: true}}, Fail, "forgotten"},
	{"stateful", "the old file is erased", sabotage{insideSabotage: insideSabotage{losesFile: true}}, Inconclusive, "forgotten"},
	{"stateful", "the number is lost in the restart", sabotage{insideSabotage: insideSabotage{unpins: true}}, Fail, "remembered"},
	{"stateful", "the number is lost with the power", sabotage{insideSabotage: insideSabotage{wipes: true}}, Fail, "remembered"},
	{"stateful", "constraints mean nothing", sabotage{anywhere: true}, Fail, "remembered"},
	{"stateful", "a constraint ends with its slave", sabotage{insideSabotage: insideSabotage{loosens: true}}, Inconclusive, "outage or blocked"},
	{"stateful", "Marathon forgets what it owes", sabotage{emptyQueue: true}, Inconclusive, "blocked"},
	{"stateful", "one container too many", sabotage{insideSabotage: insideSabotage{strays: true}}, Fail, "whole"},
	{"stateful", "restarted on the dead machine", sabotage{sameNode: true}, Fail, "replaced"},
	{"stateful", "load balancer frozen", sabotage{blindBalancer: true}, Inconclusive, "serving"},
	{"stateful", "somebody answers though nobody is left", sabotage{keepsServing: true}, Inconclusive, "outage"},
	{"stateful", "lost before the law", sabotage{lossAfter: 2 * time.Second}, Fail, "lost"},
	{"stateful", "the slave never returns", sabotage{rejoinsNever: true}, Inconclusive, "agents"},

	{"chaos", "placebo", sabotage{}, Inconclusive, "chaos"},
	{"chaos", "Docker daemons go on", sabotage{insideSabotage: insideSabotage{harmless: true}}, Inconclusive, "chaos"},
	{"chaos", "tasks that are killed live", sabotage{insideSabotage: insideSabotage{undying: true}}, Inconclusive, "chaos"},
	{"chaos", "slaves never return", sabotage{rejoinsNever: true}, Inconclusive, "chaos"},
	{"chaos", "one container too many", sabotage{surplus: true}, Fail, "whole"},
	{"chaos", "what was given up goes on for ever", sabotage{insideSabotage: insideSabotage{keepsOrphans: true}}, Fail, "whole"},
	{"chaos", "a slave loses its master in the end", sabotage{insideSabotage: insideSabotage{fades: true}}, Inconclusive, "agents"},
	{"chaos", "load balancer frozen", sabotage{blindBalancer: true}, Inconclusive, "instances"},

	{"patience", "placebo", sabotage{}, Inconclusive, "silence"},
	{"patience", "impatient", sabotage{lossAfter: 30 * time.Second}, Fail, "steady"},
	{"patience", "lost before the law", sabotage{lossAfter: 70 * time.Second}, Fail, "lost"},
	{"patience", "lost after the law", sabotage{lossAfter: 93 * time.Second}, Fail, "lost"},
	{"patience", "never lost", sabotage{lossAfter: time.Hour}, Inconclusive, "lost"},
	{"patience", "restarted on the dead machine", sabotage{sameNode: true}, Fail, "replaced"},
	{"patience", "load balancer frozen", sabotage{blindBalancer: true}, Inconclusive, "serving"},
	{"patience", "the slave never returns", sabotage{rejoinsNever: true}, Inconclusive, "agents"},
	{"patience", "one container too many", sabotage{surplus: true}, Fail, "whole"},
}

// TestLegs: what a second victim is about is told apart from the first.
func TestLegs(t *testing.T) {
	res, err := run1(t, builtinScenario(t, "stateful"), Options{}, sabotage{})
	if err != nil {
		t.Fatalf("%v\n%+v", err, res)
	}
	var detect []Phase
	for _, p := range res.Phases {
		if p.Name == phaseDetect {
			detect = append(detect, p)
		}
	}
	if len(detect) != 2 || detect[0].From > 0.1 || detect[1].From < 10 || detect[1].Seconds < 6.9 || detect[1].Seconds > 7.2 {
		t.Errorf("phases %+v: want two of detection, 7 s each", res.Phases)
	}
	var lost []string
	for _, c := range res.Criteria {
		if c.Name == "lost" {
			lost = append(lost, c.Detail)
		}
	}
	if len(lost) != 2 || strings.HasPrefix(lost[1], strings.Fields(lost[0])[0]+" ") {
		t.Errorf("lost %q: want two different tasks", lost)
	}
}

// TestScheduleIsTheSeeds: a chaos can be done again.
func TestScheduleIsTheSeeds(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPlatform(t, labtest.NewNetwork(), sabotage{})
		all := func(Fault) bool { return true }
		draw := func(seed uint64, n int, can func(Fault) bool) string {
			strikes, err := schedule(seed, n, "nginx", p.Machines(), 3*time.Second, can)
			if err != nil {
				t.Fatal(err)
			}
			hit := map[Part]int{}
			for _, s := range strikes {
				hit[s.part]++
				if s.keep < 0 || s.keep > 3*time.Second || s.rest < 0 || s.rest >= longestRest {
					t.Errorf("%s: %+v", s, s)
				}
				v := faultVerb(s.kind)
				a, err := v.parse(s.words)
				if err == nil {
					err = v.sane(a, &knowledge{})
				}
				if err != nil {
					t.Errorf("%s is no line of a script: %v", s, err)
				}
			}
			if len(strikes) != n || len(hit) != len(Parts()) {
				t.Errorf("seed %d: %d faults on %v", seed, len(strikes), hit)
			}
			return fmt.Sprint(strikes)
		}
		for seed := range uint64(50) {
			if a, b := draw(seed, 5, all), draw(seed, 5, all); a != b {
				t.Errorf("seed %d gives %s and %s", seed, a, b)
			}
		}
		if a, b := draw(1, 200, all), draw(2, 200, all); a == b {
			t.Error("two seeds give the same")
		}
		few := func(f Fault) bool { return f.Verb != "pause" && f.Verb != "crash" }
		if text := draw(3, 200, few); strings.Contains(text, "pause") || strings.Contains(text, "crash") {
			t.Errorf("does what the lab cannot: %s", text)
		}
		if _, err := schedule(1, 5, "nginx", p.Machines(), 0, func(f Fault) bool { return f.Part != PartNetwork }); !errors.Is(err, lab.ErrUsage) {
			t.Errorf("a kind of victim that the lab cannot break: %v", err)
		}
	})
}

// TestSameSeedSameFaults runs one twice.
func TestSameSeedSameFaults(t *testing.T) {
	var runs [][]string
	for range 2 {
		bubble.Test(t, func(t *testing.T) {
			n := labtest.NewNetwork()
			p := newPlatform(t, n, sabotage{})
			res, err := Run(t.Context(), p, p, builtinScenario(t, "chaos"), Options{Dial: n.Host("10.0.0.9").Dial})
			if err != nil {
				t.Fatalf("%v, %+v", err, res)
			}
			runs = append(runs, p.did)
		})
	}
	if !slices.Equal(runs[0], runs[1]) || len(runs[0]) < 10 {
		t.Errorf("did %q and %q", runs[0], runs[1])
	}
}

// TestChaosTakesAnother: a task that ends while it is aimed at is no effect of
// the fault, and no end of the chaos.
func TestChaosTakesAnother(t *testing.T) {
	res, err := run1(t, builtinScenario(t, "chaos"), Options{}, sabotage{insideSabotage: insideSabotage{fleeting: true}})
	if err != nil || res.Verdict != Pass {
		t.Fatalf("%v, %+v", err, res)
	}
	if n := len(res.Recording.Faults); n != 10 {
		t.Errorf("%d faults are recorded, 10 were done", n)
	}
}

// TestNeedsOfSettings: a scenario about settings is not run on others.
func TestNeedsOfSettings(t *testing.T) {
	for needs, want := range map[string]string{
		"pings 15s x 5": "this lab has 2s x 3 (lab create --patient changes that)",
		"pings 4s x 2":  "mesos: {slave_ping_timeout: 4s, max_slave_ping_timeouts: 2} in lab.yaml",
		"pings 2s x 3":  "",
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPlatform(t, labtest.NewNetwork(), sabotage{})
			err := Possible(t.Context(), p, p, Parse("mine.txt", "# x\n# needs: "+needs+"\nsay hello\n"))
			if want == "" && err != nil || want != "" && (!errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v", needs, err)
			}
		})
	}
	for needs, ok := range map[string]bool{"pings 15s x 5": true, "pings 15 x 5": false, "pings 15s": false, "pings 15s × 5": false, "pings 0s x 5": false, "pings 15s x 0": false} {
		if err := checkNeed(needs); (err == nil) != ok {
			t.Errorf("%s: %v", needs, err)
		}
	}
}

// TestChaosNeedsAll: a lab that cannot be cut is not given a chaos without.
func TestChaosNeedsAll(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPlatform(t, labtest.NewNetwork(), sabotage{})
		err := Possible(t.Context(), uncut{p}, p, builtinScenario(t, "chaos"))
		if !errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), "no cuts here") {
			t.Errorf("error %v", err)
		}
		p.modes = nil
		if err := Possible(t.Context(), p, p, builtinScenario(t, "chaos")); !errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), "can break no machine") {
			t.Errorf("error %v", err)
		}
	})
}

// uncut is a lab whose network cannot be cut.
type uncut struct{ *platform }

func (u uncut) Can(ctx context.Context, f Fault) error {
	if f.Verb == "cut" {
		return fmt.Errorf("%w: no cuts here", lab.ErrUsage)
	}
	return u.platform.Can(ctx, f)
}

// TestOwnData: what reset removes is what the apps name.
func TestOwnData(t *testing.T) {
	if got := OwnData(); !slices.Equal(got, []string{"/var/lib/lab-counter"}) {
		t.Errorf("%q", got)
	}
}

// TestCounterFile finds where an app counts.
func TestCounterFile(t *testing.T) {
	for doc, want := range map[string]string{
		`{"env":{"LAB_WEB_COUNTER":"/data/count"},"container":{"volumes":[{"containerPath":"/data","hostPath":"/var/lib/lab-counter"}]}}`:                      "/var/lib/lab-counter/count",
		`{"env":{"LAB_WEB_COUNTER":"/data/a/b"},"container":{"volumes":[{"containerPath":"/x","hostPath":"/y"},{"containerPath":"/data","hostPath":"/srv"}]}}`: "/srv/a/b",
		`{"env":{"LAB_WEB_COUNTER":"/data/count"}}`: "",
		`{"env":{"LAB_WEB_COUNTER":"/database/count"},"container":{"volumes":[{"containerPath":"/data","hostPath":"/x"}]}}`:     "",
		`{"env":{"LAB_WEB_COUNTER":"/data/count"},"container":{"volumes":[{"containerPath":"/data","hostPath":"in/sandbox"}]}}`: "",
		`{"env":{"LAB_WEB_COUNTER":{"secret":"x"}}}`: "",
		`nonsense`: "",
	} {
		if got, ok := counterFile([]byte(doc)); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %t", doc, got, ok)
		}
	}
}
