//go:build linux

package e2e

import (
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/scenarios"
)

// TestDockerScenarios runs every built-in scenario, one after the other, on one
// lab of machines in containers: what they break is real there.
func TestDockerScenarios(t *testing.T) {
	if !long() {
		t.Skip("takes a quarter of an hour: LAB_TEST_LONG=1 asks for it")
	}
	engine := rig.Inside(t)
	if engine == nil {
		return
	}
	l := rig.NewDocker(t, engine)
	l.Create("--fast")
	var all []struct{ Name string }
	l.Must("scenario", "list", "-o", "json").JSON(t, &all)
	if len(all) < 27 {
		t.Errorf("%d scenarios: %v", len(all), all)
	}
	run := func(name string) {
		t.Run(name, func(t *testing.T) {
			l := l.In(t)
			res := mustPass(t, l, name)
			for _, k := range res.Criteria {
				if k.State != scenarios.Held || k.Detail == "" {
					t.Errorf("PASS with %+v", k)
				}
			}
			t.Logf("%.0f s, %d criteria held", res.Seconds, len(res.Criteria))
			if s := l.AwaitWhole(); len(s.Faults) != 0 || len(s.Marathon.Apps) != 1 || s.Marathon.Apps[0].Instances != 2 {
				t.Errorf("the lab is not as before: %+v", s)
			}
		})
	}
	const needsPatience = "patience"
	for _, s := range all {
		if s.Name != needsPatience {
			run(s.Name)
		}
	}
	l.Create("--patient")
	run(needsPatience)
	l.Must("destroy")
	l.MustBeGone()
}
