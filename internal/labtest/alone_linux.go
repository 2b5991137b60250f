package labtest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// envAlone marks the process that Alone has started.
const envAlone = "LAB_TEST_ALONE"

// Alone runs the calling test once more in a process with a network and mounts
// of its own, and reports whether this is that process: the test goes on there
// and returns here. Interfaces and names under /run that it makes are gone with
// it, however it ends. It skips for whoever is not root.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envAlone) != "" {
		if err := settle(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Geteuid() != 0 {
		Missing(t, "only root makes network namespaces")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), envAlone+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	text := string(out)
	switch {
	case err != nil && len(out) == 0:
		Missing(t, "namespaces cannot be made here: "+err.Error())
	case err != nil:
		t.Fatalf("in its namespaces: %v\n%s", err, text)
	case strings.Contains(text, "--- SKIP"):
		t.Skip(text)
	case !strings.Contains(text, "--- PASS: "+t.Name()):
		t.Fatalf("the test did not run in its namespaces:\n%s", text)
	}
	return false
}

func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts our own: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("cover /run: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("loopback interface: %w: %s", err, out)
	}
	return nil
}
