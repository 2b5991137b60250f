package stack

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

func TestTheArticlesLoadBalancerTakesNoFlags(t *testing.T) {
	_, err := New(lab.Spec{LB: lab.MarathonLBSpec{Args: []string{"--health-check"}}}, "0123abcd", lab.Features{Name: "vagrant", Real: true, OwnKernel: true, Stack: "seed", PingTimeout: 1, PingTimeouts: 1}, nodesAt("192.168.59.0/24", 2))
	if lab.ErrorID(err) != "flags-unsupported" {
		t.Errorf("error %v", err)
	}
}

// TestWithFlags starts one container with more flags, and no other.
func TestWithFlags(t *testing.T) {
	for name, c := range map[string]struct {
		spec      lab.Spec
		container string
		flags     []string
		want      string // in command or environment
		refused   string
	}{
		"marathon-lb":              {lab.Spec{}, "marathon-lb", []string{"--health-check"}, "start-marathonlb.sh --health-check", ""},
		"beside the spec's":        {lab.Spec{LB: lab.MarathonLBSpec{Args: []string{"--haproxy-map"}}}, "marathon-lb", []string{"--health-check"}, "--haproxy-map --health-check", ""},
		"marathon":                 {lab.Spec{}, "marathon", []string{"--max_tasks_per_offer", "1"}, "--max_tasks_per_offer 1", ""},
		"the master, by variables": {lab.Spec{}, "mesos_master", []string{"--roles=blue,red", "--weights=blue=2"}, "MESOS_ROLES=blue,red MESOS_WEIGHTS=blue=2", ""},
		"a master's without value": {lab.Spec{}, "mesos_master", []string{"--quiet"}, "", "--NAME=VALUE"},
		"a slave's":                {lab.Spec{}, "mesos_slave1", []string{"--x=1"}, "", "only marathon-lb, marathon and mesos_master"},
		"the article's":            {lab.Spec{Stack: "seed"}, "marathon-lb", []string{"--health-check"}, "", "passes no flags on"},
		"what the article's does":  {lab.Spec{Stack: "seed"}, "marathon-lb", []string{"--strict"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPlatform(t, c.spec, localFeatures, nodesAt("127.168.59.0/24", 2))
			got, err := p.WithFlags(c.container, c.flags)
			if c.refused != "" {
				if !errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error %v, want %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				if !slices.EqualFunc(p.Containers(), got.Containers(), func(x, y Container) bool { return x.Labels[LabelSpec] == y.Labels[LabelSpec] }) {
					t.Error("a container was changed")
				}
				return
			}
			before, after := p.Containers(), got.Containers()
			for i := range after {
				changed := before[i].Labels[LabelSpec] != after[i].Labels[LabelSpec]
				if changed != (after[i].Name == c.container) {
					t.Errorf("%s: changed %v", after[i].Name, changed)
				}
				words := strings.Join(slices.Concat(after[i].Cmd, after[i].Env), " ")
				if changed && !strings.Contains(words, c.want) {
					t.Errorf("%s lacks %q: %s", after[i].Name, c.want, words)
				}
			}
		})
	}
}
