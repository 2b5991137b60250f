package scenarios

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestCheckFindsEveryMistake(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         []string // "line: words", in order
	}{
		{"words and values", `# my scenario
sprad nginx
traffic nginx rate=fast
kill
expect silense node2
explain it's 5 o'clock: no verb is parsed here
baseline nginx request=5
finally heal now
`, []string{"2: did you mean spread?", `3: rate="fast" must be`, "4: target is missing", "5: did you mean silence?", "7: did you mean requests=?", "8: surplus word"}},
		{"units and machines", `# x
traffic nginx
baseline nginx within=10
baseline nginx within=-3s
kill noed2
kill node0
kill 10.0.0.300
expect silence node2 from=slaves
traffic nginx rate=5000
scale nginx 0
scale Nginx 3
`, []string{`3: must be a duration with its unit, like 10s or 2m; did you mean 10s?`, "4: must be a duration", "5: did you mean node2?", "6: must be a machine", "7: must be a machine",
			"8: must be a machine", "9: from 1 to 2000", "10: from 1 to", "11: must be an app's id"}},
		{"order", `# x
baseline nginx
expect lost victim
kill victim
restore node2
traffic nginx
traffic nginx
victim slave running=nginx
`, []string{"2: no traffic runs by then", "3: nothing is broken", "4: no victim is chosen", "7: it runs already, to nginx"}},
		{"never", `# x
traffic nginx rate=10
baseline nginx requests=100 within=5s
expect serving other
kill node2
expect serving other
expect shares nginx requests=200 within=3s
remove web
answer detect
`, []string{"3: can never hold: traffic is 10 requests a second", "4: nothing is broken", "6: only that is watched", "7: can never hold", "8: only what the script has deployed", "9: it was not asked"}},
		{"one mistake is told once", `# x
trafic nginx
baselin nginx
victm node2
kil victim
expect lost victim
`, []string{"2: did you mean traffic?", "3: did you mean baseline?", "4: did you mean victim?", "5: did you mean kill?"}},
		{"variables", `# x
let app nginx
traffic $app
baseline $ap
let Big 3
let empty
say costs $app dollars
say costs $euro dollars
`, []string{"4: $ap is not set by then", "5: a name is made of", "6: the value is missing", "8: $euro is not set"}},
		{"speech", `# x
say
ask
ask detekt How long?
ask detect
step
expect
[linux] kill node2
! kill node2
kill 'node2
`, []string{"2: nothing to say", "3: quantity is missing", "4: did you mean detect?", "5: the question is missing", "7: expect what?", "8: no verb", "9: no verb", "10: "}},
		{"faults", `# x
kill markathon
kil docker on=node2
kill docker
kill docker on=marathon
kill task of=nginx for=3s
pause task
restart task of=nginx
crash mesos_slave
stop marathon on=node2
kill slave pick=most
kill slave running=nginx pick=moste
kill slave pick=random
kill node2 seed=7
cut docker
cut node2 from=noed2
slow node2
slow node2 loss=5
slow node2 loss=101%
slow node2 delay=100
slow node2 jitter=10ms loss=1%
slow node2 delay=10ms jitter=1s
kill node2 for=10
restart nginx on=node2
kill node2 on=node3
restore mesos_slav
`, []string{`2: did you mean marathon?`, "3: did you mean kill?", "4: on which machine? give on=node2", `5: on "marathon" must be a machine`, "6: for= makes no sense", "7: a task of which app?",
			"8: behind Mesos' back", "9: which slave's?", "10: on= goes with docker, mesos_slave and task only", "11: most of what?", "12: did you mean most?", "13: pick=random needs seed=",
			"14: seed= goes with pick=random only", `15: must be a machine`, `16: did you mean node2?`, "17: how slow?", "18: did you mean 5%?", "19: at most 100%", "20: did you mean 100s?",
			"21: jitter= goes with delay=", "22: must not be more than delay=10ms", "23: did you mean 10s?", "24: goes with machines, docker and containers, not with apps", "25: on= goes with", "26: did you mean mesos_slave?"}},
		{"needs", "# x\n# needs: 2 slaves, VMs\nsay hello\n", []string{`2: needs "VMs": must be a number of slaves`}},
		{"state and chance", `# x
deploy web
deploy counter
traffic counter
baseline counter
expect counted web
pin nginx
chaos counter faults=4
chaos counter seed=0
expect forgotten counter least=0
expect overlap counter from=victim
`,
			[]string{"6: only that is watched", "7: only what the script has deployed", "8: can never hit a victim of each of the 5 kinds", "9: whole number from 1", "10: whole number from 1", "11: no victim is chosen"}},
		{"counting", "# x\ndeploy web\ntraffic web\nbaseline web\nexpect counted web\n", []string{"5: counts nothing that outlives it"}},
		{"counting elsewhere", "# x\ntraffic nginx\nbaseline nginx\nexpect counted nginx\n", []string{"4: where nginx counts is not known"}},
		{"updates", `# x
rollback web
deploy web
update web web-v3
update web slow-v2
update nginx web-v2
updat web web-v2
rollback web
traffic web
baseline web
expect relase web v2
expect release web
expect stuck web for=5
`, []string{"2: no app was updated", "4: did you mean web-v2?", "5: that is the app slow", "6: only what the script has deployed", "7: did you mean update?",
			"11: did you mean release?", "12: release is missing", "13: did you mean 5s?"}},
		{"apps", "# x\ndeploy webb\ndeploy ./nowhere.json\ndeploy $app\n", []string{"2: did you mean web?", "3: nowhere.json", "4: $app is not set"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			mistakes, err := Check(t.Context(), Parse("mine.txt", c.script))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range mistakes {
				got = append(got, m.String())
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d mistakes, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for i := range c.want {
				line, words, _ := strings.Cut(c.want[i], ": ")
				if !strings.HasPrefix(got[i], "mine.txt:"+line+": ") || !strings.Contains(got[i], words) {
					t.Errorf("mistake %d: %q, want %q", i, got[i], c.want[i])
				}
			}
		})
	}
}

func TestBuiltinScenariosAreSound(t *testing.T) {
	all, err := List()
	if err != nil || len(all) < 6 {
		t.Fatalf("%d scenarios, %v", len(all), err)
	}
	for _, sc := range append(all, Parse("example", Example)) {
		if mistakes, err := Check(t.Context(), sc); err != nil || len(mistakes) > 0 {
			t.Errorf("%s: %v, %v", sc.Name, mistakes, err)
		}
		if sc.Summary == "" || sc.Usual == "" {
			t.Errorf("%s lacks a summary or its usual duration", sc.Name)
		}
	}
	if _, err := Load("failovr"); lab.ErrorID(err) != "unknown-scenario" || !errors.Is(err, lab.ErrUsage) {
		t.Errorf("failovr: %v", err)
	}
}

func TestAppFilesAreRead(t *testing.T) {
	for _, c := range []struct{ name, json, want string }{
		{"good", `{"id": "/a", "instances": 1, "container": {"docker": {"image": "x", "portMappings": [{"containerPort": 80}]}}, "labels": {"anything": "goes"}}`, ""},
		{"unknown field", `{"id": "a", "instnces": 1}`, "Marathon knows no instnces; did you mean instances?"},
		{"unknown field below", `{"id": "a", "container": {"docker": {"portMappings": [{"hostport": 0}]}}}`, "container.docker.portMappings.hostport; did you mean hostPort?"},
		{"no id", `{"instances": 1}`, "no id"},
		{"no JSON", `{"id": `, "line 1"},
	} {
		file := filepath.Join(t.TempDir(), "app.json")
		if err := os.WriteFile(file, []byte(c.json), 0o644); err != nil {
			t.Fatal(err)
		}
		app, err := loadApp(file)
		if c.want == "" && (err != nil || app.ID != "a" || app.Builtin) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v; want %q", c.name, app, err, c.want)
		}
	}
	for _, name := range appNames() {
		id, _, _ := strings.Cut(name, "-") // web-v2 is an update of web
		if app, err := loadApp(name); err != nil || app.ID != id || !app.Builtin {
			t.Errorf("%s: %+v, %v", name, app, err)
		}
	}
}

// TestImpossibleIsSaidFirst asks a lab for what it cannot do: nothing may be
// done before that is said, with the line.
func TestImpossibleIsSaidFirst(t *testing.T) {
	for _, c := range []struct {
		name, script, want string
		with               func(*platform)
	}{
		{"too few slaves", "# x\n# needs: 3 slaves\nkill node2\n", "mine.txt:2: needs 3 slaves, this lab has 2", nil},
		{"no such machine", "# x\nkill node2\nkill node7\n", `mine.txt:3: find machine: wrong usage: no machine "node7" in this lab`, nil},
		{"no such app", "# x\nkill node2\nexpect whole ngin\n", "mine.txt:3: app ngin: not found", nil},
		{"not on these machines", "# x\nkill node2\ncrash node3\n", "mine.txt:3: crash: machines of this kind cannot do that", func(p *platform) { p.modes = []lab.Power{lab.PowerOn, lab.PowerCut} }},
		{"no lost packets", "# x\nkill node2\nslow node3 loss=5%\n", "mine.txt:3: slow: these machines lose no packets", func(p *platform) { p.noLoss = true }},
		{"no such container", "# x\nkill mesos_slave9\n", "mine.txt:2: wrong usage: this lab has no container mesos_slave9: it has zookeeper, mesos_master, marathon, marathon-lb, mesos_slave1, mesos_slave2; did you mean mesos_slave1?", nil},
		{"no such machine for docker", "# x\nstop docker on=node7\n", `mine.txt:2: find machine: wrong usage: no machine "node7"`, nil},
		{"an app of somebody else", "# x\nkill node2\ndeploy web\n", "mine.txt:3: deploy: there is an app web already", func(p *platform) { p.apps["web"] = &twinApp{id: "web"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				p := newPlatform(t, labtest.NewNetwork(), sabotage{})
				if c.with != nil {
					c.with(p)
				}
				var said []string
				res, err := Run(t.Context(), p, p, Parse("mine.txt", c.script), Options{Report: func(e lab.Event) { said = append(said, e.Step+e.Text) }})
				if res != nil || err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%+v, %v; want %q", res, err, c.want)
				}
				if len(said) > 0 {
					t.Errorf("something was done: %v", said)
				}
			})
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("kill node2\nexpect lost node2\n# x\nsay 'hi'")
	f.Add("finally finally heal\n[cond] kill node2\n! kill node2")
	f.Add("let a b\nsay $a ${a}\nask detect x\nanswer detect\n# needs: 2 slaves\n## remark")
	f.Fuzz(func(t *testing.T, text string) {
		sc := Parse("fuzz.txt", text)
		mistakes, err := Check(t.Context(), sc)
		if err != nil {
			t.Fatal(err)
		}
		// A script without a mistake must not fail for its words when it runs.
		if len(mistakes) == 0 && slices.ContainsFunc(sc.Lines, func(l Line) bool { return l.Chapter == "" }) {
			lang, err := newLanguage(t.Context(), func(context.Context, verb, arguments) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			defer lang.close()
			for _, l := range sc.Lines {
				if l.Chapter == "" {
					if err := lang.run(t.Context(), sc.Name, l); err != nil {
						t.Errorf("%q: %v", l.Text, err)
					}
				}
			}
		}
	})
}
