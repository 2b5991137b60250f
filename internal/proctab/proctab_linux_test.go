package proctab

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sleeper starts a process that ends when its stdin does, at the latest with
// the test.
func sleeper(t *testing.T, env ...string) (*exec.Cmd, ID) {
	t.Helper()
	cmd := exec.Command("/bin/cat")
	cmd.Env = env
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() })
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, id
}

func TestStatesAndSignals(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd, id := sleeper(t)
	stranger := ID{PID: id.PID, Start: "1@other"}
	if stranger.State() != Gone || !errors.Is(stranger.Signal(syscall.SIGKILL), ErrGone) {
		t.Error("a recycled pid was taken for the process")
	}
	for sig, want := range map[syscall.Signal]State{syscall.SIGSTOP: Stopped} {
		if err := id.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := Await(ctx, []ID{id}, want); err != nil {
			t.Fatal(err)
		}
	}
	if err := Kill(ctx, func() []ID { return []ID{id} }); err != nil {
		t.Fatal(err)
	}
	if id.State() != Gone { // a zombie until Wait
		t.Errorf("state %s after kill", id.State())
	}
	if !slices.Contains(Zombies(os.Getpid()), id.PID) {
		t.Error("the unreaped child is no zombie")
	}
	cmd.Wait()
	if err := id.Signal(syscall.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("signal after wait: %v", err)
	}
}

func TestFindingProcesses(t *testing.T) {
	mark := t.TempDir()
	_, id := sleeper(t, "A=b", "LAB_TEST_MARK="+mark)
	_, other := sleeper(t, "LAB_TEST_MARK="+mark+"2")
	if got := Marked("LAB_TEST_MARK", mark); len(got) != 1 || got[0] != id {
		t.Errorf("marked %v, want only %v", got, id)
	}
	if got := Descendants(os.Getpid()); !slices.Contains(got, id) || !slices.Contains(got, other) {
		t.Errorf("descendants %v lack %v", got, id)
	}
	if got := Children(os.Getpid()); !slices.Contains(got, id) || !slices.Contains(got, other) {
		t.Errorf("children %v lack %v", got, id)
	}
	self, err := Self()
	if err != nil || self.State() != Running {
		t.Errorf("self %v %v", self, err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("12 (a) b) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 2")
	f.Add("1 (x")
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := parseStat([]byte(raw))
		if err == nil && (s.start == "" || strings.ContainsAny(s.start, " \n")) {
			t.Fatalf("start %q of %q", s.start, raw)
		}
	})
}
