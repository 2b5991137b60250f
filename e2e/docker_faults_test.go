//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
)

// moment is a place in lab create on machines in containers, known by what
// lab says or by what the engine below sees.
type moment struct {
	name   string
	event  func(lab.Event) bool // of lab
	below  string               // pattern of an event of the engine below: "container create lab-.*-net"
	inside string               // pattern for DOCKER_OPTS in node2's file, once node2 is asked for it
}

// stage is a moment at which a step starts.
func stage(name, step string) moment {
	return moment{name: name, event: func(e lab.Event) bool {
		return e.Kind == lab.EventStart && (e.Step == step || strings.HasSuffix(e.Step, "/"+step))
	}}
}

// stages are the moments in their order.
var stages = []moment{
	{name: "network made", below: `^network create lab-`},
	{name: "card made", below: `^container create lab-\w+-node\d-net$`},
	{name: "volume made", below: `^volume create lab-`},
	{name: "machine made", below: `^container create lab-\w+-node\d$`},
	{name: "machine started", below: `^container start lab-\w+-node\d$`},
	stage("SSH", "ssh"),
	{name: "DOCKER_OPTS written", inside: `tcp://`},
	stage("port 2375", ":2375"),
	{name: "images on their way", event: func(e lab.Event) bool {
		return e.Kind == lab.EventWait && e.Node != "" && strings.HasSuffix(e.Step, "images")
	}},
	stage("first container", "zookeeper"),
	stage("last container", "marathon-lb"),
	stage("app", "nginx"),
}

// TestDockerKilledCreate ends one create after the other, each at a later
// moment, by SIGKILL and by Ctrl-C in turn; the last one has to make a whole
// lab of what they have left. With LAB_TEST_LONG=1 each moment and signal also
// gets a lab of its own, and is followed by destroy alone, too.
func TestDockerKilledCreate(t *testing.T) {
	engine := rig.Inside(t)
	if engine == nil {
		return
	}
	l := rig.NewDocker(t, engine)
	for i, m := range stages {
		t.Run(m.name, func(t *testing.T) { endDockerCreate(t, l.In(t), m, i%2 == 1) })
	}
	wholeAgain(t, l)
	l.Must("destroy")
	l.MustBeGone()
	// Destroy comes right after a killed create.
	few := []int{1, 6, 8, 10}
	if long() {
		few = nil
		for i := range stages {
			few = append(few, i)
		}
	}
	for _, i := range few {
		t.Run(stages[i].name+", then destroy", func(t *testing.T) {
			l := l.In(t)
			endDockerCreate(t, l, stages[i], false)
			l.Must("destroy")
			l.MustBeGone()
			l.MustLeaveOnlyLocks()
		})
	}
	if !long() {
		return
	}
	for _, m := range stages {
		for _, interrupt := range []bool{false, true} {
			t.Run(fmt.Sprint(m.name, ", then create, interrupted: ", interrupt), func(t *testing.T) {
				l := l.In(t)
				endDockerCreate(t, l, m, interrupt)
				wholeAgain(t, l)
				l.Must("destroy")
				l.MustBeGone()
			})
		}
	}
}

// long says that tests may take their time.
func long() bool { return os.Getenv("LAB_TEST_LONG") == "1" }

func wholeAgain(t *testing.T, l *rig.Lab) {
	t.Helper()
	l.Create()
	s := l.AwaitWhole()
	if len(s.Machines) != 3 || s.Mesos.ActiveSlaves != 2 || len(s.Marathon.Tasks) != 2 {
		t.Errorf("not the lab that was wanted: %+v", s)
	}
	answering(t, l, 2)
	if again := l.Create(); len(again.Changed) != 0 {
		t.Errorf("create has something to do: %v", again.Changed)
	}
}

// endDockerCreate starts a create and ends it at a moment.
func endDockerCreate(t *testing.T, l *rig.Lab, m moment, interrupt bool) {
	t.Helper()
	r := startUntil(t, l, m)
	sig, code := os.Signal(syscall.SIGKILL), 137
	if interrupt {
		sig, code = os.Interrupt, 130
	}
	r.Signal(sig)
	res := r.Wait(nil)
	if res.Code != code {
		t.Errorf("exit code %d, want %d: %s", res.Code, code, res)
	}
	if interrupt && (!strings.Contains(res.Stderr, "lab: ") || !strings.Contains(res.Stderr, "same command again") || strings.Contains(res.Stderr, "goroutine")) {
		t.Errorf("an interruption has to be told: %s", res)
	}
}

// startUntil starts a create and returns at a moment.
func startUntil(t *testing.T, l *rig.Lab, m moment) *rig.Running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	below := l.EngineBelow().Events(ctx, client.EventsListOptions{})
	r := l.Start("create")
	switch {
	case m.event != nil:
		for {
			e, ok := r.Next()
			if !ok {
				t.Fatalf("create ended before %s: %s", m.name, r.Wait(nil))
			}
			if m.event(e) {
				return r
			}
		}
	case m.inside != "":
		awaitFile(t, l, r, m.inside)
		return r
	}
	// What an earlier create has asked the engine for may come now: this one
	// must be there to hear a signal.
	r.Next()
	pattern := regexp.MustCompile(m.below)
	for {
		select {
		case e := <-below.Messages:
			if pattern.MatchString(words(e)) {
				return r
			}
		case err := <-below.Err:
			t.Fatalf("engine's events before %s: %v", m.name, err)
		}
	}
}

// words are an event of the engine in one line.
func words(e events.Message) string {
	name := e.Actor.Attributes["name"]
	if name == "" {
		name = e.Actor.ID
	}
	return fmt.Sprint(string(e.Type), " ", string(e.Action), " ", name)
}

// awaitFile waits until node2's /etc/default/docker says something, asked of
// the engine below.
func awaitFile(t *testing.T, l *rig.Lab, r *rig.Running, pattern string) {
	t.Helper()
	engine, want := l.EngineBelow(), regexp.MustCompile(pattern)
	l.Await("DOCKER_OPTS on node2", func(ctx context.Context) error {
		if r.Ended() {
			return lab.Permanent(fmt.Errorf("create ended before: %s", r.Wait(nil)))
		}
		list, err := engine.ContainerList(ctx, client.ContainerListOptions{})
		if err != nil {
			return err
		}
		for _, c := range list.Items {
			if !slices.ContainsFunc(c.Names, func(n string) bool { return strings.HasSuffix(n, "-node2") }) {
				continue
			}
			text, err := fileIn(ctx, engine, c.ID, "/etc/default/docker")
			if err == nil && !want.Match(text) {
				err = fmt.Errorf("it says %q", text)
			}
			return err
		}
		return fmt.Errorf("no node2 among %v", list.Items)
	})
}

// TestDockerTwoCreates starts a second create while the first one works.
func TestDockerTwoCreates(t *testing.T) {
	engine := rig.Inside(t)
	if engine == nil {
		return
	}
	l := rig.NewDocker(t, engine)
	r := startUntil(t, l, stages[4])
	l.Refuse(1, []string{fmt.Sprintf(`"lab create" (pid %d) works on lab lab, since `, r.PID()), "lab-locked", "lab: try: "}, "create")
	l.Refuse(1, []string{"lab-locked"}, "destroy")
	if res := r.Wait(nil); res.Code != 0 {
		t.Fatal(res)
	}
	l.AwaitWhole()
	l.Must("destroy")
	l.MustBeGone()
}

// TestDockerFullDisks fills the disk of the state folder, then that of a
// machine's Docker: each time the error says where, and with room there the
// same command goes on.
func TestDockerFullDisks(t *testing.T) {
	engine := rig.Inside(t)
	if engine == nil {
		return
	}
	t.Run("state folder", func(t *testing.T) {
		l := rig.NewDocker(t, engine)
		if err := syscall.Mount("tmpfs", l.State, "tmpfs", 0, "size=16k"); err != nil {
			t.Fatal(err)
		}
		defer syscall.Unmount(l.State, syscall.MNT_DETACH)
		l.Refuse(1, []string{"no space left on device", "disk-full", "lab: try: make room"}, "create")
		if err := syscall.Mount("tmpfs", l.State, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
			t.Fatal(err)
		}
		l.Create("--no-app")
		l.Must("destroy")
		l.MustBeGone()
	})
	t.Run("a machine's Docker", func(t *testing.T) {
		l := rig.NewDocker(t, engine)
		endDockerCreate(t, l, stages[0], false)
		disk := smallDisk(t, l)
		l.Refuse(1, []string{"node2: ", "disk-full", "lab: try: make room"}, "create", "--no-app")
		if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=2g"); err != nil {
			t.Fatal(err)
		}
		l.Create("--no-app")
		if !l.Status().Whole {
			t.Error("not whole with room on the disk")
		}
		l.Must("destroy")
		l.MustBeGone()
	})
}

// TestDockerSilentEngine stops the engine below in the middle of a create:
// that ends with an error that says so, and goes on when the engine does.
func TestDockerSilentEngine(t *testing.T) {
	if !long() {
		t.Skip("waits for half a minute: LAB_TEST_LONG=1 asks for it")
	}
	engine := rig.Inside(t)
	if engine == nil {
		return
	}
	l := rig.NewDocker(t, engine)
	r := startUntil(t, l, stages[3])
	if err := syscall.Kill(engine.PID(t), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { syscall.Kill(engine.PID(t), syscall.SIGCONT) }
	defer goOn()
	res := r.Wait(nil)
	if res.Code != 1 || !strings.Contains(res.Stderr, "engine-silent") || !strings.Contains(res.Stderr, "it has not answered for 30s") {
		t.Error(res)
	}
	l.Refuse(1, []string{"engine-unreachable"}, "create")
	l.Refuse(1, []string{"engine-unreachable"}, "destroy")
	goOn()
	wholeAgain(t, l)
	l.Must("destroy")
	l.MustBeGone()
}

// TestDockerSilentMachine stops dockerd of one machine in the middle of a
// create.
func TestDockerSilentMachine(t *testing.T) {
	if !long() {
		t.Skip("waits for two minutes: LAB_TEST_LONG=1 asks for it")
	}
	engine := rig.Inside(t)
	if engine == nil {
		return
	}
	l := rig.NewDocker(t, engine)
	r := startUntil(t, l, stages[8])
	name, _ := l.MachineContainer(2)
	execBelow(t, l, name, "systemctl", "kill", "--signal=STOP", "docker.service")
	if res := r.Wait(nil); res.Code != 1 || !strings.Contains(res.Stderr, "node2: ") {
		t.Error(res)
	}
	execBelow(t, l, name, "systemctl", "kill", "--signal=CONT", "docker.service")
	wholeAgain(t, l)
	l.Must("destroy")
	l.MustBeGone()
}
