//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest/realzk"
)

// TestRealZooKeeper puts a real ZooKeeper in the place of the lab's: master,
// slaves, Marathon and the load balancer go on with it, through the death of
// the master, of Marathon and of ZooKeeper itself.
func TestRealZooKeeper(t *testing.T) {
	realzk.Need(t)
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast", "--no-app")
	engine := l.Docker(1)
	once := client.ContainerStopOptions{}
	if _, err := engine.ContainerStop(t.Context(), "zookeeper", once); err != nil {
		t.Fatal(err)
	}
	server := realzk.Start(t, l.IP(1)+":2181")
	for _, name := range []string{"mesos_master", "marathon"} { // who has seen more than a server has is turned away
		if _, err := engine.ContainerRestart(t.Context(), name, client.ContainerRestartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	leads(l, 2)
	l.Must("deploy", l.Write("web.json", `{"id":"/web","instances":2,"cpus":0.1,"mem":16,"container":{"type":"DOCKER","docker":
		{"image":"lab/web","network":"BRIDGE","portMappings":[{"containerPort":80,"servicePort":10000}]}},
		"healthChecks":[{"protocol":"HTTP","path":"/","intervalSeconds":1}],"labels":{"HAPROXY_GROUP":"external"}}`))
	tasks := runs(l, 2)
	stored(t, server.Addr)

	for _, name := range []string{"mesos_master", "marathon"} {
		if _, err := engine.ContainerKill(t.Context(), name, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.ContainerStart(t.Context(), name, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
		leads(l, 2)
		if now := runs(l, 2); !maps.Equal(now, tasks) {
			t.Errorf("after the death of %s: %v, want %v", name, now, tasks)
		}
	}
	server.Kill()
	server.Again()
	leads(l, 2)
	l.Must("deploy", l.Write("more.json", `{"id":"/more","instances":1,"cpus":0.1,"mem":16,"container":{"type":"DOCKER","docker":{"image":"lab/web","network":"HOST"}}}`))
	l.Await("an app deployed after the death of ZooKeeper", func(context.Context) error {
		for _, a := range l.Status().Marathon.Apps {
			if a.ID == "/more" && a.Running == 1 {
				return nil
			}
		}
		return errors.New("it does not run")
	})
	now := runs(l, 3)
	for id, at := range tasks {
		if now[id] != at {
			t.Errorf("%s is on %s, was on %s", id, now[id], at)
		}
	}
	l.Must("destroy")
	l.MustBeGone()
}

// leads waits for a master with so many slaves, and a Marathon that leads and
// is connected to it.
func leads(l *rig.Lab, slaves int) {
	l.Await("a master, its slaves and Marathon", func(context.Context) error {
		s := l.Status()
		switch {
		case s.Mesos.Error != "" || s.Marathon.Error != "":
			return errors.New(s.Mesos.Error + s.Marathon.Error)
		case s.Mesos.ActiveSlaves != slaves:
			return fmt.Errorf("%d slaves are active", s.Mesos.ActiveSlaves)
		case s.Marathon.Leader == "":
			return errors.New("marathon does not lead")
		}
		return nil
	})
}

// runs waits for so many running tasks, and returns where each is.
func runs(l *rig.Lab, want int) map[string]string {
	out := map[string]string{}
	l.Await(fmt.Sprintf("%d running tasks", want), func(context.Context) error {
		clear(out)
		s := l.Status()
		for _, t := range s.Marathon.Tasks {
			if t.State == "TASK_RUNNING" || t.State == "running" {
				out[t.ID] = t.Node
			}
		}
		if len(out) != want {
			return fmt.Errorf("%d run: %+v", len(out), s.Marathon.Tasks)
		}
		return nil
	})
	return out
}

// stored looks at what the real server has been told.
func stored(t *testing.T, addr string) {
	t.Helper()
	conn, events, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		for range events { // the library wants them read
		}
	}()
	for parent, want := range map[string]string{"/mesos": "json.info_", "/marathon": "state", "/marathon/state": "app:web"} {
		names, _, err := conn.Children(parent)
		if err != nil || !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, want) }) {
			t.Errorf("%s: %v, %v; want %s…", parent, names, err, want)
		}
	}
}
