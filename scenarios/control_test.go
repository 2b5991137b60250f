package scenarios

import (
	"errors"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

// TestHolesNeedAnExplanation: what a run has taken away itself leaves holes in
// the record. They are excused by seeing it back, and by nothing else.
func TestHolesNeedAnExplanation(t *testing.T) {
	const before = "# x\ntraffic nginx\nbaseline nginx\nremember nginx\n"
	for name, c := range map[string]struct {
		script string
		blind  string // the reason, or "" for a PASS
	}{
		"seen back":             {"kill marathon\nexpect unanswered marathon\nrestore marathon\nexpect resumed\n", ""},
		"not looked for":        {"kill marathon\nexpect unanswered marathon\nrestore marathon\nexpect untouched nginx\n", "event stream broke off"},
		"another one was":       {"kill marathon\nexpect unanswered marathon\nrestore marathon\nexpect resumed\nstop marathon-lb\nexpect unanswered marathon-lb\nrestore marathon-lb\n", "no sample of load balancer"},
		"the master, not all":   {"kill mesos_master\nexpect unanswered mesos_master\nrestore mesos_master\nexpect reelected\n", "event stream broke off"},
		"the master, both":      {"kill mesos_master\nexpect unanswered mesos_master\nrestore mesos_master\nexpect reelected\nexpect resumed\n", ""},
		"back, and gone anew":   {"kill marathon for=1s\nexpect resumed\nkill marathon\nexpect unanswered marathon\n", "event stream broke off"},
		"the load balancer's":   {"stop marathon-lb\nexpect unanswered marathon-lb\nrestore marathon-lb\nexpect answering nginx\n", ""},
		"while it is away":      {"stop zookeeper\nexpect ended mesos_master code=1\nexpect unanswered marathon status=503\n", "event stream broke off"},
		"a break that is short": {"stop zookeeper\nexpect unnoticed\nrestore zookeeper\nexpect unnoticed\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := run1(t, Parse("mine.txt", before+c.script), Options{}, sabotage{})
			switch {
			case res == nil:
				t.Fatal(err)
			case c.blind == "" && res.Verdict != Pass:
				t.Errorf("%s: %s", res.Verdict, res.Why)
			case c.blind != "" && (!errors.Is(err, lab.ErrInconclusive) || !strings.Contains(res.Why, c.blind)):
				t.Errorf("%s: %s; want %q", res.Verdict, res.Why, c.blind)
			}
		})
	}
}

// TestUntoldEnds: a stream that broke does not tell what was missed; the list
// does.
func TestUntoldEnds(t *testing.T) {
	res, err := run1(t, builtinScenario(t, "marathon-restart"), Options{}, control(controlSabotage{untold: true}))
	if err != nil || res.Verdict != Pass {
		t.Fatalf("%v\n%+v", err, res)
	}
	seen := map[string]Phase{}
	for _, p := range res.Phases {
		seen[p.Name] = p
	}
	if !strings.Contains(seen["LB"].RuledBy, "back-off") {
		t.Errorf("LB is ruled by %s", seen["LB"].RuledBy)
	}
	if d := seen["detect"]; d.Seconds < 5 || !strings.Contains(d.RuledBy, "no setting") || seen["back-off"].Seconds == 0 {
		t.Errorf("phases %+v", res.Phases)
	}
	untold := 0
	for _, task := range res.Recording.Tasks {
		if task.EndState == endUntold {
			untold++
		}
	}
	if untold != 1 {
		t.Errorf("tasks %+v", res.Recording.Tasks)
	}
}

// TestANewMasterRemovesNobody: it knows no slave until they come, which is not
// the removal that the law of pings is about.
func TestANewMasterRemovesNobody(t *testing.T) {
	res, err := run1(t, builtinScenario(t, "master-restart"), Options{}, sabotage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range res.Timeline {
		if strings.Contains(m.Text, "removes") {
			t.Errorf("%.2f s %s", m.At, m.Text)
		}
	}
	for _, a := range res.Recording.Agents {
		if a.Gone != nil {
			t.Errorf("%+v", a)
		}
	}
}

func TestCheckFindsMistakesAboutTheControlPlane(t *testing.T) {
	const before = "# x\ntraffic nginx\nbaseline nginx\n"
	for line, want := range map[string]string{
		"kill marathon\nexpect resumed":                                     "nothing is known by its identity: give the verb remember",
		"remember nginx\nexpect resumed":                                    "nothing is broken or changed by then",
		"remember web":                                                      "traffic goes to nginx",
		"remember nginx\nkill node2\nexpect ended node2":                    "must be one of zookeeper",
		"remember nginx\nkill marathon\nexpect ended marathon code=x":       "must be an exit code from 0 to 255",
		"remember nginx\nkill mesos_slave1\nexpect ended mesos_slave":       "which slave's? give on=slave1",
		"remember nginx\nkill zookeeper\nexpect unanswered zookeeper":       "must be one of mesos_master, marathon, marathon-lb",
		"remember nginx\nkill marathon\nexpect untouched nginx failed=some": "must be one of none, any",
		"remember nginx\nkill marathon\nexpect recovered victim":            "no victim is chosen",
		"remember nginx\nkill marathon\nexpect renewd node2":                "did you mean renewed?",
	} {
		mistakes, err := Check(t.Context(), Parse("mine.txt", before+line+"\n"))
		if err != nil || len(mistakes) != 1 || !strings.Contains(mistakes[0].What, want) {
			t.Errorf("%s: %v, %v; want %q", line, mistakes, err, want)
		}
	}
}
