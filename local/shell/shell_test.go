package shell

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestScripts(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		script, stdin, want string
		exit                int
	}{
		{script: "echo hello $USER at $(hostname) in $PWD", want: "hello vagrant at node2 in /home/vagrant\n"},
		{script: "cd /tmp; printf a > f; printf b >> f; cat f; rm f; test -e f; echo $?", want: "ab1\n"},
		{script: "cat", stdin: "from stdin", want: "from stdin"},
		{script: "echo x | sudo tee /etc/default; cat /etc/default", want: "x\nx\n"},
		{script: "sudo id -un; id -u; sudo -n true && echo yes; sudo -u vagrant whoami", want: "root\n1000\nyes\nvagrant\n"},
		{script: "sudo sh -c 'echo $1 $HOME' x y", want: "y /root\n"},
		{script: "sh -s a b", stdin: "echo $2; exit 3", want: "b\n", exit: 3},
		{script: "mkdir -p /a/b/c; touch /a/b/c/d; ls /a/b/c; cp -r /a /e; find /e -type f; rm -rf /a /e; ls /a", want: "d\n/e/b/c/d\n", exit: 2},
		{script: "for i in 3 1 2; do echo $i; done | sort | head -n 2 | tail -1", want: "2\n"},
		{script: "printf 'a b\\nc\\n' | wc -l; printf 'k=v\\n' | cut -d= -f2; printf 'abc' | tr a-b x", want: "2\nv\nxxc"},
		{script: "cat /etc/passwd | grep -c inside", want: "1\n"},
		{script: "false || echo no; nosuch; echo $?", want: "no\n127\n"},
		{script: "exit 42", exit: 42},
		{script: "printf '#!/bin/sh\\necho script $1\\n' > /tmp/s; /tmp/s x; chmod +x /tmp/s; /tmp/s x; sh /tmp/s y", want: "script x\nscript y\n"},
		{script: "echo 'X=sourced' > /tmp/v; . /tmp/v; echo $X", want: "sourced\n"},
		{script: "command -v curl cat nosuch; type -t cd; which sudo", want: "/usr/bin/curl\n/bin/cat\nbuiltin\n/usr/bin/sudo\n"},
		{script: "ln -s /etc/passwd /tmp/l; cat /tmp/l; readlink /tmp/l; realpath /tmp/l", want: "root:inside\n../etc/passwd\n/etc/passwd\n"},
		{script: "ps -p 1 -o comm=; ps -o pid= -p 4711; nproc", want: "init\n4711\n2\n"},
		{script: "kill 4711 && kill -9 12; echo $?", want: "1\n"},
		{script: "install -m 0640 /etc/passwd /tmp/p; stat -c %a /tmp/p; mv -f /tmp/p /tmp/q; ls /tmp/q", want: "640\n/tmp/q\n"},
		{script: "timeout 0.05 sleep 100; echo $?", want: "124\n"},
		{script: "echo one two | xargs -n 1 echo item", want: "item one\nitem two\n"},
		{script: "env -i A=b env", want: "A=b\n"},
		{script: "x=$(mktemp -d); test -d $x && echo made; umask", want: "made\n0022\n"},
		{script: "mkdir /tmp/d; x=$(mktemp -p /tmp/d a.XXX); echo ${x%.*}; cd /tmp; y=$(mktemp --tmpdir=d); echo ${y%.*}; TMPDIR=/tmp/d mktemp -u -t b.XXX | cut -c1-9; mktemp -u c.XXX | cut -c1-2", want: "/tmp/d/a\nd/tmp\n/tmp/d/b.\nc.\n"},
		{script: "echo data > /dev/null; cat /dev/null; echo err > /dev/stderr; head -c 3 < /dev/zero | wc -c", want: "3\n"},
		{script: "echo $(( 6 * 7 )); f() { return 5; }; f; echo $?", want: "42\n5\n"},
		{script: "df -Pk / | tail -1 | tr -s ' ' | cut -d' ' -f6; uname -sm | cut -d' ' -f1", want: "/\nLinux\n"},
		{script: "f() { f; }; f; echo not reached", exit: 1},
		{script: "date +%Y | grep -q ^20 && echo ok; [ -d /etc ] && [ ! -e /etc/x ] && [ -x /etc ]; echo $?", want: "ok\n0\n"},
	} {
		out, errOut, exit := w.run(c.script, c.stdin)
		if out != c.want || exit != c.exit {
			t.Errorf("%s\n got %q, exit %d (stderr %q)\nwant %q, exit %d", c.script, out, exit, errOut, c.want, c.exit)
		}
	}
}

func TestServices(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		script, want string
		exit         int
	}{
		{"service docker status", "docker stop/waiting\n", 0},
		{"sudo service docker start", "docker start/running, process 4712\n", 0},
		{"sudo service docker restart", "docker stop/waiting\ndocker start/running, process 4712\n", 0},
		{"sudo restart docker", "docker stop/waiting\ndocker start/running, process 4712\n", 0},
		{"systemctl is-active docker.service", "active\n", 0},
		{"sudo systemctl restart docker", "", 0},
		{"sudo initctl stop docker", "docker stop/waiting\n", 0},
		{"systemctl is-active docker; systemctl -q is-active docker", "inactive\n", 3},
		{"service nginx start", "", 1},
		{"systemctl start nginx", "", 5},
	} {
		if out, errOut, exit := w.run(c.script, ""); out != c.want || exit != c.exit {
			t.Errorf("%s: %q, exit %d (%s), want %q, %d", c.script, out, exit, errOut, c.want, c.exit)
		}
	}
	w.machine.failed = "unknown flag: --nope"
	if _, errOut, exit := w.run("service docker start", ""); exit == 0 || !strings.Contains(errOut, "unknown flag: --nope") {
		t.Errorf("a service that fails: exit %d, %q", exit, errOut)
	}
}

func TestCancelEndsEverything(t *testing.T) {
	w := newWorld(t)
	for _, script := range []string{"sleep 1000", "cat", "while :; do :; done", "sleep 1000 | cat", "sudo sh -c 'sleep 1000'", "tail -f /etc/passwd", "read x", "sleep 1000 & wait"} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := w.cfg
		started := &signalWriter{written: make(chan struct{})}
		cfg.Stdout = started
		never, keep, _ := os.Pipe()
		cfg.Stdin = never
		done := make(chan error, 1)
		go func() { _, err := Run(ctx, cfg, "echo started; "+script); done <- err }()
		<-started.written
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want canceled", script, err)
		}
		keep.Close()
		never.Close()
	}
}

type signalWriter struct {
	once    sync.Once
	written chan struct{}
}

func (s *signalWriter) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.written) })
	return len(p), nil
}

func TestSessionKeepsItsState(t *testing.T) {
	w := newWorld(t)
	var out lockedBuffer
	w.cfg.Stdout, w.cfg.Stderr = &out, &out
	s, err := New(w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"cd /tmp", "x=5", "f() { echo $((x+1)); }", "f", "syntax ( error", "cat"} {
		if _, exited, err := s.Line(t.Context(), line, strings.NewReader("typed\n")); exited || err != nil {
			t.Fatalf("%s: %v, %v", line, exited, err)
		}
	}
	if s.Dir() != "/tmp" || !strings.Contains(out.String(), "6\n") || !strings.Contains(out.String(), "typed\n") {
		t.Errorf("in %s, out %q", s.Dir(), out.String())
	}
	if exit, exited, _ := s.Line(t.Context(), "echo bye; exit 7", nil); exit != 7 || !exited {
		t.Errorf("exit: %d, %v", exit, exited)
	}
	if !Incomplete("for i in 1 2; do") || Incomplete("echo a") || Incomplete("syntax ( error") {
		t.Error("Incomplete is wrong")
	}
}

func TestCurl(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.Error(rw, "gone", http.StatusNotFound)
			return
		}
		fmt.Fprintf(rw, "%s %s %s", r.Method, r.URL.Path, r.Header.Get("X-A"))
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	w := newWorld(t)
	url := "http://" + l.Addr().String()
	for script, want := range map[string]string{
		"curl -s " + url + "/health":                                 "GET /health ",
		"curl -sX PUT -H 'X-A: b' " + url + "/x":                     "PUT /x b",
		"curl -s -d a=b " + url + "/x":                               "POST /x ",
		"curl -s -o /dev/null -w '%{http_code}' " + url + "/missing": "404",
		"curl -sf " + url + "/missing; echo $?":                      "22\n",
		"curl -s http://127.0.0.1:1/; echo $?":                       "7\n",
	} {
		if out, errOut, _ := w.run(script, ""); out != want {
			t.Errorf("%s: %q (%s), want %q", script, out, errOut, want)
		}
	}
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{"echo ${x:-~root}; cat <(a)", "a=(1 2); echo ${a[@]}", "cd /; ls *", ". /etc/passwd", "f(){ f; }; f", "kill %1", "trap x EXIT", "sudo -u", "find / -name", "head -n", "tr", "cut -f9999999-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		Run(ctx, Config{Root: root, Dir: "/", User: "root", Hostname: "h", Machine: &fakeMachine{}}, script)
	})
}

func FuzzParseControl(f *testing.F) {
	f.Add("C0644 12 name with spaces")
	f.Add("D0755 0 dir")
	f.Add("T1 0 2 0")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseControl(line)
		if err == nil && (strings.Contains(c.name, "/") || c.name == ".." || c.size < 0) {
			t.Fatalf("%q: %+v", line, c)
		}
	})
}

func FuzzSymlink(f *testing.F) {
	f.Add("/etc/passwd", "/tmp/x")
	f.Add("../../..", "/a/b")
	f.Fuzz(func(t *testing.T, target, at string) {
		dir := filepath.Dir(filepath.Clean("/" + at))
		got := inside(target, dir)
		if strings.HasPrefix(got, "/") || climbs(got, dir) {
			t.Fatalf("%q in %q leads outside: %q", target, dir, got)
		}
	})
}
