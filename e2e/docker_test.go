//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
)

// Tests on machines in containers run on an engine of their own, when
// LAB_TEST_DOCKER=1 asks for them: see internal/labtest/dockerd. They are not
// parallel: there is one engine, and two cores have enough to do with one lab.

// TestDockerMachines goes the whole way on machines in containers: real
// systemd, sshd and dockerd inside, the mini stack as real images.
func TestDockerMachines(t *testing.T) {
	engine := rig.Inside(t)
	if engine == nil {
		return
	}
	l := rig.NewDocker(t, engine)
	l.Must("create")
	for _, step := range []struct {
		name string
		do   func(*testing.T, *rig.Lab)
	}{
		{"the article's address", articleAddress},
		{"endpoints answer", endpointsAnswer},
		{"create again changes nothing", createAgain},
		{"status", status},
		{"list and open", listAndOpen},
		{"ssh", overDockerSSH},
		{"logs", dockerLogs},
		{"deploy", func(t *testing.T, l *rig.Lab) { deployAndRemove(t, l, "lab/web") }},
		{"an image of one's own", ownImage},
		{"failover", failover},
		{"partition", func(t *testing.T, l *rig.Lab) { ranAsTold(t, l, "partition", criteriaOfPartition, phasesOfFailover) }},
		{"chaos", func(t *testing.T, l *rig.Lab) { ranAsTold(t, l, "chaos", criteriaOfChaos, phasesOfChaos) }},
		{"four slaves, and two again", fourAndTwo},
		{"repairs", dockerRepairs},
		{"destroy leaves nothing", destroyAll},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, l.In(t)) }) {
			return // the steps stand on each other
		}
	}
}

func articleAddress(t *testing.T, l *rig.Lab) {
	if a := l.Get("http://192.168.59.1:10000/"); a.Status != http.StatusOK || a.Header.Get("X-Lab-Task") == "" {
		t.Errorf("the article's nginx: %d %v", a.Status, a.Header)
	}
}

// overDockerSSH looks at what DOCKER_OPTS and the machines' names came to.
func overDockerSSH(t *testing.T, l *rig.Lab) {
	labtest.NeedProgram(t, "ssh")
	for _, name := range []string{"node2", "slave1", l.IP(2)} {
		if r := l.Must("ssh", name, "cat /etc/default/docker; hostname; systemctl is-system-running"); !strings.Contains(r.Stdout, `DOCKER_OPTS="-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock --tls=false"`) ||
			!strings.HasSuffix(r.Stdout, "node2\nrunning\n") {
			t.Error(r)
		}
	}
	if r := l.Must("ssh", "master", "docker -H tcp://slave2:2375 ps --format '{{.Names}}'"); !strings.Contains(r.Stdout, "mesos_slave2\n") {
		t.Error(r)
	}
	if r := l.Run("ssh", "node2", "exit 7"); r.Code != 7 || r.Stderr != "" {
		t.Errorf("a failing command: %s", r)
	}
}

func dockerLogs(t *testing.T, l *rig.Lab) {
	if r := l.Must("logs", "node2"); !strings.Contains(r.Stdout, "dockerd") {
		t.Errorf("a machine's log without dockerd: %s", r)
	}
	if r := l.Must("logs", "node2", "mesos_slave1"); !strings.Contains(r.Stdout+r.Stderr, "egistered") {
		t.Errorf("the slave's log does not tell of its registration: %s", r)
	}
}

// ownImage loads what docker save has written: machines without a registry
// run an app of it.
func ownImage(t *testing.T, l *rig.Lab) {
	docker, file := l.Docker(1), filepath.Join(l.Work, "shop.tar")
	if _, err := docker.ImageTag(t.Context(), client.ImageTagOptions{Source: "lab/web", Target: "shop:2"}); err != nil {
		t.Fatal(err)
	}
	saved, err := docker.ImageSave(t.Context(), []string{"shop:2"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(saved)
	if err == nil {
		err = errors.Join(saved.Close(), os.WriteFile(file, data, 0o644))
	}
	if err == nil {
		_, err = docker.ImageRemove(t.Context(), "shop:2", client.ImageRemoveOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := l.Must("images", "load", file); r.Stdout != "shop:2 on node1, node2, node3.\n" {
		t.Error(r)
	}
	for n := range 3 {
		if _, err := l.Docker(n+1).ImageInspect(t.Context(), "shop:2"); err != nil {
			t.Errorf("node%d: %v", n+1, err)
		}
	}
	deployAndRemove(t, l, "shop:2")
}

// deployAndRemove deploys an app from an image that the machines have.
func deployAndRemove(t *testing.T, l *rig.Lab, image string) {
	file := l.Write("second.json", strings.Replace(second, "nginx:1.10", image, 1))
	if r := l.Must("deploy", file); !strings.Contains(r.Stdout, "/second created: 1 instance") {
		t.Error(r)
	}
	if a := l.Get(l.URL(1, 10001, "/")); a.Status != http.StatusOK {
		t.Errorf("the new app answers %d", a.Status)
	}
	var same struct{ Did string }
	l.Must("deploy", file, "-o", "json").JSON(t, &same)
	if same.Did != "unchanged" {
		t.Errorf("deployed twice: %+v", same)
	}
	a, err := rig.Ask(t.Context(), http.MethodDelete, l.URL(1, 8080, "/v2/apps/second"), "", nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("%+v, %v", a, err)
	}
	l.Await("the app to be gone", func(context.Context) error {
		if s := l.Status(); len(s.Marathon.Apps) != 1 || len(s.Marathon.Tasks) != 2 {
			return fmt.Errorf("%+v", s.Marathon)
		}
		return nil
	})
}

func fourAndTwo(t *testing.T, l *rig.Lab) {
	before := l.Containers(3)
	grown := l.Create("--slaves", "4")
	if !contains(grown.Changed, "booted node5") || !contains(grown.Changed, "mesos_slave4") {
		t.Errorf("changed: %v", grown.Changed)
	}
	s := l.AwaitWhole()
	if s.Mesos.ActiveSlaves != 4 || len(s.Machines) != 5 {
		t.Errorf("after --slaves 4: %+v", s.Mesos)
	}
	untouched(t, l, before, nil)
	shrunk := l.Create("--slaves", "2")
	if !contains(shrunk.Changed, "removed node4") || !contains(shrunk.Changed, "removed node5") {
		t.Errorf("changed: %v", shrunk.Changed)
	}
	list, err := l.EngineBelow().ContainerList(t.Context(), client.ContainerListOptions{All: true})
	if err != nil || len(list.Items) != 2*3 {
		t.Errorf("containers of the engine below: %v, %v", list.Items, err)
	}
	l.Await("Mesos to forget two slaves", func(context.Context) error {
		if s = l.Status(); !s.Whole || len(s.Mesos.Slaves) != 2 || len(s.Machines) != 3 {
			return fmt.Errorf("%d machines, slaves %+v", len(s.Machines), s.Mesos.Slaves)
		}
		return nil
	})
	l.AwaitWhole()
}

// untouched checks that containers inside machines live on, but for those
// whose node/name begins with one of the prefixes.
func untouched(t *testing.T, l *rig.Lab, before map[string]rig.Container, may []string) {
	t.Helper()
	after := l.Containers(3)
	for name, old := range before {
		allowed := slices.ContainsFunc(may, func(p string) bool { return strings.HasPrefix(name, p) })
		if after[name] != old && !allowed {
			t.Errorf("%s was touched: %v, now %v", name, old, after[name])
		}
	}
}

// dockerRepairs breaks one thing after the other behind lab's back; each time
// the next create mends that and leaves the rest alone.
func dockerRepairs(t *testing.T, l *rig.Lab) {
	for _, c := range []struct {
		name   string
		damage func(*testing.T, *rig.Lab)
		says   []string
		may    []string // prefixes of containers that may be new afterwards
		blind  bool     // status cannot see it
		always bool     // with -short, too
	}{
		{"a removed container", removeLB, []string{"started marathon-lb"}, []string{"node1/marathon-lb"}, false, true},
		{"docker kill", killMachine, []string{"booted node3"}, []string{"node3/", "node2/mesos-"}, false, true},
		{"docker stop", stopMachine, []string{"booted node2"}, []string{"node2/", "node3/mesos-"}, false, false},
		{"docker pause", pauseMachine, []string{"booted node3"}, []string{"node3/mesos", "node2/mesos-"}, false, false},
		{"docker rm -f", removeMachine, []string{"booted node2"}, []string{"node2/", "node3/mesos-"}, false, false},
		{"docker rm -f of the card", removeCard, []string{"booted node3"}, []string{"node3/", "node2/mesos-"}, false, true},
		{"docker rename", renameMachine, []string{"booted node2"}, []string{"node2/", "node3/mesos-"}, false, false},
		{"changed DOCKER_OPTS", changeOpts, []string{"DOCKER_OPTS on node3"}, []string{"node3/", "node2/mesos-"}, true, true},
		{"sshd stopped", stopSSH, nil, nil, true, true},
		{"key removed", removeKey, nil, nil, true, false},
	} {
		if testing.Short() && !c.always {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			l := l.In(t)
			before := l.Containers(3)
			c.damage(t, l)
			if !c.blind && l.Status().Whole {
				t.Error("status calls the lab whole")
			}
			made := l.Create()
			for _, want := range c.says {
				if !contains(made.Changed, want) {
					t.Errorf("changed %v, want %q", made.Changed, want)
				}
			}
			l.AwaitWhole()
			untouched(t, l, before, c.may)
			answering(t, l, 2)
			if again := l.Create(); len(again.Changed) != 0 {
				t.Errorf("the second create changes %v", again.Changed)
			}
		})
	}
}

func killMachine(t *testing.T, l *rig.Lab) {
	name, _ := l.MachineContainer(3)
	if _, err := l.EngineBelow().ContainerKill(t.Context(), name, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	awaitState(t, l, name, container.StateExited)
}

func stopMachine(t *testing.T, l *rig.Lab) {
	name, _ := l.MachineContainer(2)
	if _, err := l.EngineBelow().ContainerStop(t.Context(), name, client.ContainerStopOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitState(t, l, name, container.StateExited)
}

// pauseMachine waits until Mesos has lost the slave, so that it is not only
// thawed in time.
func pauseMachine(t *testing.T, l *rig.Lab) {
	name, _ := l.MachineContainer(3)
	if _, err := l.EngineBelow().ContainerPause(t.Context(), name, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitState(t, l, name, container.StatePaused)
	l.Await("Mesos to lose the slave", func(context.Context) error {
		if n := l.Status().Mesos.ActiveSlaves; n != 1 {
			return fmt.Errorf("%d active slaves", n)
		}
		return nil
	})
}

func removeMachine(t *testing.T, l *rig.Lab) {
	name, _ := l.MachineContainer(2)
	removeBelow(t, l, name)
}

func removeCard(t *testing.T, l *rig.Lab) {
	_, card := l.MachineContainer(3)
	removeBelow(t, l, card)
}

func renameMachine(t *testing.T, l *rig.Lab) {
	name, _ := l.MachineContainer(2)
	if _, err := l.EngineBelow().ContainerRename(t.Context(), name, client.ContainerRenameOptions{NewName: "mine-now"}); err != nil {
		t.Fatal(err)
	}
}

// stopSSH leaves a machine that runs and cannot be reached.
func stopSSH(t *testing.T, l *rig.Lab) {
	name, _ := l.MachineContainer(2)
	execBelow(t, l, name, "systemctl", "stop", "ssh.service")
}

func removeKey(t *testing.T, l *rig.Lab) {
	name, _ := l.MachineContainer(2)
	execBelow(t, l, name, "rm", "/home/vagrant/.ssh/authorized_keys")
}
