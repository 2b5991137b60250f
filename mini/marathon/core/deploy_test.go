package core_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/change"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/view"
)

func itoa(n int) string { return strconv.Itoa(n) }

func upgradable(n int, least, over float64) string {
	return fmt.Sprintf(`{"id":"web","cmd":"v1","cpus":0.1,"mem":32,"instances":%d,
	 "upgradeStrategy":{"minimumHealthCapacity":%g,"maximumOverCapacity":%g}}`, n, least, over)
}

func TestRestartKeepsWithinTheUpgradeStrategy(t *testing.T) {
	for _, c := range []struct {
		n           int
		least, over float64
		low, high   int // of tasks that run or start
	}{
		{4, 1, 1, 4, 8}, {4, 0.5, 0, 2, 4}, {4, 0, 0, 0, 4}, {3, 0.5, 0.34, 2, 4}, {1, 1, 0, 1, 2}, {2, 1, 0, 2, 3}, {1, 0, 0, 0, 1}, {0, 1, 1, 0, 0},
	} {
		t.Run(fmt.Sprintf("%d-%g-%g", c.n, c.least, c.over), func(t *testing.T) {
			run(t, func(t *testing.T, l *lab) {
				l.create(upgradable(c.n, c.least, c.over))
				l.pass(time.Second)
				old := l.running("/web")
				if _, err := l.update("/web", `{"cmd":"v2"}`, false); err != nil {
					t.Fatal(err)
				}
				low, high := c.n, 0
				for range 400 {
					n, up := len(l.running("/web")), 0
					for _, v := range l.view("/web").Tasks {
						if !v.StartedAt.IsZero() && slices.Contains(l.running("/web"), v.ID) {
							up++
						}
					}
					low, high = min(low, up), max(high, n)
					l.pass(10 * time.Millisecond)
				}
				if l.deploying() != 0 {
					t.Fatalf("not done after 4 s: %v", l.running("/web"))
				}
				now := l.running("/web")
				if len(now) != c.n || slices.ContainsFunc(now, func(id string) bool { return slices.Contains(old, id) }) {
					t.Errorf("%v became %v", old, now)
				}
				if low < c.low || high > c.high {
					t.Errorf("between %d and %d tasks were there, allowed are %d to %d", low, high, c.low, c.high)
				}
			})
		})
	}
}

func TestRestartWaitsForHealth(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(checked)
		l.pass(6 * time.Second)
		old := l.running("/web")
		l.sick.mu.Lock()
		l.sick.all = 500
		for _, v := range l.view("/web").Tasks {
			l.sick.status[address(v)] = 200
		}
		l.sick.mu.Unlock()
		if _, err := change.RestartApp(l.Core, "/web", false); err != nil {
			t.Fatal(err)
		}
		l.pass(20 * time.Second)
		for _, id := range old {
			if !slices.Contains(l.running("/web"), id) {
				t.Errorf("%s was killed although nothing new is healthy", id)
			}
		}
		l.sick.mu.Lock()
		l.sick.all = 200
		l.sick.mu.Unlock()
		l.pass(20 * time.Second)
		if l.deploying() != 0 || slices.ContainsFunc(l.running("/web"), func(id string) bool { return slices.Contains(old, id) }) {
			t.Errorf("not replaced: %v", l.running("/web"))
		}
	})
}

func TestLockForceAndRollback(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		huge, err := l.update("/sleep", `{"cpus":100}`, false) // fits nowhere: hangs
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.update("/sleep", `{"instances":3}`, false)
		var locked *core.LockedError
		if !errors.As(err, &locked) || !slices.Equal(locked.Deployments, []string{huge.DeploymentID}) {
			t.Fatalf("a second change: %v", err)
		}
		if _, _, err := l.KillTasks(l.running("/sleep"), false, false); !errors.As(err, &locked) {
			t.Errorf("kill while locked: %v", err)
		}
		back, err := l.CancelDeployment(huge.DeploymentID, false)
		if err != nil || back.DeploymentID == huge.DeploymentID {
			t.Fatal(back, err)
		}
		l.pass(5 * time.Second)
		if v := l.view("/sleep"); v.CPUs != 0.5 || l.deploying() != 0 || *v.TasksRunning != 2 {
			t.Errorf("after the rollback: cpus %v, %d run", v.CPUs, *v.TasksRunning)
		}
		if l.log.count("deployment_failed") != 1 {
			t.Errorf("events %v", l.log.kinds())
		}
		if _, err := l.update("/sleep", `{"cpus":100}`, false); err != nil {
			t.Fatal(err)
		}
		if _, err := l.update("/sleep", `{"cpus":0.1}`, true); err != nil {
			t.Fatal(err)
		}
		l.pass(5 * time.Second)
		if v := l.view("/sleep"); v.CPUs != 0.1 || l.deploying() != 0 {
			t.Errorf("after force: cpus %v, %d deployments", v.CPUs, l.deploying())
		}
		if _, err := l.update("/sleep", `{"cpus":100}`, false); err != nil {
			t.Fatal(err)
		}
		ds, _ := view.Deployments(l.Core)
		if res, err := l.CancelDeployment(ds[0].ID, true); err != nil || res.DeploymentID != "" || l.deploying() != 0 {
			t.Errorf("cancelled with force: %v %v, %d left", res, err, l.deploying())
		}
	})
}

func TestDeploymentSurvivesTheLeader(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(upgradable(3, 1, 0))
		l.pass(time.Second)
		old := l.running("/web")
		if _, err := l.update("/web", `{"cmd":"v2"}`, false); err != nil {
			t.Fatal(err)
		}
		l.pass(250 * time.Millisecond)
		l.stop()
		l.pass(time.Minute)
		l.start()
		if l.deploying() != 1 {
			t.Fatal("the deployment is forgotten")
		}
		l.pass(20 * time.Second)
		if l.deploying() != 0 || len(l.running("/web")) != 3 || slices.ContainsFunc(l.running("/web"), func(id string) bool { return slices.Contains(old, id) }) {
			t.Errorf("%v became %v, %d deployments", old, l.running("/web"), l.deploying())
		}
	})
}

func TestDependenciesComeFirst(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		body := `{"id":"/shop","apps":[
		 {"id":"web","cmd":"x","cpus":0.1,"mem":32,"dependencies":["db"]},{"id":"db","cmd":"x","cpus":0.1,"mem":32}]}`
		u, err := group.ParseUpdate([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := change.CreateGroup(l.Core, "/shop", u, false); err != nil {
			t.Fatal(err)
		}
		l.pass(100 * time.Millisecond)
		if len(l.running("/shop/db")) != 1 || len(l.running("/shop/web")) != 0 {
			t.Errorf("at first: db %v, web %v", l.running("/shop/db"), l.running("/shop/web"))
		}
		l.pass(time.Second)
		if len(l.running("/shop/web")) != 1 || l.deploying() != 0 {
			t.Errorf("then: web %v", l.running("/shop/web"))
		}
		if _, err := change.DeleteGroup(l.Core, "/shop", false); err != nil {
			t.Fatal(err)
		}
		l.pass(time.Second)
		if len(l.twin.Tasks()) != 0 || l.deploying() != 0 {
			t.Error("the group's tasks are still there")
		}
	})
}

func TestChangeOfNothingEndsAtOnce(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		old := l.running("/sleep")
		if _, err := l.update("/sleep", sleeper, false); err != nil {
			t.Fatal(err)
		}
		if l.deploying() != 0 {
			t.Error("a change of nothing is deployed")
		}
		l.stop()
		l.start() // definitions read back from the store are the same, too
		if _, err := l.update("/sleep", sleeper, false); err != nil {
			t.Fatal(err)
		}
		l.pass(time.Second)
		if now := l.running("/sleep"); l.deploying() != 0 || !slices.Equal(now, old) {
			t.Errorf("%v became %v", old, now)
		}
	})
}

func TestRollbackToAnOldVersion(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		vs, _ := view.Versions(l.Core, "/sleep")
		if _, err := l.update("/sleep", `{"cmd":"other"}`, false); err != nil {
			t.Fatal(err)
		}
		l.pass(5 * time.Second)
		if _, err := l.update("/sleep", `{"version":"`+vs[0].String()+`"}`, false); err != nil {
			t.Fatal(err)
		}
		l.pass(5 * time.Second)
		if v := l.view("/sleep"); *v.Cmd != "sleep 1000" || l.deploying() != 0 {
			t.Errorf("cmd is %q", *v.Cmd)
		}
		if vs, _ := view.Versions(l.Core, "/sleep"); len(vs) != 3 || !vs[0].After(vs[2].Time) {
			t.Errorf("versions %v", vs)
		}
		if _, err := l.update("/sleep", `{"version":"2001-01-01T00:00:00.000Z"}`, false); err == nil {
			t.Error("rolled back to a version that never was")
		}
		if _, err := view.Version(l.Core, "/sleep", app.Time{}); err == nil {
			t.Error("showed a version that never was")
		}
	})
}

func TestConstraintsPlaceTasks(t *testing.T) {
	for _, c := range []struct {
		constraint string
		instances  int
		check      func(hosts map[string]int) bool
	}{
		{`["hostname","UNIQUE"]`, 4, func(h map[string]int) bool { return len(h) == 3 && h["10.0.0.1"] == 1 }},
		{`["rack","CLUSTER","r2"]`, 2, func(h map[string]int) bool { return h["10.0.0.3"] == 2 }},
		{`["hostname","CLUSTER"]`, 3, func(h map[string]int) bool { return len(h) == 1 }},
		{`["hostname","GROUP_BY","3"]`, 6, func(h map[string]int) bool { return h["10.0.0.1"] == 2 && h["10.0.0.2"] == 2 && h["10.0.0.3"] == 2 }},
		{`["hostname","LIKE","10\\.0\\.0\\.[12]"]`, 6, func(h map[string]int) bool { return h["10.0.0.3"] == 0 && len(h) == 2 }},
		{`["rack","UNLIKE","r1"]`, 3, func(h map[string]int) bool { return h["10.0.0.3"] == 3 }},
	} {
		t.Run(c.constraint, func(t *testing.T) {
			run(t, func(t *testing.T, l *lab) {
				l.create(fmt.Sprintf(`{"id":"c","cmd":"x","cpus":0.1,"mem":32,"instances":%d,"constraints":[%s]}`, c.instances, c.constraint))
				l.pass(30 * time.Second)
				hosts := map[string]int{}
				for _, v := range l.view("/c").Tasks {
					hosts[v.Host]++
				}
				if !c.check(hosts) {
					t.Errorf("hosts %v", hosts)
				}
			})
		})
	}
}
