package main

import (
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/stack"
)

// TestStatusOfABrokenLab: it names the command that mends, every program that
// does not answer, and none of them twice.
func TestStatusOfABrokenLab(t *testing.T) {
	s := &flow.Status{Name: "blue", Faults: []state.Fault{{Fault: "pause marathon"}}}
	s.ZooKeeper.Error = "zookeeper srvr: connection refused"
	s.Marathon.Error = `marathon: Get "http://x/": deadline exceeded`
	s.LB.Error = "not reachable"
	var out strings.Builder
	printStatus(&out, s)
	for _, line := range []string{
		"broken (lab heal --name blue mends it)\n",
		"\n! ZooKeeper: srvr: connection refused\n",
		"\n! Marathon: Get \"http://x/\": deadline exceeded\n",
		"\n! load balancer: not reachable\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in:\n%s", line, out.String())
		}
	}
	s = &flow.Status{Name: "lab"}
	out.Reset()
	if printStatus(&out, s); !strings.Contains(out.String(), "not whole (lab create repairs what is missing)\n") {
		t.Errorf("nothing broken on purpose:\n%s", out.String())
	}
}

// TestWordsOfNumbers: one instance is no instances.
func TestWordsOfNumbers(t *testing.T) {
	for want, d := range map[string]flow.Deployed{
		"/a created: 1 instance on node2:31000\n":               {Instances: 1, Placement: []string{"node2:31000"}},
		"/a created: 2 instances on node2:31000, node3:31000\n": {Instances: 2, Placement: []string{"node2:31000", "node3:31000"}},
		"/a created: 0 instances\n":                             {},
	} {
		d.ID, d.Did = "/a", "created"
		var out strings.Builder
		if printDeployed(&out, &d); !strings.HasPrefix(out.String(), want) {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

// TestEndpointsEndWithTheAddress: a line without a note has no blanks behind it.
func TestEndpointsEndWithTheAddress(t *testing.T) {
	var out strings.Builder
	printEndpoints(&out, []stack.Endpoint{{Name: "nginx", URL: "http://a/"}, {Name: "load balancer", URL: "http://a/stats"}}, []string{"node2:31000"})
	want := "  nginx          http://a/  on node2:31000 (random ports)\n  load balancer  http://a/stats\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
