package containers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

// TestUpMends does things to machines that run; each time Up mends just that,
// says so, and leaves the machines running.
func TestUpMends(t *testing.T) {
	const machine, card = "t-0badcafe-node1", "t-0badcafe-node1-net"
	for _, c := range []struct {
		name    string
		damage  func(e *fakeEngine, c *fakeContainer)
		calls   []string // beginnings
		changed string
	}{
		{"nothing", func(*fakeEngine, *fakeContainer) {}, nil, ""},
		{"key gone", func(_ *fakeEngine, c *fakeContainer) { c.key = nil }, []string{"copy-to " + machine}, "SSH key of node1"},
		{"another key", func(_ *fakeEngine, c *fakeContainer) { c.key = []byte("ssh-rsa AAAA somebody\n") }, []string{"copy-to " + machine}, "SSH key of node1"},
		{"sshd gone", func(_ *fakeEngine, c *fakeContainer) { c.close() }, []string{"exec " + machine}, "sshd of node1"},
		{"renamed", func(_ *fakeEngine, c *fakeContainer) { c.o.Name = "mine" }, []string{"rename mine " + machine}, "name of node1"},
		{"card renamed", func(e *fakeEngine, c *fakeContainer) { e.cardOf(c).o.Name = "mine" }, []string{"rename mine " + card}, "name of node1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newFakeEngine()
			p, plan := newFake(e), fakePlan(t, 2)
			p.patience.revive = time.Millisecond
			if _, err := p.Up(t.Context(), plan); err != nil {
				t.Fatal(err)
			}
			before, err := p.Status(t.Context(), plan)
			if err != nil {
				t.Fatal(err)
			}
			c.damage(e, e.lookup(machine))
			e.calls = nil
			var changed []string
			plan.Report = func(e lab.Event) {
				if text, ok := e.Data[lab.DataChanged].(string); ok {
					changed = append(changed, text)
				}
			}
			if _, err := p.Up(t.Context(), plan); err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(e.calls, c.calls, strings.HasPrefix) {
				t.Errorf("calls %q, want %q", e.calls, c.calls)
			}
			if got := strings.Join(changed, "; "); got != c.changed {
				t.Errorf("says %q, want %q", got, c.changed)
			}
			after, err := p.Status(t.Context(), plan)
			if err != nil || after[0].State != lab.StateRunning || !after[0].Since.Equal(before[0].Since) {
				t.Errorf("%+v, then %+v, %v", before[0], after[0], err)
			}
			if key := string(e.lookup(machine).key); !strings.Contains(key, "ssh-ed25519 ") || c.name == "another key" && !strings.Contains(key, "somebody") {
				t.Errorf("keys %q", key)
			}
		})
	}
}

// TestTwoOfAName meets a copy of a machine with its labels under another name.
func TestTwoOfAName(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 1)
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	twin := *e.lookup("t-0badcafe-node1")
	twin.id, twin.o.Name = "twin", "copy"
	e.containers["twin"] = &twin
	_, err := p.Up(t.Context(), plan)
	if lab.ErrorID(err) != "machine-renamed" || !strings.Contains(err.Error(), "copy") {
		t.Errorf("%v", err)
	}
}
