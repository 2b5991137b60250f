package scenarios

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// run1 runs a scenario on a twin in fake time.
func run1(t *testing.T, sc Scenario, opt Options, s sabotage) (res *Result, err error) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		p := newPlatform(t, n, s)
		p.suit(sc)
		opt.Dial = n.Host("10.0.0.9").Dial
		res, err = Run(t.Context(), p, p, sc, opt)
		if len(p.broken)+len(p.parts) > 0 {
			t.Errorf("still broken after the run: %v, %v", p.broken, p.parts)
		}
		if a := p.apps["nginx"]; a.count != 2 || len(p.apps) != 1 {
			t.Errorf("not put back: %d apps, nginx with %d instances", len(p.apps), a.count)
		}
	})
	return res, err
}

func builtinScenario(t *testing.T, name string) Scenario {
	t.Helper()
	sc, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

func TestFailoverPasses(t *testing.T) {
	res, err := run1(t, builtinScenario(t, "failover"), Options{}, sabotage{})
	if err != nil {
		t.Fatalf("%v\n%+v", err, res)
	}
	if res.Verdict != Pass || len(res.Criteria) != 8 {
		t.Errorf("%s with %d criteria: %+v", res.Verdict, len(res.Criteria), res.Criteria)
	}
	var names []string
	for _, p := range res.Phases {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "detect back-off launch LB health clients" {
		t.Errorf("phases %s", got)
	}
	if d, b := res.Phases[0], res.Phases[1]; d.Seconds < 6.9 || d.Seconds > 7.2 || b.Seconds < 0.9 || b.Seconds > 1.1 || b.Own == nil || *b.Own > 0.1 {
		t.Errorf("phases %+v: want detect 7 s, back-off 1 s", res.Phases)
	}
	if res.Traffic.Slow == 0 || res.Traffic.Failed != 0 || res.Traffic.Worst < 3*time.Second {
		t.Errorf("traffic %+v: requests to the dead machine take 3 s and are passed over", res.Traffic)
	}
	var text strings.Builder
	res.WriteText(&text)
	for _, want := range []string{
		"detect", "PASS  8 of 8", "by the law 6 s–8 s", "back as a new slave", "Asked    How long until Mesos gives the dead slave up?  measured 7.0",
		"Asked    How many requests will fail meanwhile?  measured 0 of",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, text.String())
		}
	}
}

// TestScenariosPass runs every built-in scenario on a lab that keeps the
// rules.
func TestScenariosPass(t *testing.T) {
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range all {
		t.Run(sc.Name, func(t *testing.T) {
			res, err := run1(t, sc, Options{}, sabotage{})
			if err != nil || res.Verdict != Pass || len(res.Criteria) < 4 {
				t.Fatalf("%v\n%+v", err, res)
			}
			for _, c := range res.Criteria {
				if c.State != Held || c.Detail == "" {
					t.Errorf("PASS with %+v", c)
				}
			}
			for _, q := range res.Asked {
				if q.Measured == "" {
					t.Errorf("asked but not measured: %+v", q)
				}
			}
			if len(res.Phases) == 0 && res.Traffic.Sent > 0 || len(res.Timeline) < 3 {
				t.Errorf("phases %+v, timeline %+v", res.Phases, res.Timeline)
			}
		})
	}
}

// mutants spoil the lab, one thing at a time: the expectation that is about it
// has to notice. In a placebo nothing happens at all, which must never be a
// PASS (rule R6).
type mutant struct {
	scenario, name string
	sabotage       sabotage
	want           Verdict
	by             string // the criterion that notices
}

var mutants = slices.Concat(controlMutants, mutantsInside, releaseMutants, sharingMutants, []mutant{
	{"failover", "placebo", sabotage{}, Inconclusive, "silence"},
	{"failover", "Marathon frozen", sabotage{deafMarathon: true}, Inconclusive, "lost"},
	{"failover", "load balancer frozen", sabotage{blindBalancer: true}, Inconclusive, "serving"},
	{"failover", "one container too many", sabotage{surplus: true}, Fail, "whole"},
	{"failover", "lost before the law", sabotage{lossAfter: 2 * time.Second}, Fail, "lost"},
	{"failover", "lost after the law", sabotage{lossAfter: 10 * time.Second}, Fail, "lost"},
	{"failover", "never lost", sabotage{lossAfter: time.Hour}, Inconclusive, "lost"},
	{"failover", "restarted on the dead machine", sabotage{sameNode: true}, Fail, "replaced"},
	{"failover", "the slave never returns", sabotage{rejoinsNever: true}, Inconclusive, "agents"},

	{"failover", "only the load balancer claims that anybody answers", sabotage{nameless: true, forges: true}, Inconclusive, "baseline"},

	{"failover-crash", "placebo", sabotage{}, Inconclusive, "refused"},
	{"failover-crash", "silent like a power cut", sabotage{silentCrash: true}, Inconclusive, "refused"},
	{"failover-crash", "the broken connection is not noticed", sabotage{staysActive: true}, Inconclusive, "inactive"},
	{"failover-crash", "lost with the connection", sabotage{killsAtOnce: true}, Inconclusive, "inactive"},
	{"failover-crash", "lost before the law", sabotage{lossAfter: 2 * time.Second}, Fail, "lost"},

	{"scale", "placebo", sabotage{}, Inconclusive, "instances"},
	{"scale", "three instances are all there ever is", sabotage{stingy: true}, Inconclusive, "instances"},
	{"scale", "the oldest are killed", sabotage{oldestFirst: true}, Fail, "youngest"},
	{"scale", "load balancer frozen", sabotage{blindBalancer: true}, Inconclusive, "instances"},
	{"scale", "one container too many", sabotage{surplus: true}, Fail, "whole"},

	{"upgrade", "placebo", sabotage{}, Inconclusive, "restarted"},
	{"upgrade", "half of it is not replaced", sabotage{forgetsOld: true}, Inconclusive, "restarted"},
	{"upgrade", "the old release goes on answering", sabotage{mixes: true}, Fail, "release"},

	{"discovery", "placebo", sabotage{}, Inconclusive, "restarted"},
	{"discovery", "an old address still answers", sabotage{squatter: true}, Inconclusive, "moved"},
	{"discovery", "the configuration is not rewritten", sabotage{staleConfig: true}, Inconclusive, "moved"},

	{"bad-deploy", "placebo", sabotage{}, Inconclusive, "errors"},
	{"bad-deploy", "the deployment ends", sabotage{gullible: true}, Inconclusive, "stuck"},
	{"bad-deploy", "the rollback is forgotten", sabotage{forgetsBack: true}, Inconclusive, "release"},

	{"crash", "placebo", sabotage{}, Inconclusive, "crashing"},
	{"crash", "no back-off", sabotage{patientCrash: true}, Fail, "crashing"},
	{"crash", "the rollback is forgotten", sabotage{forgetsBack: true}, Fail, "release"},

	{"zombie", "placebo", sabotage{}, Inconclusive, "restarted"},
	{"zombie", "nobody is killed", sabotage{forgives: true}, Inconclusive, "unhealthy"},
	{"zombie", "killed one check too early", sabotage{hasty: true}, Fail, "unhealthy"},

	{"bad-label", "placebo", sabotage{}, Inconclusive, "ignored"},
	{"bad-label", "the label harms nobody: the flag changes nothing", sabotage{releaseSabotage: releaseSabotage{ignoresFlags: true}}, Inconclusive, "ignored"},
	{"bad-label", "what waited never comes", sabotage{unforgiving: true}, Inconclusive, "instances"},

	{"placement", "placebo", sabotage{}, Inconclusive, "silence"},
	{"placement", "constraints mean nothing", sabotage{anywhere: true}, Inconclusive, "blocked"},

	{"crowded", "placebo", sabotage{}, Inconclusive, "silence"},
	{"crowded", "there is room for everybody", sabotage{roomy: true}, Inconclusive, "crowded"},

	{"balance", "placebo", sabotage{}, Inconclusive, "youngest"},
	{"balance", "one server is preferred", sabotage{favourite: true}, Fail, "shares"},
	{"balance", "three instances are all there ever is", sabotage{stingy: true}, Inconclusive, "instances"},

	{"rejoin", "placebo", sabotage{}, Inconclusive, "silence"},
	{"rejoin", "tasks are moved back", sabotage{rebalances: true}, Fail, "steady"},
	{"rejoin", "the slave never returns", sabotage{rejoinsNever: true}, Inconclusive, "agents"},
	{"rejoin", "one container too many", sabotage{surplus: true}, Fail, "whole"},

	{"last-slave", "placebo", sabotage{}, Inconclusive, "silence"},
	{"last-slave", "somebody answers though nobody is left", sabotage{keepsServing: true}, Inconclusive, "outage"},
	{"last-slave", "Marathon forgets what it owes", sabotage{emptyQueue: true}, Inconclusive, "queued"},
	{"last-slave", "Marathon backs off instead of waiting for offers", sabotage{neverOverdue: true}, Inconclusive, "queued"},
	{"last-slave", "the slaves never return", sabotage{rejoinsNever: true}, Inconclusive, "agents"},
	{"last-slave", "lost before the law", sabotage{lossAfter: 2 * time.Second}, Fail, "lost"},
})

func TestNoScenarioPassesVacuously(t *testing.T) {
	for _, c := range mutants {
		t.Run(c.scenario+"/"+c.name, func(t *testing.T) {
			res, err := run1(t, builtinScenario(t, c.scenario), Options{Placebo: c.name == "placebo"}, c.sabotage)
			judged(t, res, err, c.want, c.by)
		})
	}
}

func judged(t *testing.T, res *Result, err error, verdict Verdict, by string) {
	t.Helper()
	if res == nil {
		t.Fatalf("no result: %v", err)
	}
	want := lab.ErrExpectation
	if verdict == Inconclusive {
		want = lab.ErrInconclusive
	}
	noticed, _, _ := strings.Cut(res.Why, ": ")
	if res.Verdict != verdict || !errors.Is(err, want) || !slices.Contains(strings.Split(by, " or "), noticed) {
		t.Errorf("%s (%s), error %v; want %s by %s", res.Verdict, res.Why, err, verdict, by)
	}
}

// TestEveryScenarioHasMutants keeps the table complete.
func TestEveryScenarioHasMutants(t *testing.T) {
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range all {
		placebos, others := 0, 0
		for _, m := range mutants {
			switch {
			case m.scenario != sc.Name:
			case m.name == "placebo":
				placebos++
			default:
				others++
			}
		}
		if placebos != 1 || others == 0 {
			t.Errorf("%s has %d placebos and %d other mutants", sc.Name, placebos, others)
		}
	}
}

// changes uses the verbs that no built-in scenario needs.
const changes = `# An app of one's own is restarted
deploy web
traffic web rate=20
baseline web requests=40
expect placed web machines=2
restart web
expect restarted web within=20s
expect serving web requests=5
pause node3
expect silence node3
expect lost node3
restore node3
stop node2
expect silence node2
heal
expect agents all
remove web
`

func TestVerbsOfChanges(t *testing.T) {
	res, err := run1(t, Parse("changes.txt", changes), Options{}, sabotage{})
	if err != nil || res.Verdict != Pass || len(res.Criteria) != 8 {
		t.Errorf("%v\n%+v", err, res)
	}
	for name, c := range map[string]struct {
		sabotage sabotage
		by       string
	}{
		"all on one machine":          {sabotage{crowds: true}, "placed"},
		"half of it is not restarted": {sabotage{stuckRestart: true}, "restarted"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := run1(t, Parse("changes.txt", changes), Options{}, c.sabotage)
			judged(t, res, err, Inconclusive, c.by)
		})
	}
}

// TestNamelessInstances runs what counts answers on instances that do not say
// who they are: then the load balancer's counters and their logs count.
func TestNamelessInstances(t *testing.T) {
	for _, name := range []string{"failover", "scale", "balance"} {
		t.Run(name, func(t *testing.T) {
			res, err := run1(t, builtinScenario(t, name), Options{}, sabotage{nameless: true})
			if err != nil || res.Verdict != Pass {
				t.Errorf("%v\n%+v", err, res)
			}
		})
	}
	res, err := run1(t, builtinScenario(t, "balance"), Options{}, sabotage{nameless: true, favourite: true})
	if !errors.Is(err, lab.ErrExpectation) || !strings.HasPrefix(res.Why, "shares: ") {
		t.Errorf("one server is preferred: %v, %+v", err, res)
	}
}

func TestInterruptedRunIsHealed(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		p := newPlatform(t, n, sabotage{})
		sc := Parse("mine.txt", "# x\nscale nginx 4\ntraffic nginx\nbaseline nginx\nkill node2\nexpect lost node2\n")
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		_, err := Run(ctx, p, p, sc, Options{Dial: n.Host("10.0.0.9").Dial})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the interruption", err)
		}
		if len(p.broken) > 0 || p.apps["nginx"].count != 2 {
			t.Errorf("still broken: %v, %d instances", p.broken, p.apps["nginx"].count)
		}
	})
}

// TestFinallyRunsWhateverHappened: also when the run is interrupted, with the
// variables of the lines before.
func TestFinallyRunsWhateverHappened(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		p := newPlatform(t, n, sabotage{})
		sc := Parse("mine.txt", "# x\nlet app nginx\nlet who node2\ntraffic $app\nbaseline $app\nkill $who\nexpect lost $who\nfinally restore $who\nfinally say $who is back\n")
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		var said, steps []string
		report := func(e lab.Event) {
			switch {
			case e.Kind == lab.EventDone:
				steps = append(steps, e.Step)
			case e.Text != "":
				said = append(said, e.Text)
			}
		}
		_, err := Run(ctx, p, p, sc, Options{Dial: n.Host("10.0.0.9").Dial, Report: report})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the interruption", err)
		}
		if !slices.Contains(steps, "restore $who") || !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "node2 is back") }) {
			t.Errorf("steps %q, said %q", steps, said)
		}
		if !slices.Contains(p.did, "mend node2") {
			t.Errorf("did %q", p.did)
		}
	})
}

// inside breaks what runs on machines, and their network.
const inside = `# Faults inside of machines
spread nginx
traffic nginx
baseline nginx
victim slave running=nginx pick=random seed=7
stop docker on=victim
expect lost victim
restore docker on=victim
expect agents all
restart marathon
crash task of=nginx on=node3
pause mesos_slave2
cut node3 from=master for=2s
slow victim delay=50ms jitter=10ms
kill leader for=1s
say still broken
heal
finally heal
`

// TestFaultsInside does faults of every part: each is done to what the words
// mean, and mended, machines first.
func TestFaultsInside(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		p := newPlatform(t, n, sabotage{})
		_, err := Run(t.Context(), p, p, Parse("inside.txt", inside), Options{Dial: n.Host("10.0.0.9").Dial})
		// Marathon is restarted, and nobody looks whether it is back.
		if errors.Is(err, lab.ErrUsage) || ended(err) && !errors.Is(err, lab.ErrInconclusive) {
			t.Fatal(err)
		}
		if len(p.broken)+len(p.parts) > 0 {
			t.Errorf("still broken: %v %v", p.broken, p.parts)
		}
		victim := strings.TrimPrefix(p.did[0], "stop docker on ")
		want := []string{"stop docker on " + victim, "mend docker on " + victim, "restart marathon", "", "pause mesos_slave2", "cut node3 from=node1",
			"slow " + victim + " delay=50ms jitter=10ms", "kill node1", "mend node1", "mend mesos_slave2", "mend node3", "mend " + victim}
		if len(p.did) != len(want) {
			t.Fatalf("did %q, want %q", p.did, want)
		}
		for i, w := range want {
			if w != "" && p.did[i] != w {
				t.Errorf("%d: did %q, want %q", i, p.did[i], w)
			}
		}
		if !strings.HasPrefix(p.did[3], "crash nginx.") || !strings.HasSuffix(p.did[3], " on node3") {
			t.Errorf("crashed %q", p.did[3])
		}
	})
}

// ended says whether a run ended with something else than a verdict.
func ended(err error) bool { return err != nil && !isUnmet(err) }

// TestFaultsEnd does a fault with an end: it is undone by itself.
func TestFaultsEnd(t *testing.T) {
	for script, want := range map[string]string{
		"# x\ntraffic nginx\nbaseline nginx\nkill node2 for=9s\nexpect lost node2\nexpect agents all within=5s\n":               "kill node2|mend node2",
		"# x\ntraffic nginx\nbaseline nginx\nstop mesos_slave on=slave1 for=9s\nexpect lost node2\nexpect agents all within=5s": "stop mesos_slave1|mend mesos_slave1",
	} {
		bubble.Test(t, func(t *testing.T) {
			n := labtest.NewNetwork()
			p := newPlatform(t, n, sabotage{})
			res, err := Run(t.Context(), p, p, Parse("mine.txt", script), Options{Dial: n.Host("10.0.0.9").Dial})
			if err != nil || res.Verdict != Pass {
				t.Fatalf("%v, %+v", err, res)
			}
			if got := strings.Join(p.did, "|"); got != want {
				t.Errorf("did %s, want %s", got, want)
			}
			if f := res.Recording.Faults[0]; f.Until == nil || *f.Until-f.InForce < 9 || *f.Until-f.InForce > 9.5 {
				t.Errorf("record %+v", f)
			}
		})
	}
}

func TestAim(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPlatform(t, labtest.NewNetwork(), sabotage{})
		for words, want := range map[string]string{
			"kill slave1 node2 10.0.0.3":                "kill node2|kill node3",
			"pause slaves":                              "pause node2|pause node3",
			"crash leader":                              "crash node1",
			"kill slave running=nginx pick=most":        "kill node2",
			"stop docker on=slaves":                     "stop docker on node2|stop docker on node3",
			"kill marathon zookeeper":                   "kill marathon|kill zookeeper",
			"kill mesos_slave on=node3":                 "kill mesos_slave2",
			"kill task of=nginx on=node2":               "kill nginx.1 on node2",
			"cut node2":                                 "cut node2",
			"slow node2 from=master delay=1s loss=0.5%": "slow node2 from=node1 delay=1s loss=0.5%",
			"kill victim":                               "! a word of scripts",
			"kill nginx":                                `! must be a machine`,
			"restart nginx":                             `! must be a machine`,
			"kill":                                      "! target is missing",
			"kill mesos_slave9":                         "! it has zookeeper",
			"kill task of=nginx on=node3":               "! no task of nginx runs there",
			"cut node2 from=slave1":                     "! a machine from one other",
			"kill node2 node9":                          `! no machine "node9"`,
			"kill task of=ngnix":                        "! app ngnix",
		} {
			list := strings.Fields(words)
			faults, err := Aim(t.Context(), p, p, list[0], list[1:])
			if problem, bad := strings.CutPrefix(want, "! "); bad {
				if err == nil || !strings.Contains(err.Error(), problem) {
					t.Errorf("%s: %v, %v; want %q", words, faults, err, problem)
				}
				continue
			}
			var got []string
			for _, f := range faults {
				got = append(got, f.String())
			}
			if err != nil || strings.Join(got, "|") != want {
				t.Errorf("%s: %q, %v; want %q", words, got, err, want)
			}
		}
	})
}

// TestWaitForRoomIsNoBackoff: what a launch waits for after its back-off is
// told apart from it.
func TestWaitForRoomIsNoBackoff(t *testing.T) {
	for _, name := range []string{"placement", "crowded"} {
		res, err := run1(t, builtinScenario(t, name), Options{}, sabotage{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]float64{}
		for _, p := range res.Phases {
			seen[p.Name] = p.Seconds
		}
		if b := seen["back-off"]; b < 0.9 || b > 1.2 || seen["no-offer"] < 5 {
			t.Errorf("%s: phases %+v", name, res.Phases)
		}
	}
}

// TestWaitedSinceTheLineBegan: a wait that follows another on the same line says
// how long both took.
func TestWaitedSinceTheLineBegan(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &run{began: time.Now()}
		time.Sleep(7 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.await(ctx, "rain", func(context.Context) error { return errors.New("sun") })
		if err == nil || err.Error() != "waited 8s for rain; last seen: sun" {
			t.Error(err)
		}
	})
}
