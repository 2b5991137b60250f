//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/stack"
)

// TestCreateRepairs breaks one thing after the other by hand, behind lab's
// back; each time the next create mends that and leaves the rest alone.
func TestCreateRepairs(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create()
	l.AwaitWhole()
	for _, c := range []struct {
		name    string
		damage  func(*testing.T, *rig.Lab)
		says    []string // among what create says it did
		may     []string // prefixes of containers that may be new afterwards, as node/name
		visible bool     // status must see it before
	}{
		{"a removed container", removeLB, []string{"started marathon-lb"}, []string{"node1/marathon-lb"}, true},
		{"a killed machine", killNode3, []string{"booted node3"}, []string{"node3/", "node2/mesos-"}, true},
		{"a stopped Docker", stopDocker, []string{"DOCKER_OPTS on node2"}, []string{"node2/", "node3/mesos-"}, true},
		{"changed DOCKER_OPTS", changeOpts, []string{"DOCKER_OPTS on node3"}, []string{"node3/", "node2/mesos-"}, false},
		{"a removed app", removeApp, []string{"created /nginx"}, []string{"node2/mesos-", "node3/mesos-"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := l.In(t)
			before := l.Containers(3)
			c.damage(t, l)
			if c.visible && l.Status().Whole {
				t.Error("status calls the lab whole")
			}
			made := l.Create()
			for _, want := range c.says {
				if !contains(made.Changed, want) {
					t.Errorf("changed %v, want %q", made.Changed, want)
				}
			}
			l.AwaitWhole()
			after := l.Containers(3)
			for name, old := range before {
				allowed := slices.ContainsFunc(c.may, func(p string) bool { return strings.HasPrefix(name, p) })
				if after[name] != old && !allowed {
					t.Errorf("%s was touched: %v, now %v", name, old, after[name])
				}
			}
			answering(t, l, 2)
			if again := l.Create(); len(again.Changed) != 0 {
				t.Errorf("the second create changes %v", again.Changed)
			}
		})
	}
	l.Must("destroy")
	l.MustBeGone()
}

func removeLB(t *testing.T, l *rig.Lab) {
	if _, err := l.Docker(1).ContainerRemove(t.Context(), "marathon-lb", client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
}

func killNode3(t *testing.T, l *rig.Lab) {
	pid := l.Machine("node3").PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.Await("node3 to be dead with all it ran", func(context.Context) error {
		if p := rig.Listeners(l.IP(3) + "/32"); len(p) > 0 {
			return fmt.Errorf("it listens on %v", p)
		}
		return nil
	})
}

func stopDocker(t *testing.T, l *rig.Lab) {
	l.Must("ssh", "node2", "sudo service docker stop")
	if _, err := rig.Ask(t.Context(), http.MethodGet, l.URL(2, 2375, "/_ping"), "", nil); err == nil {
		t.Error("a stopped Docker answers")
	}
}

func changeOpts(t *testing.T, l *rig.Lab) {
	l.Must("ssh", "node3", `echo 'DOCKER_OPTS="-H unix:///var/run/docker.sock"' | sudo tee /etc/default/docker`)
}

func removeApp(t *testing.T, l *rig.Lab) {
	a, err := rig.Ask(t.Context(), http.MethodDelete, l.URL(1, 8080, "/v2/apps/nginx"), "", nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("%+v, %v", a, err)
	}
	l.Await("the app to be gone", func(context.Context) error {
		if s := l.Status(); len(s.Marathon.Apps)+len(s.Marathon.Tasks) > 0 {
			return fmt.Errorf("%+v", s.Marathon)
		}
		return nil
	})
}

// TestContainersComeBack kills processes of containers: the engine restarts
// them, no create is needed.
func TestContainersComeBack(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	s := l.AwaitWhole()
	framework, tasks := s.Marathon.FrameworkID, taskIDs(s.Marathon.Tasks)
	for _, name := range []string{"marathon-lb", "marathon", "mesos_master", "zookeeper"} {
		pid := l.PIDOf(t.Context(), 1, name)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		l.Await(name+" to run again", func(ctx context.Context) error {
			if now := l.PIDOf(ctx, 1, name); now == pid || now == 0 {
				return errors.New("not restarted")
			}
			return nil
		})
		s = l.AwaitWhole()
		if s.Marathon.FrameworkID != framework {
			t.Errorf("after %s: framework %s, was %s", name, s.Marathon.FrameworkID, framework)
		}
		if now := taskIDs(s.Marathon.Tasks); !slices.Equal(now, tasks) {
			t.Errorf("after %s: tasks %v, were %v", name, now, tasks)
		}
	}
	// A killed task is replaced by a new one.
	docker := l.Docker(2)
	task := ""
	for name := range l.Containers(2) {
		if strings.HasPrefix(name, "node2/mesos-") {
			task = strings.TrimPrefix(name, "node2/")
		}
	}
	if task == "" {
		t.Skip("both instances are on node3") // placement is Mesos' business
	}
	if _, err := docker.ContainerKill(t.Context(), task, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	l.Await("a new task", func(ctx context.Context) error {
		now := taskIDs(l.Status().Marathon.Tasks)
		if len(now) != 2 || slices.Equal(now, tasks) {
			return fmt.Errorf("tasks are %v", now)
		}
		return nil
	})
	l.AwaitWhole()
	if again := l.Create(); len(again.Changed) != 0 {
		t.Errorf("create has something to do: %v", again.Changed)
	}
}

func taskIDs(tasks []stack.TaskView) []string {
	var out []string
	for _, t := range tasks {
		out = append(out, t.ID)
	}
	slices.Sort(out)
	return out
}
