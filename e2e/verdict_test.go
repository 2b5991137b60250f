//go:build linux

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/scenarios"
)

// TestPlaceboIsNoPass does no fault at all (rule R6).
func TestPlaceboIsNoPass(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	r := l.Start("scenario", "failover", "--placebo")
	res := judged(t, r, nil)
	if r := res.result; res.code != 4 || r.Verdict != scenarios.Inconclusive {
		t.Errorf("exit code %d, %s", res.code, r.Verdict)
	}
	noFaults(t, l)
}

// TestFrozenMarathonIsNoPass stops the one that should react.
func TestFrozenMarathonIsNoPass(t *testing.T) {
	t.Parallel()
	spoiled(t, "Mesos notices, but nobody acts", func(l *rig.Lab, _ string) { pause(t, l, "marathon") },
		func(l *rig.Lab) { unpause(t, l, "marathon") })
}

// TestFrozenLBIsNoPass stops the one through whom clients come: what Marathon
// says of its own work is no proof.
func TestFrozenLBIsNoPass(t *testing.T) {
	t.Parallel()
	spoiled(t, "Marathon acts, but no client is served", func(l *rig.Lab, _ string) { pause(t, l, "marathon-lb") },
		func(l *rig.Lab) { unpause(t, l, "marathon-lb") })
}

// TestSurplusContainerIsNoPass adds an instance that Marathon does not know:
// only the engines can tell.
func TestSurplusContainerIsNoPass(t *testing.T) {
	t.Parallel()
	res := spoiled(t, "one too many", func(l *rig.Lab, victim string) {
		other := map[string]int{"node2": 3, "node3": 2}[victim]
		docker := l.Docker(other)
		made, err := docker.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Name:   "mesos-surplus",
			Config: &container.Config{Image: "lab/web", Env: []string{"MESOS_TASK_ID=nginx.surplus", "PORT=0"}, Cmd: []string{"web", "--port", "31999"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := docker.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
	}, nil)
	for _, c := range res.Criteria {
		if c.Name == "whole" && (c.State != scenarios.Broken || !strings.Contains(c.Detail, "nginx.surplus")) {
			t.Errorf("the surplus container was not noticed: %+v", c)
		}
	}
}

// spoiled runs failover and does something to the lab right after the fault.
// The run must not pass, and the lab must be whole again in the end.
func spoiled(t *testing.T, why string, spoil func(l *rig.Lab, victim string), mend func(*rig.Lab)) *scenarios.Result {
	t.Helper()
	l := rig.New(t)
	l.Create("--fast")
	r, victim := losingPower(t, l, impatient(t, l))
	spoil(l, victim)
	res := judged(t, r, func() {
		if mend != nil {
			mend(l)
		}
	})
	if res.result.Verdict == scenarios.Pass || res.code != 3 && res.code != 4 {
		t.Errorf("%s: exit code %d, %+v", why, res.code, res.result)
	}
	if mend != nil {
		l.AwaitWhole()
	}
	if s := l.Status(); len(s.Faults) != 0 {
		t.Errorf("faults are left: %+v", s.Faults)
	}
	return res.result
}

// impatient is the built-in scenario with shorter waits for what will not
// come.
func impatient(t *testing.T, l *rig.Lab) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "scenarios", "failover.txt"))
	if err != nil {
		t.Fatal(err)
	}
	short := strings.NewReplacer(
		"expect replaced nginx within=60s", "expect replaced nginx within=15s",
		"expect serving nginx requests=10 within=30s", "expect serving nginx requests=10 within=5s",
		"expect whole nginx within=30s", "expect whole nginx within=5s")
	return "./" + l.Write("failover.txt", short.Replace(string(text)))
}

// TestOwnScript runs a scenario of the user's own: a crash instead of a power
// cut, which peers notice at once but Mesos' rules do not.
func TestOwnScript(t *testing.T) {
	l := rig.New(t)
	l.Create("--fast")
	text, err := os.ReadFile(filepath.Join("..", "scenarios", "failover.txt"))
	if err != nil {
		t.Fatal(err)
	}
	crash := strings.NewReplacer("kill victim\n", "crash victim\n", "expect silence victim from=master within=10s\n", "").Replace(string(text))
	res := mustPass(t, l, "./"+l.Write("crash.txt", crash))
	if !slices.ContainsFunc(res.Timeline, func(m scenarios.Moment) bool { return strings.Contains(m.Text, "crashes") }) || len(res.Criteria) != 7 {
		t.Errorf("not the scenario of the file: %+v", res)
	}
	l.Must("destroy")
	l.MustBeGone()
}

type judgement struct {
	code   int
	result *scenarios.Result
}

// judged waits for the end of a scenario. Whatever its verdict is, its exit
// code has to say the same.
func judged(t *testing.T, r *rig.Running, then func()) judgement {
	t.Helper()
	end := r.Wait(nil)
	if then != nil {
		then()
	}
	var res scenarios.Result
	end.JSON(t, &res)
	if want := map[scenarios.Verdict]int{scenarios.Pass: 0, scenarios.Fail: 3, scenarios.Inconclusive: 4}[res.Verdict]; end.Code != want {
		t.Errorf("%s with exit code %d: %s", res.Verdict, end.Code, end)
	}
	if res.Why == "" && res.Verdict != scenarios.Pass {
		t.Errorf("%s without a reason: %s", res.Verdict, end)
	}
	t.Logf("%s: %s", res.Verdict, res.Why)
	return judgement{end.Code, &res}
}

func pause(t *testing.T, l *rig.Lab, name string) {
	t.Helper()
	if _, err := l.Docker(1).ContainerPause(t.Context(), name, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
}

func unpause(t *testing.T, l *rig.Lab, name string) {
	t.Helper()
	if _, err := l.Docker(1).ContainerUnpause(context.WithoutCancel(t.Context()), name, client.ContainerUnpauseOptions{}); err != nil {
		t.Fatal(err)
	}
}
