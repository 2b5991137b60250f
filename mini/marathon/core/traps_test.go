package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathon/view"
)

// TestTrapsOfConstraints: what surprises people in 1.1.1. Agents are three:
// 10.0.0.1 and .2 in rack r1, .3 in r2; 4 cpus each.
func TestTrapsOfConstraints(t *testing.T) {
	for _, c := range []struct {
		constraint string
		cpus       float64
		want       int
		hosts      string // tasks per host, sorted; "" is not looked at
		waiting    int
		why        string
	}{
		{`["hostname","UNIQUE"]`, 0.1, 5, "1 1 1", 2, "one per agent: the others wait for ever"},
		{`["rack","UNIQUE"]`, 0.1, 3, "1 1", 1, "one per value, not per agent"},
		{`["hostname","CLUSTER"]`, 1, 6, "4", 2, "the first place decides, and it is full"},
		{`["hostname","CLUSTER","10.0.0.3"]`, 1, 6, "4", 2, "the value is the host"},
		{`["rack","CLUSTER","r9"]`, 0.1, 2, "", 2, "nobody has it"},
		{`["rack","GROUP_BY","3"]`, 0.1, 5, "1 1", 3, "two racks are not three groups: after one task in each nothing goes on"},
		{`["rack","GROUP_BY"]`, 1, 10, "", 1, "r2 is full with 4, so r1 takes 5 and no more"},
		{`["rack","GROUP_BY","2"]`, 0.1, 6, "", 0, "three in each rack"},
		{`["hostname","LIKE","10.0.0"]`, 0.1, 2, "", 2, "the whole value has to match"},
		{`["hostname","LIKE","10.0.0.[12]"]`, 0.1, 4, "", 0, ""},
		{`["disk","UNLIKE","ssd"]`, 0.1, 4, "", 0, "an agent without the attribute passes"},
		{`["disk","LIKE",".*"]`, 0.1, 2, "", 2, "and never here"},
	} {
		t.Run(c.constraint, func(t *testing.T) {
			run(t, func(t *testing.T, l *lab) {
				l.create(fmt.Sprintf(`{"id":"x","cmd":"x","cpus":%g,"mem":32,"instances":%d,"constraints":[%s]}`, c.cpus, c.want, c.constraint))
				l.pass(5 * time.Minute)
				perHost := map[string]int{}
				for _, task := range l.view("/x").Tasks {
					perHost[task.Host]++
				}
				var counts []int
				for _, n := range perHost {
					counts = append(counts, n)
				}
				slices.Sort(counts)
				if got := fmt.Sprint(counts); c.hosts != "" && got != "["+c.hosts+"]" {
					t.Errorf("per host %s, want [%s]: %s", got, c.hosts, c.why)
				}
				if n := len(l.running("/x")); n != c.want-c.waiting {
					t.Errorf("%d run, want %d of %d: %s", n, c.want-c.waiting, c.want, c.why)
				}
				q, _ := view.Queue(l.Core)
				if c.waiting > 0 && (len(q) != 1 || q[0].Count != c.waiting || !q[0].Delay.Overdue || l.deploying() != 1) {
					t.Errorf("queue %+v, %d deployments: what waits must be seen", q, l.deploying())
				}
			})
		})
	}
}

// TestAnUpgradeMayUseTheSamePlaces: constraints count tasks of the same
// configuration only, so UNIQUE on every agent does not block an upgrade.
func TestAnUpgradeMayUseTheSamePlaces(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(`{"id":"x","cmd":"v1","cpus":0.1,"mem":32,"instances":3,"constraints":[["hostname","UNIQUE"]]}`)
		l.pass(time.Second)
		before := l.running("/x")
		if _, err := l.update("/x", `{"cmd":"v2"}`, false); err != nil {
			t.Fatal(err)
		}
		l.pass(10 * time.Second)
		after := l.running("/x")
		if len(after) != 3 || l.deploying() != 0 || slices.ContainsFunc(after, func(id string) bool { return slices.Contains(before, id) }) {
			t.Errorf("%v became %v, %d deployments", before, after, l.deploying())
		}
		// A moved constraint alone restarts, too.
		if _, err := l.update("/x", `{"constraints":[["rack","LIKE","r1"]]}`, false); err != nil {
			t.Fatal(err)
		}
		l.pass(10 * time.Second)
		for _, task := range l.view("/x").Tasks {
			if task.Host == "10.0.0.3" {
				t.Errorf("%s is still in r2", task.ID)
			}
		}
	})
}
