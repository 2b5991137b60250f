package engine

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// docker runs the docker command against an engine.
type docker struct {
	t    *testing.T
	host string
}

func (d docker) command(stdin string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.t.Context(), "docker", append([]string{"-H", d.host}, args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+d.t.TempDir(), "DOCKER_API_VERSION=", "DOCKER_CLI_HINTS=false")
	cmd.Stdin = strings.NewReader(stdin)
	return cmd
}

// ok runs the command and returns its trimmed output.
func (d docker) ok(args ...string) string {
	d.t.Helper()
	out, err := d.command("", args...).CombinedOutput()
	if err != nil {
		d.t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// has runs the command and wants each of the words in its output.
func (d docker) has(words string, args ...string) {
	d.t.Helper()
	out := d.ok(args...)
	for _, w := range strings.Split(words, "|") {
		if !strings.Contains(out, w) {
			d.t.Errorf("docker %s: no %q in\n%s", strings.Join(args, " "), w, out)
		}
	}
}

// fails runs the command and wants an exit status and words.
func (d docker) fails(code int, words string, args ...string) {
	d.t.Helper()
	out, err := d.command("", args...).CombinedOutput()
	var exit *exec.ExitError
	if !asExit(err, &exit) || exit.ExitCode() != code || !strings.Contains(string(out), words) {
		d.t.Errorf("docker %s: %v, want exit %d and %q\n%s", strings.Join(args, " "), err, code, words, out)
	}
}

func asExit(err error, to **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*to = e
	return ok
}

// eachDocker runs a test with the docker command over both endpoints.
func eachDocker(t *testing.T, f func(t *testing.T, b *bench, d docker)) {
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("the docker command is not installed: its part of the test is left out")
	}
	t.Run("unix", func(t *testing.T) { b := newBench(t, ""); f(t, b, docker{t, b.unix(t)}) })
	t.Run("tcp", func(t *testing.T) { b := newBench(t, ""); f(t, b, docker{t, b.tcp(t)}) })
}

func TestDockerSystem(t *testing.T) {
	eachDocker(t, func(t *testing.T, b *bench, d docker) {
		d.has("lab-engine|1.2.3|1.44", "version")
		d.has("Name: node1|CPUs: 2|Total Memory: 1GiB|Storage Driver: folder|Swarm: inactive", "info")
		d.has("lab/web|nginx|lab/tool|lab/data", "images")
		d.has("Status: Image is up to date for nginx:1.10", "pull", "nginx:1.10")
		d.has("1.10", "images", "nginx")
		d.has("Untagged: nginx:1.10", "rmi", "nginx:1.10")
		d.fails(1, "catalogue", "pull", "redis")
		d.fails(1, "catalogue", "rmi", "lab/web")
		d.has("bridge|host|none", "network", "ls")
		d.has("Images|Containers|Local Volumes", "system", "df")
		d.fails(1, "not a swarm manager", "node", "ls")
		d.fails(1, "lab-engine has the networks bridge, host and none only", "network", "create", "mine")
		d.ok("volume", "create", "data")
		d.has("data", "volume", "ls")
		d.has("/var/lib/docker/volumes/data/_data", "volume", "inspect", "data")
		d.ok("volume", "rm", "data")
		d.has("lab/web", "history", "lab/web", "--no-trunc", "--format", "{{.CreatedBy}} lab/web")
		d.has("[/lab mini web]", "inspect", "-f", "{{.Config.Entrypoint}}", "lab/web")
	})
}

func TestDockerRun(t *testing.T) {
	eachDocker(t, func(t *testing.T, b *bench, d docker) {
		if out := d.ok("run", "--rm", "lab/tool", "say", "from", "inside"); out != "from inside" {
			t.Errorf("run: %q", out)
		}
		d.fails(3, "", "run", "--rm", "lab/tool", "exit", "3")
		d.fails(127, "executable file not found", "run", "--rm", "lab/tool", "missing")
		d.fails(125, "catalogue", "run", "--rm", "redis")
		if out := d.ok("ps", "-aq"); out != "" {
			t.Errorf("containers left by run --rm: %s", out)
		}
		cat := d.command("through stdin\n", "run", "--rm", "-i", "lab/tool", "cat")
		if out, err := cat.CombinedOutput(); err != nil || string(out) != "through stdin\n" {
			t.Errorf("run -i: %q %v", out, err)
		}
		d.has("A=1|HOSTNAME=box|PATH=/usr", "run", "--rm", "-e", "A=1", "-h", "box", "lab/tool", "env")
		d.has("hello", "run", "--rm", "-t", "lab/tool")
		d.ok("create", "--name", "again", "lab/tool", "say", "again")
		for range 2 {
			if out := d.ok("start", "-a", "again"); out != "again" {
				t.Errorf("start -a: %q", out)
			}
		}
		if out := d.ok("logs", "again"); out != "again\nagain" {
			t.Errorf("logs of two lives: %q", out)
		}
		if out := d.ok("logs", "--since", "1h", "--until", "30m", "again"); out != "" {
			t.Errorf("logs until half an hour ago: %q", out)
		}
		d.ok("run", "-d", "-P", "--name", "open", "nginx")
		d.has(b.ip+":", "port", "open", "80")
		d.has("Deleted Containers", "container", "prune", "-f", "--filter", "label=kind=tool")
		d.ok("rm", "-f", "-v", "open", "nobody")
	})
}

func TestDockerDay(t *testing.T) {
	eachDocker(t, func(t *testing.T, b *bench, d docker) {
		id := d.ok("run", "-d", "-p", "31007:80", "--name", "web", "--label", "team=a", "nginx:1.10")
		if len(id) != 64 {
			t.Fatalf("run -d: %q", id)
		}
		follow := d.command("", "logs", "-f", "web")
		var seen bytes.Buffer
		follow.Stdout, follow.Stderr = &seen, &seen
		if err := follow.Start(); err != nil {
			t.Fatal(err)
		}
		d.has(b.ip+":31007", "port", "web", "80/tcp")
		d.has("web|nginx:1.10|Up |"+b.ip+":31007->80/tcp", "ps")
		d.has(id[:12], "ps", "-q", "-f", "label=team=a", "-f", "publish=31007")
		if r, err := http.Get("http://" + b.ip + ":31007"); err != nil {
			t.Error(err)
		} else {
			body, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if string(body) != "web" {
				t.Errorf("web answers %q", body)
			}
		}
		d.has("true 0 "+id[:12], "inspect", "-f", "{{.State.Running}} {{.RestartCount}} {{.Config.Hostname}}", "web")
		d.has("hi", "exec", "web", "say", "hi")
		d.fails(3, "failing", "exec", "web", "fail")
		d.has("CMD|/lab mini web", "top", "web")
		d.has("NAME|web", "stats", "--no-stream", "web")
		d.ok("pause", "web")
		d.has("(Paused)", "ps")
		d.ok("unpause", "web")
		d.ok("rename", "web", "site")
		d.ok("update", "--restart", "always", "site")
		d.has("always", "inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", "site")
		d.ok("restart", "site")
		if err := follow.Wait(); err != nil || !strings.Contains(seen.String(), "serving") {
			t.Errorf("logs -f: %v %q", err, seen.String())
		}
		d.has("serving", "logs", "--tail", "1", "-t", "site")
		d.fails(1, "is already in use by container", "create", "--name", "site", "lab/tool")
		d.fails(1, "container is running: stop the container before removing", "rm", "site")
		d.ok("stop", "-t", "5", "site")
		if out := d.ok("wait", "site"); out != "0" {
			t.Errorf("wait: %s", out)
		}
		// The command cuts relative times off at whole seconds: ask a little ahead.
		until := time.Now().Add(100 * time.Millisecond).Format(time.RFC3339Nano)
		d.has("create|start|die|rename|stop", "events", "--since", "1h", "--until", until, "-f", "container="+id)
		d.ok("rm", "site")
		d.fails(1, "No such container: site", "inspect", "--type", "container", "site")
	})
}

func TestDockerCopy(t *testing.T) {
	eachDocker(t, func(t *testing.T, b *bench, d docker) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "tree/sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"tree/a": "A", "tree/sub/b": "B"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		d.ok("create", "--name", "box", "-v", "/srv/shared:/shared", "lab/tool")
		d.ok("cp", filepath.Join(dir, "tree"), "box:/opt")
		d.ok("cp", filepath.Join(dir, "tree/a"), "box:/shared/renamed")
		if got, err := os.ReadFile(filepath.Join(b.root, "srv/shared/renamed")); err != nil || string(got) != "A" {
			t.Errorf("copied through a bind: %q %v", got, err)
		}
		d.ok("cp", "box:/opt/tree", filepath.Join(dir, "back"))
		if got, err := os.ReadFile(filepath.Join(dir, "back/sub/b")); err != nil || string(got) != "B" {
			t.Errorf("copied back: %q %v", got, err)
		}
		d.ok("cp", "box:/shared", filepath.Join(dir, "shared"))
		if got, err := os.ReadFile(filepath.Join(dir, "shared/renamed")); err != nil || string(got) != "A" {
			t.Errorf("copied a bind: %q %v", got, err)
		}
		d.fails(1, "Could not find the file /nowhere in container box", "cp", "box:/nowhere", dir)
	})
}

// TestDockerAttached ends a followed run by the client's own signal.
func TestDockerAttached(t *testing.T) {
	eachDocker(t, func(t *testing.T, b *bench, d docker) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		past, live := b.bus.Subscribe(ctx, b.since)
		if len(past) != 0 {
			t.Fatalf("events before anything happened: %v", past)
		}
		run := d.command("", "run", "--name", "fg", "lab/tool", "wait")
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		for e := range live {
			if e.Type == "container" && e.Action == "start" {
				break
			}
		}
		if err := run.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := run.Wait(); !asExit(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("run after SIGINT: %v", err)
		}
		d.has("Exited (130)", "ps", "-a")
	})
}

// TestDockerTerminal types into docker exec -it on a terminal that the script
// command provides.
func TestDockerTerminal(t *testing.T) {
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("the script command is not installed: no terminal to type on")
	}
	eachDocker(t, func(t *testing.T, b *bench, d docker) {
		d.ok("run", "-d", "--name", "box", "lab/tool", "wait")
		line := d.command("", "exec", "-it", "box", "shell")
		cmd := exec.CommandContext(t.Context(), "script", "-qec", strings.Join(line.Args, " "), "/dev/null")
		cmd.Env = line.Env
		keys, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		screen, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		seen := ""
		until := func(want string) {
			t.Helper()
			buf := make([]byte, 100)
			for !strings.HasSuffix(seen, want) {
				n, err := screen.Read(buf)
				if seen += string(buf[:n]); err != nil {
					t.Fatalf("waiting for %q: %v after %q", want, err, seen)
				}
			}
		}
		until("$ ")
		io.WriteString(keys, "hx\x7fello\r")
		until("got \"hello\"\r\n$ ")
		io.WriteString(keys, "\x04")
		var exit *exec.ExitError
		rest, _ := io.ReadAll(screen)
		if err := cmd.Wait(); !asExit(err, &exit) || exit.ExitCode() != 7 {
			t.Errorf("exec -it: %v after %q%q", err, seen, rest)
		}
		if !strings.Contains(seen, "hx\b \bello\r\n") {
			t.Errorf("the screen shows %q", seen)
		}
	})
}
