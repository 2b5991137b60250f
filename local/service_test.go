//go:build unix

package local

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestDockerOpts opens tcp/2375 as the article does it, and spoils it.
func TestDockerOpts(t *testing.T) {
	_, plan, ms := up(t, 1)
	m := ms[0]
	c := connect(t, m, "vagrant")
	address := net.JoinHostPort(m.IP.String(), "2375")
	refuses(t, address)
	d := dockerOf(t, m)
	d.run("always", "lab/echo", []string{"echo", ":7000"}, obj{"RestartPolicy": obj{"Name": "always"}})
	d.run("once", "lab/echo", []string{"echo", ":7001"}, nil)
	echoes(t, m.IP.String()+":7001")

	set := func(opts string) (string, int) {
		t.Helper()
		run(t, c, "sudo tee /etc/default/docker >/dev/null", "DOCKER_OPTS=\""+opts+"\"\n")
		return run(t, c, "sudo service docker restart 2>&1", "")
	}
	out, exit := set("-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock")
	if want := "docker stop/waiting\ndocker start/running, process "; exit != 0 || !strings.HasPrefix(out, want) {
		t.Fatalf("restart: %q, exit %d", out, exit)
	}
	get := func(host string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/_ping", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode, res.Header.Get("Server")
	}
	for host, want := range map[string]int{address: 200, "node1:2375": 200, "evil.example:2375": 403} {
		if got, _ := get(host); got != want {
			t.Errorf("Host %s: %d, want %d", host, got, want)
		}
	}
	echoes(t, m.IP.String()+":7000") // came back with the service
	refuses(t, m.IP.String()+":7001")

	for opts, reason := range map[string]string{
		"-H tcp://0.0.0.0:2375 --tlsverify": "could not read CA certificate",
		"-H tcp://0.0.0.0:2375 --nonsense":  "unknown flag: --nonsense",
		"-H tcp://10.0.0.1:2375":            "cannot assign requested address",
		"-H tcp://node1:2222":               "address already in use",
	} {
		if out, exit := set(opts); exit == 0 || !strings.Contains(out, reason) {
			t.Errorf("%s: %q, exit %d, want %q", opts, out, exit, reason)
		}
		refuses(t, address)
		if out, exit := run(t, c, "service docker status 2>&1", ""); exit == 0 || !strings.Contains(out, "stop/waiting") || !strings.Contains(out, reason) {
			t.Errorf("%s: status %q, exit %d", opts, out, exit)
		}
		if out, _ := run(t, c, "tail -n 3 /var/log/docker.log", ""); !strings.Contains(out, reason) {
			t.Errorf("%s: log %q", opts, out)
		}
	}
	for _, restart := range []string{"sudo systemctl restart docker", "sudo /etc/init.d/docker restart", "sudo restart docker", "sudo initctl restart docker || sudo initctl start docker"} {
		run(t, c, "echo 'DOCKER_OPTS=\"--host=tcp://0.0.0.0:2375 -H fd:// --tls=false --label a=b -s overlay2\"' | sudo tee /etc/default/docker", "")
		run(t, c, "sudo service docker start", "")
		if out, exit := run(t, c, restart, ""); exit != 0 {
			t.Errorf("%s: %q, exit %d", restart, out, exit)
		}
		if code, _ := get(address); code != 200 {
			t.Errorf("after %s: %d", restart, code)
		}
	}
	sock := filepath.Join(plan.Dir, "machines/node1/root/var/run/docker.sock")
	if i, err := os.Stat(sock); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", i, err)
	}
	if out, exit := run(t, c, "sudo service docker stop; service docker status", ""); out != "docker stop/waiting\ndocker stop/waiting\n" || exit != 0 {
		t.Errorf("stop: %q, exit %d", out, exit)
	}
	refuses(t, address)
	refuses(t, m.IP.String()+":7000")
}

// TestServiceOutlivesItsClient: a restart that was begun is finished, whoever
// hangs up.
func TestServiceOutlivesItsClient(t *testing.T) {
	_, _, ms := up(t, 1)
	c := connect(t, ms[0], "root")
	d := dockerOf(t, ms[0])
	d.run("linger", "lab/echo", []string{"linger"}, obj{"RestartPolicy": obj{"Name": "always"}})
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("service docker restart"); err != nil {
		t.Fatal(err)
	}
	s.Signal(ssh.SIGKILL)
	s.Close()
	c.Close()
	other := connect(t, ms[0], "root")
	deadline := time.Now().Add(30 * time.Second)
	for {
		if out, _ := run(t, other, "service docker status", ""); strings.Contains(out, "start/running") {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("docker is gone: %q", out)
		}
	}
	if _, err := net.Dial("tcp", net.JoinHostPort(ms[0].IP.String(), "2375")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("2375: %v", err)
	}
}
