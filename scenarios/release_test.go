package scenarios

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// releaseMutants are for the scenarios of releases what mutants are for all.
var releaseMutants = []mutant{
	{"upgrade-zero-downtime", "placebo", sabotage{}, Inconclusive, "swap"},
	{"upgrade-zero-downtime", "the load balancer drains nobody", sabotage{releaseSabotage: releaseSabotage{ignoresGroups: true}}, Inconclusive, "swap"},
	{"upgrade-zero-downtime", "it sends requests to those that it drains", sabotage{releaseSabotage: releaseSabotage{leaky: true}}, Inconclusive, "swap"},
	{"upgrade-zero-downtime", "it claims that nothing is under way", sabotage{releaseSabotage: releaseSabotage{claimsIdle: true}}, Inconclusive, "drained"},
	{"upgrade-zero-downtime", "it tells the upgrade too early that nothing is under way", sabotage{releaseSabotage: releaseSabotage{premature: true}}, Fail, "drained"},
	{"upgrade-zero-downtime", "the old release answers once more", sabotage{releaseSabotage: releaseSabotage{echoes: true}}, Fail, "seamless"},
	{"upgrade-zero-downtime", "one old task lives on", sabotage{releaseSabotage: releaseSabotage{keepsBlue: true}}, Inconclusive, "drained"},
	{"upgrade-zero-downtime", "requests go to the drained, and count as none", sabotage{releaseSabotage: releaseSabotage{leaky: true, claimsIdle: true}}, Fail, "drained"},
	{"upgrade-zero-downtime", "one request gets an error page", sabotage{releaseSabotage: releaseSabotage{drops: true}}, Fail, "seamless"},
	{"upgrade-zero-downtime", "a container of the old app is left", sabotage{releaseSabotage: releaseSabotage{orphan: true}}, Fail, "whole"},

	{"bad-deploy-checked", "placebo", sabotage{}, Inconclusive, "spared"},
	{"bad-deploy-checked", "the flag changes nothing", sabotage{releaseSabotage: releaseSabotage{ignoresFlags: true}}, Fail, "spared"},
	{"bad-deploy-checked", "the deployment ends", sabotage{gullible: true}, Fail, "spared"},
	{"bad-deploy-checked", "the rollback is forgotten", sabotage{forgetsBack: true}, Inconclusive, "release"},
	{"bad-deploy-checked", "the rollback has the old id", sabotage{releaseSabotage: releaseSabotage{sameID: true}}, Fail, "restored"},
	{"bad-deploy-checked", "bad tasks get clients during the rollback", sabotage{releaseSabotage: releaseSabotage{flagsFade: true}}, Fail, "restored"},
	{"bad-deploy-checked", "the rollback forgets something", sabotage{releaseSabotage: releaseSabotage{almostBack: true}}, Inconclusive, "restored"},
}

// TestOlderProcessHasWhatIsUnderWay: a load balancer that is reloaded as HAProxy
// is does not count what its older process answers. The upgrade waits for that
// one's end, and the clients tell what it has answered.
func TestOlderProcessHasWhatIsUnderWay(t *testing.T) {
	res, err := run1(t, builtinScenario(t, "upgrade-zero-downtime"), Options{}, sabotage{releaseSabotage: releaseSabotage{handsOver: true}})
	if err != nil || res.Verdict != Pass {
		t.Fatalf("%v: %+v", err, res)
	}
	if !slices.ContainsFunc(res.Timeline, func(m Moment) bool { return strings.Contains(m.Text, "its older process answers what is under way") }) {
		t.Errorf("the older process is not told of: %+v", res.Timeline)
	}
}

// TestKilledBetweenTwoLooks: a task that is killed right after its last answer
// may be gone before the next look at the load balancer. The clients know that
// they have been answered.
func TestKilledBetweenTwoLooks(t *testing.T) {
	res, err := run1(t, builtinScenario(t, "upgrade-zero-downtime"), Options{}, sabotage{releaseSabotage: releaseSabotage{unseen: true}})
	if err != nil || res.Verdict != Pass {
		t.Fatalf("%v: %+v", err, res)
	}
	if slices.ContainsFunc(res.Timeline, func(m Moment) bool { return strings.Contains(m.Text, "has answered its last request") }) {
		t.Errorf("it was seen, which shows nothing: %+v", res.Timeline)
	}
}

func TestTurnover(t *testing.T) {
	at := time.Unix(1000, 0)
	answer := func(ms int, release, err string) Answer {
		return Answer{Due: at.Add(time.Duration(ms) * time.Millisecond), Latency: time.Second, Release: release, Err: err}
	}
	for name, c := range map[string]struct {
		answers []Answer
		wrong   string // part of it; "" = none
		alone   float64
	}{
		"over in order":       {[]Answer{answer(0, "v1", ""), answer(1100, "v1", ""), answer(1200, "v2", ""), answer(2000, "v2", "")}, "", 2},
		"one failed":          {[]Answer{answer(0, "v1", ""), answer(500, "", "502 Bad Gateway"), answer(2000, "v2", "")}, "a request failed 0.5 s after the change: 502 Bad Gateway", 0},
		"the old one is back": {[]Answer{answer(0, "v1", ""), answer(1000, "v2", ""), answer(2500, "v1", ""), answer(2600, "v2", "")}, "v1 answered 2 s after the change, after v2 had been alone in second 1", 1},
		"a third release":     {[]Answer{answer(0, "v3", "")}, "v3 answered, which is neither", 0},
	} {
		got := turn(c.answers, at, "v1", "v2")
		if !strings.Contains(got.wrong, c.wrong) || c.wrong == "" && got.wrong != "" {
			t.Errorf("%s: wrong %q, want %q", name, got.wrong, c.wrong)
		}
		if c.alone > 0 && got.alone.Sub(at).Seconds() != c.alone {
			t.Errorf("%s: alone from %v, want %v s", name, got.alone.Sub(at), c.alone)
		}
	}
}

// TestColoured holds the labels to what zdd.py writes (contracts 11.5): the
// first is blue on the app's own port, then colours and ports take turns.
func TestColoured(t *testing.T) {
	file, err := loadApp("orders")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 2, 1, 14, 13, 42, 499089000, time.UTC)
	var last *GroupApp
	for i, want := range []struct {
		id        string
		instances int
		service   int
	}{{"orders-blue", 2, 10011}, {"orders-green", 1, 10012}, {"orders-blue", 1, 10011}} {
		app, def, err := coloured(file, last, now)
		if err != nil {
			t.Fatal(err)
		}
		if def.ID != want.id || def.Instances != want.instances || def.Service != want.service || def.Port != 10011 || def.Target != 2 {
			t.Errorf("deployment %d: %+v, want %+v", i+1, def, want)
		}
		for _, text := range []string{`"id":"` + want.id + `"`, `"HAPROXY_0_PORT":"10011"`, `"HAPROXY_APP_ID":"orders"`, `"HAPROXY_DEPLOYMENT_TARGET_INSTANCES":"2"`,
			`"HAPROXY_DEPLOYMENT_STARTED_AT":"2026-02-01T14:13:42.499089"`, `"HAPROXY_DEPLOYMENT_COLOUR":"` + def.Colour + `"`, `"HAPROXY_DEPLOYMENT_ALT_PORT":"10012"`} {
			if !strings.Contains(string(app.JSON), text) {
				t.Errorf("deployment %d lacks %s: %s", i+1, text, app.JSON)
			}
		}
		def.Instances = 2
		last = &def
	}
}

// TestMore is by how much the new app grows: half as many again, then all.
func TestMore(t *testing.T) {
	s := &swap{target: 20}
	for _, c := range []struct{ old, fresh, want int }{{20, 1, 2}, {19, 2, 3}, {18, 3, 5}, {9, 8, 20}, {1, 1, 20}} {
		if got := s.more(GroupApp{Instances: c.old}, GroupApp{Instances: c.fresh}); got != c.want {
			t.Errorf("%d beside %d: %d, want %d", c.fresh, c.old, got, c.want)
		}
	}
}

func TestUpgradeIsChecked(t *testing.T) {
	for script, want := range map[string]string{
		"upgrade orders orders rolling":       `way "rolling" must be one of zero-downtime`,
		"upgrade web orders zero-downtime":    "that is the app orders",
		"upgrade web web zero-downtime":       "label HAPROXY_DEPLOYMENT_GROUP must be web",
		"upgrade slow slow-v2 zero-downtime":  "it must have one port mapping",
		"upgrade orders order zero-downtime":  "no app",
		"upgrade orders orders zero-downtime": "",
	} {
		err := Sound(t.Context(), Parse("mine.txt", "# x\n"+script+"\n"))
		if want == "" && err != nil || want != "" && (!errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for script, want := range map[string]string{
		"flags marathonlb --health-check":                 "did you mean marathon-lb",
		"flags zookeeper --x":                             "must be one of marathon-lb, marathon, mesos_master",
		"flags marathon-lb":                               "which ones?",
		"flags marathon-lb health-check":                  "which ones?",
		"traffic nginx\nflags marathon-lb --health-check": "give it before traffic",
		"flags marathon-lb --health-check":                "",
	} {
		err := Sound(t.Context(), Parse("mine.txt", "# x\n"+script+"\n"))
		if want == "" && err != nil || want != "" && (!errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

// TestFlagsStayUntilTheEnd: what gives them back starts a component anew, which
// would leave a hole in the record.
func TestFlagsStayUntilTheEnd(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		p := newPlatform(t, n, sabotage{})
		var healed, during string
		report := func(e lab.Event) {
			if e.Text == "after heal" {
				during = strings.Join(p.did, "|")
			}
		}
		script := "# x\nflags marathon-lb --health-check\nspread nginx\ntraffic nginx\nbaseline nginx\npause mesos_slave2\nheal\nsay after heal\n"
		_, err := Run(t.Context(), p, p, Parse("mine.txt", script), Options{Dial: n.Host("10.0.0.9").Dial, Report: report})
		if ended(err) {
			t.Fatal(err)
		}
		healed = strings.Join(p.did, "|")
		if want := "flags marathon-lb --health-check|pause mesos_slave2|mend mesos_slave2"; during != want || healed != want+"|mend marathon-lb" {
			t.Errorf("after heal %q, at the end %q", during, healed)
		}
	})
}
