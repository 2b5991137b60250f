package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mesoslab/lab/local/shell"
)

func TestCommands(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct {
		line, stdin, stdout, stderr string
		exit                        int
	}{
		{line: "docker run --rm lab/tool", stdout: "hello\n", stderr: "said\n"},
		{line: "docker run --rm lab/tool say -v --rm", stdout: "-v --rm\n", stderr: "said\n"},
		{line: "docker run --rm -i lab/tool cat", stdin: "typed\n", stdout: "typed\n"},
		{line: "docker run --rm lab/tool exit 3", exit: 3},
		{line: "docker run --rm lab/tool missing", stderr: "executable file not found", exit: 127},
		{line: "docker run redis", stderr: "not in this engine's catalogue", exit: 125},
		{line: "docker run -it --rm lab/tool cat", stderr: "the input device is not a TTY\n", exit: 1},
		{line: "docker run -p 1:2:3:4 lab/tool", stderr: `invalid port specification "1:2:3:4": it is [IP:][PORT:]CONTAINER_PORT`, exit: 125},
		{line: "docker run -p x lab/tool", stderr: `invalid port specification "x"`, exit: 125},
		{line: "docker run --restart on-failure:x lab/tool", stderr: `invalid restart policy "on-failure:x"`, exit: 125},
		{line: "docker run --nope lab/tool", stderr: "docker: unknown flag: --nope\nSee 'docker run --help'.\n", exit: 125},
		{line: "V=5 docker run --rm -e V -e NOT -e W=6 lab/tool env | grep -E '^(V|W|NOT)='", stdout: "V=5\nW=6\n"},
		{line: "docker ps -aq", stdout: ""},
		{line: "docker run -d --name box -l team=a lab/web | wc -c", stdout: "65\n"},
		{line: "docker exec box say hi", stdout: "hi\n"},
		{line: "docker exec -i box cat", stdin: "in\n", stdout: "in\n"},
		{line: "docker exec -w /tmp box pwd", stdout: "/tmp\n"},
		{line: "docker exec -e A=1 box env | grep ^A", stdout: "A=1\n"},
		{line: "docker exec box fail", stderr: "failing\n", exit: 3},
		{line: "docker exec box nosuch", stdout: "executable file not found", exit: 127},
		{line: "docker exec nosuch say", stderr: "Error response from daemon: No such container: nosuch\n", exit: 1},
		{line: "docker exec box", stderr: `"docker exec" does not take 1 arguments.`, exit: 125},
		{line: "docker logs box", stdout: "ready\n"},
		{line: "docker logs -n 0 box"},
		{line: "docker ps --format '{{.Names}} {{.Image}} {{.State}}'", stdout: "box lab/web running\n"},
		{line: "docker container ls -q -f label=team=b"},
		{line: "docker ps --format '{{.Nope}}'", stderr: "template parsing error", exit: 125},
		{line: "docker ps --format '{{'", stderr: `invalid format "{{"`, exit: 125},
		{line: "docker ps -f x", stderr: "bad format of filter (expected name=value)", exit: 125},
		{line: "docker inspect -f '{{.Name}} {{.State.Running}} {{json .Config.Labels.team}}' box", stdout: "/box true \"a\"\n"},
		{line: "docker inspect nosuch", stdout: "[]\n", stderr: "Error: No such object: nosuch\n", exit: 1},
		{line: "docker inspect --type container lab/tool", stdout: "[]\n", stderr: "Error: No such container: lab/tool\n", exit: 1},
		{line: "docker inspect -f '{{.Config.Cmd}}' lab/tool", stdout: "[say hello]\n"},
		{line: "docker port box 80", stderr: "no public port '80' published for box", exit: 125},
		{line: "docker rename box site; docker ps --format '{{.Names}}'", stdout: "site\n"},
		{line: "docker pause site && docker ps --format '{{.State}}' && docker unpause site", stdout: "site\npaused\nsite\n"},
		{line: "docker rm site", stderr: "stop the container before removing", exit: 1},
		{line: "docker kill -s TERM site nosuch", stdout: "site\n", stderr: "No such container: nosuch", exit: 1},
		{line: "docker wait site; docker start site; docker stop site; docker wait site", stdout: "143\nsite\nsite\n143\n"},
		{line: "docker attach site", stderr: "You cannot attach to a stopped container", exit: 125},
		{line: "docker rm -v site nosuch", stdout: "site\n", stderr: "No such container: nosuch", exit: 1},
		{line: "docker create --name again lab/tool say again | wc -c; docker start -a again; docker start again nosuch", stdout: "65\nagain\nagain\n", stderr: "said\nError response from daemon: No such container: nosuch\n", exit: 1},
		{line: "docker start -a again again", stderr: "cannot start and attach multiple containers", exit: 125},
		{line: "docker wait again; docker rm -f again", stdout: "0\nagain\n"},
		{line: "docker pull -q nginx:1.10", stdout: "nginx:1.10\n"},
		{line: "docker pull redis", stderr: "not in this engine's catalogue", exit: 1},
		{line: "docker images --format '{{.Repository}}:{{.Tag}}' lab/tool", stdout: "lab/tool:latest\n"},
		{line: "docker network ls", stdout: "bridge"},
		{line: "docker network create x", stderr: "networks bridge, host and none only", exit: 125},
		{line: "docker volume create x", stderr: "docker volume create is not known here: ls is", exit: 125},
		{line: "docker build .", stderr: "'build' is not a docker command of this machine", exit: 125},
		{line: "docker image prune", stderr: "'image prune' is not a docker command of this machine", exit: 125},
		{line: "docker version", stdout: "Version:      1.2.3\n"},
		{line: "docker -v", stdout: "Server: "},
		{line: "docker info", stdout: " Name: node1\n"},
		{line: "docker", stdout: "This machine's docker command knows:\n"},
		{line: "docker help", stdout: "'docker COMMAND --help' says more."},
		{line: "docker ps --help", stdout: "Usage:  docker ps [OPTIONS]"},
		{line: "docker -H node2 ps -q"},
		{line: "DOCKER_HOST=tcp://node2:2375 docker ps -q"},
		{line: "docker -H tcp://node9:2375 ps", stderr: "Cannot connect to the Docker daemon at tcp://node9:2375. Is the docker daemon running?\n", exit: 1},
		{line: "docker -H ssh://node2 ps", stderr: "tcp:// and unix:// are known here", exit: 125},
		{line: "printf 'GET /_ping HTTP/1.0\\r\\n\\r\\n' | docker system dial-stdio | tail -1", stdout: "OK"},
	} {
		out, errOut, exit := w.run(x.line, x.stdin)
		if exit != x.exit || !like(out, x.stdout) || !like(errOut, x.stderr) {
			t.Errorf("%s\n got %q, %q, exit %d\nwant %q, %q, exit %d", x.line, out, errOut, exit, x.stdout, x.stderr, x.exit)
		}
	}
}

// like wants nothing where nothing is wanted, else a part.
func like(got, want string) bool {
	return want == "" && got == "" || want != "" && strings.Contains(got, want)
}

// TestStreamsEndWithTheirCommand: what follows goes on until the container or
// the command ends.
func TestStreamsEndWithTheirCommand(t *testing.T) {
	w := newWorld(t)
	w.ok("docker run -d --name box lab/web")
	if out := w.ok("docker logs -f box & docker stop box; wait"); !strings.Contains(out, "ready\n") {
		t.Errorf("logs -f of one that ends: %q", out)
	}
	w.ok("docker start box")
	for _, line := range []string{"docker logs -f -n 1 box", "docker attach --no-stdin --sig-proxy=false box", "docker events --since 1h", "docker stats"} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := w.cfg
		r, wr := io.Pipe()
		cfg.Stdout, cfg.Stderr = wr, wr
		ended := make(chan error, 1)
		go func() { _, err := shell.Run(ctx, cfg, "echo runs; "+line); wr.Close(); ended <- err }()
		if _, err := r.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, r)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if out := w.ok("docker ps --format '{{.State}}'"); out != "running\n" {
		t.Errorf("the container is %q", out)
	}
}
