package scenarios

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// failover runs the built-in scenario on a platform in fake time.
func failover(t *testing.T, opt Options, with func(*platform)) (res *Result, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		p := newPlatform(t, n)
		if with != nil {
			with(p)
		}
		sc, loadErr := Load("failover")
		if loadErr != nil {
			t.Fatal(loadErr)
		}
		opt.Dial = n.Host("10.0.0.9").Dial
		res, err = Run(t.Context(), p, p, sc, opt)
		if len(p.broken) > 0 {
			t.Errorf("still broken after the run: %v", p.broken)
		}
	})
	return res, err
}

func TestFailoverPasses(t *testing.T) {
	res, err := failover(t, Options{}, nil)
	if err != nil {
		t.Fatalf("%v\n%+v", err, res)
	}
	if res.Verdict != Pass || len(res.Criteria) != 8 {
		t.Errorf("%s with %d criteria: %+v", res.Verdict, len(res.Criteria), res.Criteria)
	}
	if len(res.Phases) != 4 || res.Phases[0].Seconds < 6.9 || res.Phases[0].Seconds > 7.2 || res.Phases[1].Seconds < 0.9 || res.Phases[1].Seconds > 1.1 {
		t.Errorf("phases %+v: want detect 7 s, back-off 1 s", res.Phases)
	}
	if res.Traffic.Slow == 0 || res.Traffic.Failed != 0 || res.Traffic.Worst < 3*time.Second {
		t.Errorf("traffic %+v: requests to the dead machine take 3 s and are passed over", res.Traffic)
	}
	var text strings.Builder
	res.WriteText(&text)
	for _, want := range []string{"detect", "PASS  8 of 8", "by the law 6 s–8 s", "back as a new slave"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, text.String())
		}
	}
}

func TestFailoverIsNeverPassedVacuously(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  Options
		with func(*platform)
		want Verdict
	}{
		{"placebo", Options{Placebo: true}, nil, Inconclusive},
		{"Marathon frozen", Options{}, func(p *platform) { p.deafMarathon = true }, Inconclusive},
		{"load balancer frozen", Options{}, func(p *platform) { p.blindBalancer = true }, Inconclusive},
		{"one container too many", Options{}, func(p *platform) { p.surplus = true }, Fail},
		{"lost before the law", Options{}, func(p *platform) { p.lossAfter = 2 * time.Second }, Fail},
		{"lost after the law", Options{}, func(p *platform) { p.lossAfter = 10 * time.Second }, Fail},
		{"never lost", Options{}, func(p *platform) { p.lossAfter = time.Hour }, Inconclusive},
		{"restarted on the dead machine", Options{}, func(p *platform) { p.sameNode = true }, Fail},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := failover(t, c.opt, c.with)
			if res == nil {
				t.Fatalf("no result: %v", err)
			}
			want := lab.ErrExpectation
			if c.want == Inconclusive {
				want = lab.ErrInconclusive
			}
			if res.Verdict != c.want || !errors.Is(err, want) {
				t.Errorf("%s (%s), error %v; want %s", res.Verdict, res.Why, err, c.want)
			}
		})
	}
}

func TestInterruptedRunIsHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		p := newPlatform(t, n)
		sc, err := Load("failover")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		_, err = Run(ctx, p, p, sc, Options{Dial: n.Host("10.0.0.9").Dial})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the interruption", err)
		}
		if len(p.broken) > 0 {
			t.Errorf("still broken: %v", p.broken)
		}
	})
}

func TestCheckFindsEveryMistake(t *testing.T) {
	sc := Parse("mine.txt", `# my scenario
sprad nginx
traffic nginx rate=fast
kill
expect silense node2
explain it's 5 o'clock: no verb is parsed here
baseline nginx request=5
finally heal now
`)
	mistakes, err := Check(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mistakes {
		got = append(got, m.Err.Error())
	}
	want := []string{"did you mean spread?", `rate="fast" must be`, "machine is missing", "did you mean silence?", "did you mean requests=?", "surplus word"}
	if len(got) != len(want) {
		t.Fatalf("%d mistakes, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("mistake %d: %q, want %q", i, got[i], want[i])
		}
	}
}

func TestBuiltinScenariosAreSound(t *testing.T) {
	all, err := List()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d scenarios, %v", len(all), err)
	}
	for _, sc := range all {
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

func FuzzCheck(f *testing.F) {
	f.Add("kill node2\nexpect lost node2\n# x\nsay 'hi'")
	f.Add("finally finally heal\n[cond] kill node2\n! kill node2")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Check(t.Context(), Parse("fuzz.txt", text)); err != nil {
			t.Fatal(err)
		}
	})
}
