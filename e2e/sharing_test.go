//go:build linux

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/scenarios"
)

// TestTwoFrameworks shares a real mini Mesos between frameworks, and reads the
// offers that they got.
func TestTwoFrameworks(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	res := mustPass(t, l, "two-frameworks")
	var criteria []string
	for _, k := range res.Criteria {
		criteria = append(criteria, k.Name)
		if k.State != scenarios.Held || k.Detail == "" {
			t.Errorf("PASS with %+v", k)
		}
	}
	if want := []string{"fair", "offers", "parted", "fair", "shifted", "parted", "whole"}; !slices.Equal(criteria, want) {
		t.Errorf("criteria %v, want %v", criteria, want)
	}
	out := l.Must("events", "--offers").Stdout
	for _, want := range []string{"blue is offered", "takes one task (blue.1-", "red is offered", "refused for 5 s: 0.00 cpus, a task needs 0.05"} {
		if !strings.Contains(out, want) {
			t.Errorf("events --offers lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "subscribes") || strings.Contains(l.Must("events").Stdout, "blue is offered") {
		t.Error("offers and other events are not kept apart")
	}
	if s := l.AwaitWhole(); len(s.Faults) != 0 || len(s.Marathon.Apps) != 1 || s.Mesos.ActiveSlaves != 2 {
		t.Errorf("the lab is not as before: %+v", s)
	}
	l.Must("destroy")
	l.MustBeGone()
}
