//go:build linux

package bench

import (
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

// BenchmarkEmptyScenario takes a scenario that waits for nothing, from the
// start of the command to its end: what lab itself costs.
func BenchmarkEmptyScenario(b *testing.B) {
	b.Log(machineSize())
	l := rig.New(b)
	l.Create("--fast")
	l.AwaitWhole()
	script := l.Write("empty.txt", "# Nothing happens here.\n# usually: 0 s\n\n# One word\nsay hello\n")
	command := in("ms")
	for b.Loop() {
		for range rounds {
			command.addTime(timed(func() {
				// Nothing was broken, so nothing was shown: code 4.
				if r := l.Run("scenario", "./"+script); r.Code != 4 {
					b.Fatal(r)
				}
			}))
		}
	}
	command.report(b, "command")
	l.Must("destroy")
}
