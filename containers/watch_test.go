package containers

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

// TestSilentEngine lets the engine fall silent in the middle of a call: that
// ends with an error that says so, and once the engine is back, the same call
// goes on where it stopped.
func TestSilentEngine(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 2)
	p.patience.ping, p.patience.silence = time.Millisecond, 20*time.Millisecond
	var silent atomic.Bool
	// node1 alone: node2 may be further by then, or not.
	for _, call := range []string{"network-create", "create t-0badcafe-node1", "start t-0badcafe-node1"} {
		e.hangs = func(c string) bool {
			if strings.HasPrefix(c, call) {
				silent.Store(true)
			}
			return silent.Load()
		}
		_, err := p.Up(t.Context(), plan)
		if lab.ErrorID(err) != "engine-silent" || !strings.Contains(err.Error(), "it has not answered for 20ms") {
			t.Errorf("silent at %q: %v", call, err)
		}
		silent.Store(false)
	}
	e.hangs = nil
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	e.hangs = func(c string) bool { return c != "ping" }
	if err := p.Power(t.Context(), plan, []string{"node1"}, lab.PowerOn); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}
