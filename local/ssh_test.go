//go:build unix

package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// connect opens an SSH connection whose host key is pinned.
func connect(t *testing.T, m lab.Machine, user string) *ssh.Client {
	t.Helper()
	text, err := os.ReadFile(m.SSH.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.SSH.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ssh.Dial("tcp", m.SSH.Addr, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(pinned), Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatalf("ssh to %s: %v", m.Name, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func run(t *testing.T, c *ssh.Client, script, stdin string) (string, int) {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader(stdin), &out, os.Stderr
	err = s.Run(script)
	if exit, ok := err.(*ssh.ExitError); ok {
		return out.String(), exit.ExitStatus()
	}
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out.String(), 0
}

func TestSSH(t *testing.T) {
	_, plan, ms := up(t, 2)
	c := connect(t, ms[1], "vagrant")
	for _, x := range []struct {
		script, stdin, want string
		exit                int
	}{
		{"echo $USER@$(hostname) in $PWD; exit 3", "", "vagrant@node2 in /home/vagrant\n", 3},
		{"sudo tee /etc/default/x", "abc", "abc", 0},
		{"cat /etc/hosts | grep -c node", "", "2\n", 0},
		{"ps -p 1 -o comm=; test -x /etc/init.d/docker && echo init.d; [ -e /sbin/initctl ] || echo no upstart; [ -d /run/systemd/system ] || echo no systemd", "", "init\ninit.d\nno upstart\nno systemd\n", 0},
		{"curl -s -o /dev/null -w '%{http_code}' http://node1:2222/; echo $?", "", "0007\n", 0},
		{"curl -s http://node1:7999/; echo $?", "", "7\n", 0},
		{"curl -s http://127.99.99.99:80/ || echo refused to leave", "", "refused to leave\n", 0},
		{"ss -tlnp | grep -o sshd", "", "sshd\n", 0},
		{"service docker status | cut -d, -f1", "", "docker start/running\n", 0},
	} {
		if out, exit := run(t, c, x.script, x.stdin); out != x.want || exit != x.exit {
			t.Errorf("%s: %q, exit %d, want %q, %d", x.script, out, exit, x.want, x.exit)
		}
	}
	if out, _ := run(t, connect(t, ms[1], "root"), "id -u; pwd", ""); out != "0\n/root\n" {
		t.Errorf("root: %q", out)
	}
	if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Errorf("keep-alive: %v", err)
	}
	strangers(t, ms[1])
	sftpClient(t, plan, c)
}

// strangers are let in neither by another key nor by another name.
func strangers(t *testing.T, m lab.Machine) {
	own, _ := os.ReadFile(m.SSH.KeyFile)
	right, err := ssh.ParsePrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	_, wrong, err := newTestKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]*ssh.ClientConfig{
		"another key":  {User: "vagrant", Auth: []ssh.AuthMethod{ssh.PublicKeys(wrong)}},
		"another user": {User: "daemon", Auth: []ssh.AuthMethod{ssh.PublicKeys(right)}},
		"a password":   {User: "vagrant", Auth: []ssh.AuthMethod{ssh.Password("vagrant")}},
		"nothing":      {User: "root"},
	} {
		cfg.HostKeyCallback = ssh.InsecureIgnoreHostKey()
		if c, err := ssh.Dial("tcp", m.SSH.Addr, cfg); err == nil {
			c.Close()
			t.Errorf("%s opens the machine", name)
		}
	}
}

func sftpClient(t *testing.T, plan lab.Plan, c *ssh.Client) {
	s, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if wd, err := s.Getwd(); wd != "/home/vagrant" || err != nil {
		t.Errorf("sftp starts in %q, %v", wd, err)
	}
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	f, err := s.Create("/tmp/big.tmp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadFrom(bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := s.PosixRename("/tmp/big.tmp", "/etc/default/big"); err != nil {
		t.Fatal(err)
	}
	if err := s.Chmod("/etc/default/big", 0o600); err != nil {
		t.Fatal(err)
	}
	onDisk, err := os.ReadFile(filepath.Join(plan.Dir, "machines/node2/root/etc/default/big"))
	if err != nil || !bytes.Equal(onDisk, payload) {
		t.Errorf("upload: %d bytes, %v", len(onDisk), err)
	}
	if err := s.Symlink("/etc/hostname", "/tmp/link"); err != nil {
		t.Fatal(err)
	}
	if g, err := s.Open("/tmp/link"); err != nil {
		t.Errorf("an absolute link made by sftp: %v", err)
	} else {
		text, _ := io.ReadAll(g)
		if string(text) != "node2\n" {
			t.Errorf("through the link: %q", text)
		}
		g.Close()
	}
	if _, err := s.Open("/etc/nothing"); !os.IsNotExist(err) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := s.OpenFile("/etc/hostname", os.O_WRONLY|os.O_CREATE|os.O_EXCL); err == nil {
		t.Error("O_EXCL opens an existing file")
	}
	if err := os.Symlink("../../../../../../../../etc", filepath.Join(plan.Dir, "machines/node2/root/tmp/out")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open("/tmp/out/passwd"); err == nil {
		t.Error("sftp leaves the machine through a link")
	}
	if _, err := s.Open("../../../../../../../etc/shadow"); !os.IsNotExist(err) {
		t.Errorf("sftp leaves by ..: %v", err)
	}
}

func TestForwarding(t *testing.T) {
	_, _, ms := up(t, 2)
	c := connect(t, ms[0], "vagrant")
	for _, socket := range []string{"/var/run/docker.sock", "/run/docker.sock"} {
		client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c.Dial("unix", socket) }}}
		res, err := client.Get("http://docker/_ping")
		if err != nil {
			t.Fatalf("%s: %v", socket, err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != "OK" {
			t.Errorf("%s: %d %q", socket, res.StatusCode, body)
		}
		client.CloseIdleConnections()
	}
	if conn, err := c.Dial("unix", "/etc/passwd"); err == nil {
		conn.Close()
		t.Error("any socket is forwarded")
	}
	conn, err := c.Dial("tcp", ms[1].SSH.Addr)
	if err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 8)
	if _, err := io.ReadFull(conn, greeting); string(greeting) != "SSH-2.0-" {
		t.Errorf("through node1 to node2: %q, %v", greeting, err)
	}
	conn.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, address := range []string{"127.0.0.1:" + port, "127.99.0.1:" + port} {
		if conn, err := c.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s is forwarded, and is not of this lab", address)
		}
	}
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	s.Stdin = strings.NewReader("GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	out, err := s.Output("docker system dial-stdio")
	if err != nil || !bytes.HasSuffix(out, []byte("OK")) {
		t.Errorf("dial-stdio: %q, %v", out, err)
	}
}

func TestInteractive(t *testing.T) {
	_, _, ms := up(t, 1)
	c := connect(t, ms[0], "vagrant")
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	if err := s.WindowChange(50, 120); err != nil {
		t.Fatal(err)
	}
	screen := newScreen(out)
	screen.await(t, "vagrant@node1:~$ ")
	io.WriteString(in, "cd /etc\r")
	screen.await(t, "vagrant@node1:/etc$ ")
	io.WriteString(in, "for i in 1 2\r")
	screen.await(t, "> ")
	io.WriteString(in, "do echo n$i; done\r")
	screen.await(t, "n1\r\nn2\r\n")
	// What is typed ahead of the prompt is echoed too, and a ctrl-C throws it
	// away: as on any terminal.
	screen.await(t, "vagrant@node1:/etc$ ")
	io.WriteString(in, "sleep 1000\r")
	screen.await(t, "sleep 1000\r\n")
	io.WriteString(in, "\x03")
	screen.await(t, "^C\r\n")
	screen.await(t, "vagrant@node1:/etc$ ")
	io.WriteString(in, "never run\x03echo run\r")
	screen.await(t, "\r\nrun\r\n")
	io.WriteString(in, "exit 5\r")
	err = s.Wait()
	if exit, ok := err.(*ssh.ExitError); !ok || exit.ExitStatus() != 5 {
		t.Errorf("exit: %v", err)
	}
}

// screen reads a terminal until something is to be seen.
type screen struct {
	chunks chan string
	rest   string
}

func newScreen(r io.Reader) *screen {
	s := &screen{chunks: make(chan string, 1000)}
	go func() {
		defer close(s.chunks)
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			s.chunks <- string(b[:n])
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) await(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if i := strings.Index(s.rest, want); i >= 0 {
			s.rest = s.rest[i+len(want):]
			return
		}
		select {
		case chunk, ok := <-s.chunks:
			if !ok {
				t.Fatalf("the terminal ended; %q was awaited, seen %q", want, s.rest)
			}
			s.rest += chunk
		case <-deadline:
			t.Fatalf("%q never came; seen %q", want, s.rest)
		}
	}
}

// TestOpenSSH lets the real clients in.
func TestOpenSSH(t *testing.T) {
	sshBin, sftpBin, scpBin := labtest.NeedProgram(t, "ssh"), labtest.NeedProgram(t, "sftp"), labtest.NeedProgram(t, "scp")
	_, plan, ms := up(t, 1)
	m := ms[0]
	host, port, _ := net.SplitHostPort(m.SSH.Addr)
	known := filepath.Join(plan.Dir, "known_hosts")
	if err := os.WriteFile(known, []byte(fmt.Sprintf("[%s]:%s %s\n", host, port, m.SSH.HostKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	common := []string{"-F", "none", "-i", m.SSH.KeyFile, "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"}
	call := func(stdin, bin string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, append(append([]string{}, common...), args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s %v: %v\n%s", filepath.Base(bin), args, err, out)
		}
		return string(out)
	}
	if out := call("", sshBin, "-p", port, "vagrant@"+host, "echo", "hello", "$USER"); out != "hello vagrant\n" {
		t.Errorf("ssh: %q", out)
	}
	if out := call("echo from a script; exit", sshBin, "-T", "-p", port, "vagrant@"+host); out != "from a script\n" {
		t.Errorf("ssh with a script: %q", out)
	}
	if out := call("", sshBin, "-tt", "-p", port, "vagrant@"+host, "echo tty"); !strings.Contains(out, "tty\r\n") {
		t.Errorf("ssh -t: %q", out)
	}
	local := filepath.Join(plan.Dir, "tree")
	os.MkdirAll(filepath.Join(local, "deep/er"), 0o755)
	os.WriteFile(filepath.Join(local, "deep/er/file name"), bytes.Repeat([]byte("x"), 300000), 0o640)
	os.WriteFile(filepath.Join(local, "run.sh"), []byte("#!/bin/sh\necho ran\n"), 0o755)
	for i, flags := range [][]string{{"-r"}, {"-O", "-r"}, {"-O", "-p", "-r"}} {
		remote := fmt.Sprintf("/tmp/copy%d", i)
		at := "vagrant@" + host + ":" + remote
		call("", scpBin, append(append([]string{"-P", port}, flags...), local, at)...)
		if out := call("", sshBin, "-p", port, "vagrant@"+host, remote+"/run.sh; wc -c < '"+remote+"/deep/er/file name'"); out != "ran\n300000\n" {
			t.Errorf("scp %v: %q", flags, out)
		}
		back := filepath.Join(plan.Dir, fmt.Sprintf("back%d", i))
		call("", scpBin, append(append([]string{"-P", port}, flags...), at, back)...)
		if i, err := os.Stat(filepath.Join(back, "deep/er/file name")); err != nil || i.Size() != 300000 {
			t.Errorf("scp %v back: %v", flags, err)
		}
	}
	script := "cd /tmp\nput " + filepath.Join(local, "run.sh") + " put.sh\nls -l\nmkdir d\nrename put.sh d/x\nget d/x " + filepath.Join(plan.Dir, "got") + "\nchmod 700 d/x\nln -s /tmp/d/x l\nget l " + filepath.Join(plan.Dir, "got2") + "\nrm d/x\nrmdir d\nbye\n"
	call(script, sftpBin, "-P", port, "-b", "-", "vagrant@"+host)
	for _, name := range []string{"got", "got2"} {
		if text, err := os.ReadFile(filepath.Join(plan.Dir, name)); err != nil || string(text) != "#!/bin/sh\necho ran\n" {
			t.Errorf("sftp get %s: %q, %v", name, text, err)
		}
	}
}
