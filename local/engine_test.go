//go:build unix

package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
)

// docker speaks to the engine of a machine by its unix socket through SSH.
type docker struct {
	t      *testing.T
	client *http.Client
}

func dockerOf(t *testing.T, m lab.Machine) docker {
	c := connect(t, m, "vagrant")
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c.Dial("unix", "/var/run/docker.sock") }}}
	t.Cleanup(client.CloseIdleConnections)
	return docker{t, client}
}

func (d docker) call(method, path string, body any, want int) []byte {
	d.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://docker"+path, bytes.NewReader(text))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		d.t.Fatalf("%s %s: %s %s, %v", method, path, res.Status, answer, err)
	}
	return answer
}

type obj = map[string]any

// run starts a container with host networking.
func (d docker) run(name, image string, cmd []string, host obj) {
	d.t.Helper()
	settings := obj{"NetworkMode": "host"}
	for k, v := range host {
		settings[k] = v
	}
	d.call("POST", "/containers/create?name="+name, obj{"Image": image, "Cmd": cmd, "HostConfig": settings}, 201)
	d.call("POST", "/containers/"+name+"/start", nil, 204)
}

func (d docker) state(name string) (status string, pid int) {
	d.t.Helper()
	var c struct {
		State struct {
			Status string
			Pid    int
		}
	}
	if err := json.Unmarshal(d.call("GET", "/containers/"+name+"/json", nil, 200), &c); err != nil {
		d.t.Fatal(err)
	}
	return c.State.Status, c.State.Pid
}

// echoes waits until an address echoes.
func echoes(t *testing.T, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var conn net.Conn
	err := lab.Until(ctx, 10*time.Millisecond, address+" to echo", func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		c.SetDeadline(time.Now().Add(2 * time.Second))
		fmt.Fprint(c, "hello")
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil {
			c.Close()
			return err
		}
		c.SetDeadline(time.Time{})
		conn = c
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// deaf asserts that newcomers at every address hang.
func deaf(t *testing.T, addresses ...string) {
	t.Helper()
	var all sync.WaitGroup
	for _, address := range addresses {
		all.Go(func() {
			for range 3 {
				_, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
				if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
					t.Errorf("dial %s: %v, want a time-out", address, err)
				}
			}
		})
	}
	all.Wait()
}

func TestContainersThroughPower(t *testing.T) {
	p, plan, ms := up(t, 2)
	m := ms[1]
	d := dockerOf(t, m)
	d.run("always", "lab/echo", []string{"echo", ":7000", ":7001"}, obj{"RestartPolicy": obj{"Name": "always"}})
	d.run("once", "lab/echo", []string{"echo", ":7002"}, nil)
	d.call("POST", "/containers/create?name=bridge", obj{"Image": "lab/echo", "Cmd": []string{"echo", "0.0.0.0:7000"}, "ExposedPorts": obj{"7000/tcp": obj{}},
		"HostConfig": obj{"PortBindings": obj{"7000/tcp": []obj{{"HostPort": "7100"}, {"HostPort": "7101"}}}}}, 201)
	d.call("POST", "/containers/bridge/start", nil, 204)
	ip := m.IP.String()
	all := []string{ip + ":7000", ip + ":7001", ip + ":7002", ip + ":7100", ip + ":7101"}
	for _, address := range all {
		echoes(t, address)
	}
	procs, err := folder.Folder(filepath.Join(plan.Dir, "machines", m.Name)).Procs()
	if err != nil || len(procs) != 3 {
		t.Fatalf("procs.json: %+v, %v", procs, err)
	}
	power := func(power lab.Power) {
		t.Helper()
		if err := p.Power(t.Context(), plan, []string{m.Name}, power); err != nil {
			t.Fatal(err)
		}
	}

	open := echoes(t, all[0])
	power(lab.PowerPause)
	deaf(t, all...)
	if _, err := fmt.Fprint(open, "later"); err != nil {
		t.Fatal(err)
	}
	power(lab.PowerOn)
	b := make([]byte, 5)
	open.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(open, b); err != nil || string(b) != "later" {
		t.Errorf("after the pause: %q, %v", b, err)
	}
	for _, address := range all {
		echoes(t, address)
	}

	power(lab.PowerCut)
	deaf(t, all...)
	for _, proc := range procs {
		if s := proc.State(); s != proctab.Stopped {
			t.Errorf("process %d of %s is %s, want stopped", proc.PID, proc.Name, s)
		}
	}
	open.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := open.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an open connection ended with the cut: %v", err)
	}
	power(lab.PowerOn)
	for _, proc := range procs {
		if s := proc.State(); s != proctab.Gone {
			t.Errorf("process %d of the old life is %s", proc.PID, s)
		}
	}
	echoes(t, all[0])
	refuses(t, all[2])

	for _, mode := range []lab.Power{lab.PowerCrash, lab.PowerOff} {
		power(mode)
		for _, address := range all {
			refuses(t, address)
		}
		power(lab.PowerOn)
		echoes(t, all[1])
		refuses(t, all[2])
	}
	if status, pid := dockerOf(t, m).state("always"); status != "running" || pid == 0 {
		t.Errorf("always is %s, pid %d", status, pid)
	}
}

func refuses(t *testing.T, address string) {
	t.Helper()
	if _, err := net.DialTimeout("tcp", address, 5*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial %s: %v, want refused", address, err)
	}
}

func TestContainerCommands(t *testing.T) {
	_, plan, ms := up(t, 1)
	d := dockerOf(t, ms[0])
	d.run("echo", "lab/echo", nil, nil)
	echoes(t, ms[0].IP.String()+":7000")
	exec := func(cmd ...string) string {
		t.Helper()
		var x struct{ Id string } //nolint:revive // Docker's name
		if err := json.Unmarshal(d.call("POST", "/containers/echo/exec", obj{"Cmd": cmd, "AttachStdout": true, "AttachStderr": true, "Tty": true}, 201), &x); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(d.call("POST", "/exec/"+x.Id+"/start", obj{"Tty": true}, 200)), "\r", "")
	}
	if out := exec("sh", "-c", "echo in > /tmp/f; cat /tmp/f; pwd; id -un; curl -s http://localhost:7999/ || echo $?"); out != "in\n/\nroot\n7\n" {
		t.Errorf("exec: %q", out)
	}
	if out := exec("cat", "../../../../../../etc/init.d/docker"); strings.Contains(out, "service") {
		t.Errorf("a container reads the machine: %q", out)
	}
	if out := exec("service", "docker", "stop"); strings.Contains(out, "stop/waiting") {
		t.Errorf("a container stops docker: %q", out)
	}
	files, _ := filepath.Glob(filepath.Join(plan.Dir, "machines/node1/root/var/lib/docker/containers/*/rootfs/tmp/f"))
	if len(files) != 1 {
		t.Errorf("the container's file lies at %v", files)
	}
	d.run("script", "lab/sh", []string{"sh", "-c", "echo out; exit 4"}, nil)
	var w struct{ StatusCode int }
	if err := json.Unmarshal(d.call("POST", "/containers/script/wait", nil, 200), &w); err != nil || w.StatusCode != 4 {
		t.Errorf("script: %+v, %v", w, err)
	}
	d.run("long", "lab/sh", []string{"sh", "-c", "while true; do sleep 1; done"}, nil)
	d.call("POST", "/containers/long/kill", nil, 204)
	if err := json.Unmarshal(d.call("POST", "/containers/long/wait", nil, 200), &w); err != nil || w.StatusCode != 137 {
		t.Errorf("long: %+v, %v", w, err)
	}
	d.call("POST", "/containers/create?name=none", obj{"Image": "lab/sh", "Cmd": []string{"/usr/bin/perl"}}, 201)
	if out := d.call("POST", "/containers/none/start", nil, 400); !bytes.Contains(out, []byte("not found")) {
		t.Errorf("a host program: %s", out)
	}
}

func TestNoProcessSurvives(t *testing.T) {
	p, plan, ms := up(t, 1)
	d := dockerOf(t, ms[0])
	d.run("orphan", "lab/echo", []string{"orphan"}, nil)
	mark := func() []proctab.ID {
		return proctab.Marked(folder.EnvMark, filepath.Join(plan.Dir, "machines", "node1"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := lab.Until(ctx, 10*time.Millisecond, "machine, container and orphan", func(context.Context) error {
		if n := len(mark()); n != 3 {
			return fmt.Errorf("%d processes", n)
		}
		return nil
	}); err != nil {
		t.Skipf("marks are not readable here: %v", err)
	}
	if err := p.Power(ctx, plan, []string{"node1"}, lab.PowerCut); err != nil {
		t.Fatal(err)
	}
	for _, id := range mark() {
		if s := id.State(); s != proctab.Stopped {
			t.Errorf("process %d is %s in a power cut", id.PID, s)
		}
	}
	if err := p.Power(ctx, plan, []string{"node1"}, lab.PowerOn); err != nil {
		t.Fatal(err)
	}
	if left := mark(); len(left) != 1 {
		t.Errorf("after a cut %d processes live, want the machine alone", len(left))
	}
	d = dockerOf(t, ms[0])
	d.call("POST", "/containers/orphan/start", nil, 204)
	if err := lab.Until(ctx, 10*time.Millisecond, "three processes", func(context.Context) error {
		if n := len(mark()); n != 3 {
			return fmt.Errorf("%d processes", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.call("POST", "/containers/orphan/kill", nil, 204)
	if err := lab.Until(ctx, 10*time.Millisecond, "the orphan to die with its container", func(context.Context) error {
		if n := len(mark()); n != 1 {
			return fmt.Errorf("%d processes", n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	d.run("hangs", "lab/echo", []string{"linger"}, nil)
	if err := p.Destroy(ctx, plan); err != nil {
		t.Fatal(err)
	}
	if left := mark(); len(left) > 0 {
		t.Errorf("after destroy %v live", left)
	}
	entries, _ := os.ReadDir(plan.Dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "bin keys" {
		t.Errorf("destroy left %s", got)
	}
}
