package computer_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/internal/computer/computertest"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestThis looks at the computer that the test runs on: whatever it is, these
// hold.
func TestThis(t *testing.T) {
	c := computer.Computer{}.Or()
	if c.OS != runtime.GOOS || c.Arch != runtime.GOARCH || !c.Exists("/") {
		t.Errorf("%s/%s", c.OS, c.Arch)
	}
	if m, err := c.Memory(); err != nil || m.Total < 64*lab.MiB || m.Available <= 0 || m.Available > m.Total {
		t.Errorf("memory %+v, %v", m, err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "a file")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := c.Read(file); text != "hello" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if got := c.Nearest(filepath.Join(dir, "no", "such", "folder")); got != dir {
		t.Errorf("nearest to nothing in %s: %s", dir, got)
	}
	if d, err := c.Disk(dir); err != nil || d.Total <= 0 || d.Free > d.Total || d.Kind == "" || d.ReadOnly {
		t.Errorf("disk %+v, %v", d, err)
	}
	if err := c.Access(file); err != nil {
		t.Errorf("access: %v", err)
	}
	if err := c.Access(filepath.Join(dir, "none")); err == nil {
		t.Error("what is not there may be used")
	}
	addrs, err := c.Addresses()
	loopback := false
	for _, a := range addrs {
		loopback = loopback || (a.Prefix.Addr().IsLoopback() && a.Prefix.Bits() < 32 && a.Interface != "")
	}
	if err != nil || !loopback {
		t.Errorf("addresses %v, %v", addrs, err)
	}
	if _, err := c.Routes(); err != nil {
		t.Errorf("routes: %v", err)
	}
}

func TestBind(t *testing.T) {
	c := computer.This()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	if err := c.Bind(t.Context(), at); err == nil {
		t.Error("a port that is taken can be had")
	}
	l.Close()
	if err := c.Bind(t.Context(), at); err != nil {
		t.Errorf("a port that is free: %v", err)
	}
	if err := c.Bind(t.Context(), netip.MustParseAddrPort("192.0.2.1:0")); err == nil {
		t.Error("an address of nobody can be had")
	}
}

func TestRun(t *testing.T) {
	labtest.NeedProgram(t, "sh")
	c := computer.This()
	t.Setenv("VAGRANT_LOG", "")
	out, err := c.Run(t.Context(), "sh", "-c", `echo "$LC_ALL ${VAGRANT_LOG-unset}"; echo oops >&2`)
	if err != nil || out.Out != "C unset\n" || out.Err != "oops\n" {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := c.Run(t.Context(), "sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("a failure: %v", err)
	}
	if _, err := c.Run(t.Context(), "no-such-program-of-lab"); !computer.IsMissing(err) {
		t.Errorf("a program that is not there: %v", err)
	}
	// What it has started goes with it, and its output ends.
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx, "sh", "-c", "sleep 1000 & sleep 1000")
		ended <- err
	}()
	boom := errors.New("enough")
	cancel(boom)
	if err := <-ended; !errors.Is(err, boom) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestBrief(t *testing.T) {
	if got := computer.Brief(" a\n\tb \xff"); got != "a b \uFFFD" {
		t.Errorf("%q", got)
	}
	if got := computer.Brief(strings.Repeat("é", 300)); len([]rune(got)) != 200 {
		t.Errorf("%d letters", len([]rune(got)))
	}
}

// TestSurvey: in the checks' order, only what the depth allows, each a quiet
// step, and none for ever.
func TestSurvey(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []string
		report := func(e lab.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, fmt.Sprintf("%s %s %v", e.Step, e.Kind, e.Data["quiet"] == true))
		}
		said := func(id string, after time.Duration) computer.Check {
			return computer.Check{ID: id, Look: func(context.Context) []lab.Finding {
				time.Sleep(after)
				return []lab.Finding{computer.OK(id, "fine")}
			}}
		}
		slow := computer.Check{ID: "slow", Depth: lab.CheckFull, Look: func(ctx context.Context) []lab.Finding {
			<-ctx.Done()
			return computer.Unseen("slow", context.Cause(ctx))
		}}
		checks := []computer.Check{said("a", 300*time.Millisecond), slow, said("b", 0)}
		start := time.Now()
		found := computer.Survey(t.Context(), report, lab.CheckQuick, checks)
		if len(found) != 2 || found[0].ID != "a" || found[1].ID != "b" || time.Since(start) != 300*time.Millisecond {
			t.Errorf("quick: %+v after %s", found, time.Since(start))
		}
		if got := strings.Join(events, ","); !strings.Contains(got, "a start false") || !strings.Contains(got, "a done true") || strings.Contains(got, "slow") {
			t.Errorf("events %s", got)
		}
		found = computer.Survey(t.Context(), nil, lab.CheckFull, checks)
		if len(found) != 3 || found[1].ID != "slow" || found[1].Severity != lab.SeverityNote || !strings.Contains(found[1].Text, "no answer in 30s") {
			t.Errorf("full: %+v", found)
		}
	})
}

func TestFailure(t *testing.T) {
	err := fmt.Errorf("up: %w", &lab.Error{ID: "port-taken", Op: "listen", Err: fmt.Errorf("%w: port 1", lab.ErrUsage), Advice: "another"})
	f := computer.Failure("ports", err)
	if f.ID != "port-taken" || f.Text != "port 1" || f.Advice != "another" || f.Severity != lab.SeverityStop || f.Err != err {
		t.Errorf("%+v", f)
	}
	if f := computer.Failure("ports", errors.New("odd")); f.ID != "ports" || f.Text != "odd" {
		t.Errorf("%+v", f)
	}
}

func TestRoom(t *testing.T) {
	c := (&computertest.Fake{Memory: computer.Memory{Total: 4 * lab.GiB, Available: 2 * lab.GiB}, Disk: computer.Disk{Free: 3 * lab.GiB}}).Computer()
	for need, want := range map[lab.Size]lab.Severity{lab.GiB: lab.SeverityOK, 3 * lab.GiB: lab.SeverityWarn, 5 * lab.GiB: lab.SeverityStop} {
		if f := c.CheckMemory(need, "machines", "fewer", false)[0]; f.Severity != want || f.ID != "memory" {
			t.Errorf("%s: %+v", need, f)
		}
	}
	if f := c.CheckMemory(5*lab.GiB, "machines", "fewer", true)[0]; f.Severity != lab.SeverityWarn {
		t.Errorf("soft: %+v", f)
	}
	for _, r := range []struct {
		want, need lab.Size
		severity   lab.Severity
		id         string
	}{{2 * lab.GiB, lab.GiB, lab.SeverityOK, "d"}, {4 * lab.GiB, lab.GiB, lab.SeverityWarn, "d"}, {9 * lab.GiB, 4 * lab.GiB, lab.SeverityStop, "disk-full"}} {
		if f := c.CheckDisk(computer.Room{ID: "d", Path: "/x", For: "y", Want: r.want, Need: r.need})[0]; f.Severity != r.severity || f.ID != r.id {
			t.Errorf("%+v", f)
		}
	}
	for size, want := range map[lab.Size]string{0: "0 MiB", 300 * lab.MiB: "300 MiB", 1536 * lab.MiB: "1.5 GiB", 3 * lab.GiB: "3 GiB"} {
		if got := computer.Amount(size); got != want {
			t.Errorf("%d: %s", size, got)
		}
	}
}

func TestProxy(t *testing.T) {
	nodes := func(first string, n int) (out []lab.Node) {
		a := netip.MustParseAddr(first)
		for range n {
			out = append(out, lab.Node{IP: a})
			a = a.Next()
		}
		return out
	}
	for name, c := range map[string]struct {
		env    map[string]string
		nodes  []lab.Node
		note   bool
		advice string
	}{
		"none":                {nodes: nodes("192.168.59.1", 2)},
		"a proxy":             {env: map[string]string{"HTTP_PROXY": "http://p:1"}, nodes: nodes("192.168.59.1", 2), note: true, advice: "export no_proxy=192.168.59.1,192.168.59.2 (and NO_PROXY)"},
		"many machines":       {env: map[string]string{"http_proxy": "http://p:1", "no_proxy": "x"}, nodes: nodes("192.168.59.1", 9), note: true, advice: "export no_proxy=x,192.168.59.0/24 (and NO_PROXY)"},
		"excepted":            {env: map[string]string{"http_proxy": "http://p:1", "no_proxy": "192.168.0.0/16"}, nodes: nodes("192.168.59.1", 2)},
		"excepted one by one": {env: map[string]string{"http_proxy": "http://p:1", "no_proxy": "192.168.59.1,192.168.59.2"}, nodes: nodes("192.168.59.1", 2)},
		"one forgotten":       {env: map[string]string{"http_proxy": "http://p:1", "no_proxy": "192.168.59.1"}, nodes: nodes("192.168.59.1", 2), note: true},
		"loopback":            {env: map[string]string{"http_proxy": "http://p:1"}, nodes: nodes("127.168.59.1", 2), note: true},
		"loopback, excepted":  {env: map[string]string{"http_proxy": "http://p:1", "no_proxy": "localhost, 127.0.0.0/8"}, nodes: nodes("127.168.59.1", 2)},
		"everything excepted": {env: map[string]string{"http_proxy": "http://p:1", "no_proxy": "*"}, nodes: nodes("127.168.59.1", 2)},
		"for https only":      {env: map[string]string{"https_proxy": "http://p:1"}, nodes: nodes("127.168.59.1", 2)},
		"no URL":              {env: map[string]string{"http_proxy": "http://[::1"}, nodes: nodes("192.168.59.1", 2), note: true},
	} {
		found := (&computertest.Fake{Env: c.env}).Computer().CheckProxy(c.nodes)
		if len(found) != 1 || (found[0].Severity == lab.SeverityNote) != c.note || (c.advice != "" && found[0].Advice != c.advice) {
			t.Errorf("%s: %+v", name, found)
		}
	}
	if found := computer.This().CheckProxy(nil); found != nil {
		t.Errorf("without machines: %+v", found)
	}
}
