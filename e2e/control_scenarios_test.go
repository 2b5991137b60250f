//go:build linux

package e2e

import (
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

// TestControlScenarios runs the built-in scenarios about what leads the
// platform, one after the other on one lab.
func TestControlScenarios(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Write("lab.yaml", withoutHAProxy)
	l.Create("--fast")
	for _, c := range []builtinRun{
		{"master-restart", []string{"baseline", "ended", "unanswered", "resumed", "waiting", "reelected", "launched", "untouched", "whole"}, []string{"down", "election", "re-register"}},
		{"marathon-restart", []string{"baseline", "ended", "unanswered", "untouched", "unreplaced", "resumed", "replaced", "serving", "untouched", "whole"}, []string{"down", "election", "detect", "back-off", "launch"}},
		{"lb-restart", []string{"baseline", "ended", "unanswered", "outage", "answering", "untouched", "whole"}, []string{"down", "serving"}},
		{"zookeeper-outage", []string{"baseline", "ended", "unnoticed", "unnoticed", "untouched", "ended", "unanswered", "untouched", "reelected", "resumed", "untouched", "whole",
			"ended", "orphaned", "reelected", "resumed", "untouched", "answering", "whole"}, []string{"down", "election", "re-register"}},
		{"failover-agent", []string{"baseline", "victim", "ended", "recovered", "untouched", "inactive", "lost", "replaced", "serving", "outlived", "readmitted", "whole"}, []string{"detect", "back-off", "launch"}},
		{"failover-docker", []string{"baseline", "victim", "inactive", "removed", "replaced", "serving", "renewed", "readmitted", "whole"}, []string{"detect", "back-off", "launch"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.passes(t, l.In(t)) })
	}
	l.Must("destroy")
	l.MustBeGone()
}
