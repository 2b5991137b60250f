//go:build linux

package dockerd

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Engine is the engine as tests inside its namespaces see it.
type Engine struct {
	Host  string // as in DOCKER_HOST
	Group string // the control group below which all containers are
}

// PID is the process of dockerd.
func (e *Engine) PID(tb testing.TB) int {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(strings.TrimPrefix(e.Host, "unix://")), "docker.pid"))
	if err != nil {
		tb.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return pid
}

// Inside returns the engine to a test that runs inside its namespaces. To one
// that does not it returns nil, after the whole test has run inside as another
// process and has passed; if it has failed there, it fails here. prepare is
// done once in each test process, outside, when the engine answers at host:
// what needs the computer's own network belongs there. Where the test was not
// asked for, or cannot be, Inside skips it.
func Inside(tb testing.TB, prepare func(ctx context.Context, host string) error) *Engine {
	tb.Helper()
	if host := os.Getenv(envHost); host != "" {
		return &Engine{Host: host, Group: filepath.Base(filepath.Dir(strings.TrimPrefix(host, "unix://")))}
	}
	need(tb)
	o, err := get(tb.Context(), prepare)
	if err != nil {
		tb.Fatalf("a Docker engine for tests: %v", err)
	}
	cmd := exec.CommandContext(tb.Context(), "nsenter", append([]string{"--target", o.pid(), "--net", "--mount", "--pid", "--", testBinary(tb)}, again(tb)...)...)
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Env = append(os.Environ(), envHost+"="+o.host(), envDir+"="+dir)
	cmd.Stdout, cmd.Stderr = tb.Output(), tb.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		logEnd(tb, o)
		tb.Fatalf("inside the engine's namespaces: %v", err)
	}
	return nil
}

func testBinary(tb testing.TB) string {
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// again are the words that run the same test in another process.
func again(tb testing.TB) []string {
	name := "^" + tb.Name() + "$"
	args := []string{"-test.v", "-test.short=" + strconv.FormatBool(testing.Short())}
	if _, bench := tb.(*testing.B); bench {
		args = append(args, "-test.run=^$", "-test.bench="+name, "-test.benchtime="+flagValue("test.benchtime"))
	} else if _, below, ok := strings.Cut(flagValue("test.run"), "/"); ok {
		args = append(args, "-test.run="+name+"/"+below)
	} else {
		args = append(args, "-test.run="+name)
	}
	if t, ok := tb.(*testing.T); ok {
		if end, ok := t.Deadline(); ok {
			args = append(args, fmt.Sprintf("-test.timeout=%s", time.Until(end).Round(time.Second)))
		}
	}
	return args
}

func flagValue(name string) string {
	if f := flag.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// logEnd shows what dockerd said last.
func logEnd(tb testing.TB, o *outside) {
	if text, err := os.ReadFile(o.log()); err == nil {
		tb.Logf("dockerd's log ends:\n%s", text[max(0, len(text)-4000):])
	}
}
