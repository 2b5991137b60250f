//go:build unix

package local

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/creack/pty"

	"github.com/mesoslab/lab/internal/labtest"
)

// TestOpenSSHOnATerminal types into the real client on a real terminal.
func TestOpenSSHOnATerminal(t *testing.T) {
	program := labtest.NeedProgram(t, "ssh")
	_, plan, ms := up(t, 1)
	host, port, err := net.SplitHostPort(ms[0].SSH.Addr)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(plan.Dir, "known_hosts")
	if err := os.WriteFile(known, fmt.Appendf(nil, "[%s]:%s %s\n", host, port, ms[0].SSH.HostKey), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(command ...string) (*os.File, *screen, func() int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{
			"-F", "none", "-tt", "-i", ms[0].SSH.KeyFile, "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes",
			"-o", "BatchMode=yes", "-p", port, "vagrant@" + host,
		}, command...)...)
		cmd.Env = append(os.Environ(), "TERM=xterm")
		keys, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { keys.Close() })
		return keys, newScreen(keys), func() int {
			t.Helper()
			err := cmd.Wait()
			if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
				t.Error(err)
			} else if ok {
				return exit.ExitCode()
			}
			return 0
		}
	}
	const prompt = "vagrant@node1:~$ "
	keys, seen, wait := start()
	seen.await(t, prompt)
	io.WriteString(keys, "stty size; echo $TERM\r")
	seen.await(t, "\r\n24 80\r\nxterm\r\n"+prompt)
	io.WriteString(keys, "echo go; cat > f\r")
	seen.await(t, "\r\ngo\r\n") // what is typed before is the prompt's, and not echoed
	io.WriteString(keys, "typed\r\x04")
	seen.await(t, "typed\r\n"+prompt)
	io.WriteString(keys, "cat f; while sleep 0.01; do stty size; done\r")
	seen.await(t, "\r\ntyped\r\n24 80\r\n")
	if err := pty.Setsize(keys, &pty.Winsize{Rows: 50, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	seen.await(t, "\r\n50 120\r\n")
	io.WriteString(keys, "\x03") // a key: the client is not to end by it
	seen.await(t, "^C\r\n"+prompt)
	io.WriteString(keys, "echo $?; exit 5\r")
	seen.await(t, "\r\n130\r\n")
	if exit := wait(); exit != 5 {
		t.Errorf("the shell's exit: %d", exit)
	}

	keys, seen, wait = start("read -p 'name? ' n; echo \"<$n>\"; exit 3")
	seen.await(t, "name? ")
	io.WriteString(keys, "Bob\r")
	seen.await(t, "<Bob>\r\n")
	if exit := wait(); exit != 3 {
		t.Errorf("the command's exit: %d", exit)
	}

	keys, seen, wait = start("echo runs; sleep 1000")
	seen.await(t, "runs\r\n")
	io.WriteString(keys, "\x03")
	seen.await(t, "^C")
	if exit := wait(); exit != 130 {
		t.Errorf("exit after ctrl-C: %d", exit)
	}
}

// TestNoUserOfTheComputer: what a shell on a machine says of users is the
// machine's own, however it is asked.
func TestNoUserOfTheComputer(t *testing.T) {
	_, _, ms := up(t, 1)
	c := connect(t, ms[0], "vagrant")
	for script, want := range map[string]string{
		"echo ~root ~vagrant ~daemon ~nobody":                          "/root /home/vagrant ~daemon ~nobody\n",
		"echo ~daemon | cat":                                           "~daemon\n",
		"(echo ~daemon) & wait":                                        "~daemon\n",
		"x=$(echo ~daemon); echo $x":                                   "~daemon\n",
		"x=~daemon; echo $x; echo {~daemon,~root}":                     "~daemon\n~daemon /root\n",
		"eval 'echo ~daemon'; sh -c 'echo ~daemon'":                    "~daemon\n~daemon\n",
		"shopt -s expand_aliases; alias d='echo ~daemon'\neval d":      "~daemon\n",
		"f() { echo ~daemon; }; f; for i in ~daemon; do echo $i; done": "~daemon\n~daemon\n",
		"case ~daemon in /*) echo leaks;; *) echo none;; esac":         "none\n",
		"cat <<E\n~daemon\nE":                                          "~daemon\n",
		"cat ~daemon/x; ls -d ~daemon; echo done":                      "done\n",
	} {
		if out, _ := run(t, c, "{ "+script+"\n} 2>/dev/null", ""); out != want {
			t.Errorf("%s: %q, want %q", script, out, want)
		}
	}
}
