//go:build linux

package dockerd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// envHolder makes TestHolder start an engine and wait to be killed.
const envHolder = "LAB_TEST_DOCKERD_HOLDER"

func TestHolder(t *testing.T) {
	if os.Getenv(envHolder) == "" {
		t.Skip("is a part of TestNothingStays")
	}
	o, err := begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("engine", o.dir, o.pid())
	<-o.ended
}

// TestNothingStays kills the test process, then an engine's first process:
// neither leaves a process, a control group or a folder.
func TestNothingStays(t *testing.T) {
	need(t)
	t.Run("test killed", func(t *testing.T) {
		holder, dir, _ := hold(t)
		holder.Process.Kill()
		awaitGone(t, dir)
	})
	t.Run("first process killed", func(t *testing.T) {
		holder, dir, pid := hold(t)
		defer holder.Wait()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		holder.Wait()
		awaitNoProcess(t, dir)
		if err := sweep(); err != nil {
			t.Fatal(err)
		}
		awaitGone(t, dir)
	})
}

// hold starts an engine in another process.
func hold(t *testing.T) (holder *exec.Cmd, dir string, pid int) {
	t.Helper()
	holder = exec.Command(os.Args[0], "-test.run=^TestHolder$", "-test.v")
	holder.Env = append(os.Environ(), envHolder+"=1", envData+"=")
	holder.Stderr = os.Stderr
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { holder.Process.Kill(); holder.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n, _ := fmt.Sscanf(lines.Text(), "engine %s %d", &dir, &pid); n == 2 {
			return holder, dir, pid
		}
	}
	t.Fatal("the holder has started no engine")
	return nil, "", 0
}

func awaitGone(t *testing.T, dir string) {
	t.Helper()
	awaitNoProcess(t, dir)
	await(t, dir+" to be removed", func(context.Context) error {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("it is there: %v", err)
		}
		return nil
	})
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + filepath.Base(dir))
	if err != nil || len(groups) > 0 {
		t.Errorf("control groups %v, %v", groups, err)
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts %s, %v", mounts, err)
	}
}

func awaitNoProcess(t *testing.T, dir string) {
	t.Helper()
	await(t, "the engine's processes to end", func(context.Context) error {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range lines {
			if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), dir+"/") {
				return fmt.Errorf("%s: %s", file, strings.ReplaceAll(string(text), "\x00", " "))
			}
		}
		return nil
	})
}

func await(t *testing.T, what string, fn func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := lab.Until(ctx, 50*time.Millisecond, what, fn); err != nil {
		t.Fatal(err)
	}
}

// TestInside runs a test inside an engine's namespaces: there, nothing but the
// engine is to be seen, in the folder of the package.
func TestInside(t *testing.T) {
	engine := Inside(t, nil)
	if engine == nil {
		return
	}
	if left, err := engine.Left(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("an empty engine has %q, %v", left, err)
	}
	if _, err := os.Stat("dockerd_test.go"); err != nil {
		t.Error(err)
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", engine.PID(t))); err != nil || string(name) != "dockerd\n" {
		t.Errorf("the engine's process is %q, %v", name, err)
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Name != "lo" && i.Name != "docker0" {
			t.Errorf("network interface %s of somebody else", i.Name)
		}
	}
	if c, err := net.Dial("tcp", "192.168.59.1:22"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("an address that nobody has: %v, %v", c, err)
	}
}
