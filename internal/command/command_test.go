package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
)

func shell(t *testing.T, script string) Command {
	t.Helper()
	return Command{Path: labtest.NeedProgram(t, "sh"), Args: []string{"-c", script}, Dir: t.TempDir()}
}

func TestRun(t *testing.T) {
	var said []string
	say := func(line string) { said = append(said, line) }
	err := shell(t, "printf 'one\\rtwo\\n\\n'; echo three >&2; exit 3").Run(t.Context(), say)
	if err == nil || err.Error() != "sh: exit status 3; it said: one | two | three" || !slices.Equal(said, []string{"one", "two", "three"}) {
		t.Errorf("%v, said %q", err, said)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
		t.Errorf("the exit code is lost: %v", err)
	}
	if err := shell(t, "head -c 100000 /dev/zero").Run(t.Context(), say); err == nil {
		t.Error("a line without an end is no error")
	}
	var out bytes.Buffer
	said = nil
	c := shell(t, "head -c 100000 /dev/zero; echo words >&2")
	c.Out = &out
	if err := c.Run(t.Context(), say); err != nil || out.Len() != 100000 || !slices.Equal(said, []string{"words"}) {
		t.Errorf("%v, %d bytes, said %q", err, out.Len(), said)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	c := shell(t, "trap 'rm mess; exit 143' TERM; touch mess; echo ready; while :; do sleep 1000 >/dev/null 2>&1 & wait; done")
	wanted := errors.New("enough")
	if err := c.Run(ctx, func(string) { cancel(wanted) }); !errors.Is(err, wanted) {
		t.Errorf("interrupted: %v", err)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
		t.Errorf("it had no time to clean up: %v, %v", left, err)
	}
}

// TestOwnMounts leaves a mount behind, as a program does that is killed hard.
func TestOwnMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	labtest.NeedProgram(t, "mount")
	mounts := func() string {
		text, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Skip("no /proc/self/mountinfo: ", err)
		}
		return string(text)
	}
	mounts()
	c := shell(t, "mkdir m && mount -t tmpfs none m && touch m/inside && grep -c \"$PWD/m \" /proc/self/mountinfo; kill -9 $$")
	c.OwnMounts = true
	var said []string
	err := c.Run(t.Context(), func(line string) { said = append(said, line) })
	if err == nil || !slices.Equal(said, []string{"1"}) {
		t.Fatalf("%v, said %q", err, said)
	}
	if strings.Contains(mounts(), filepath.Join(c.Dir, "m")) {
		t.Error("the mount is there after its program")
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "m", "inside")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was mounted is to be seen: %v", err)
	}
}

func TestLineWriter(t *testing.T) {
	var said []string
	w := &lineWriter{said: func(l string) { said = append(said, l) }}
	for _, part := range []string{"I: one", "\nI: t", "wo\r", "\n\n3\n4\n5\n6\n7\nrest"} {
		if n, err := io.WriteString(w, part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := []string{"I: one", "I: two", "3", "4", "5", "6", "7"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	if want := []string{"3", "4", "5", "6", "7"}; !slices.Equal(w.last, want) {
		t.Errorf("keeps %q, want %q", w.last, want)
	}
}
