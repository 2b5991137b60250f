package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// both runs a test on Memory and on Moby in front of one.
func both(t *testing.T, test func(t *testing.T, e Engine, m *Memory)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		bubble.Test(t, func(t *testing.T) { m := &Memory{}; test(t, m, m) })
	})
	t.Run("moby", func(t *testing.T) {
		bubble.Test(t, func(t *testing.T) {
			m := &Memory{}
			e, _ := newMoby(t, m, "1.44")
			test(t, e, m)
		})
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLife(t *testing.T) {
	both(t, func(t *testing.T, e Engine, m *Memory) {
		ctx := t.Context()
		m.AddImage("nginx:1.9")
		if v, err := e.Version(ctx); err != nil || v == "" {
			t.Errorf("version %q, %v", v, err)
		}
		must(t, e.Pull(ctx, "nginx:1.9", false))
		must(t, e.Create(ctx, Spec{Name: "mesos-a.1", Image: "nginx:1.9", Network: "bridge"}))
		if err := e.Create(ctx, Spec{Name: "mesos-a.1", Image: "nginx:1.9"}); err == nil {
			t.Error("one name, two containers")
		}
		info, err := e.Inspect(ctx, "mesos-a.1")
		must(t, err)
		if info.Running || info.Started {
			t.Errorf("created: %+v", info)
		}
		must(t, e.Start(ctx, "mesos-a.1"))
		info, err = e.Inspect(ctx, "mesos-a.1")
		must(t, err)
		if !info.Running || !info.Started || info.PID == 0 || !slices.Equal(info.IPs, []string{"172.17.0.2"}) {
			t.Errorf("running: %+v", info)
		}
		var list []map[string]any
		if err := json.Unmarshal(info.Raw, &list); err != nil || len(list) != 1 || list[0]["Name"] != "/mesos-a.1" {
			t.Errorf("raw %s: %v", info.Raw, err)
		}
		time.AfterFunc(time.Minute, func() { m.Exit("mesos-a.1", 3) })
		if code, err := e.Wait(ctx, "mesos-a.1"); err != nil || code != 3 {
			t.Errorf("ended with %d, %v", code, err)
		}
		if code, err := e.Wait(ctx, "mesos-a.1"); err != nil || code != 3 {
			t.Errorf("ended for the second time with %d, %v", code, err)
		}
		must(t, e.Stop(ctx, "mesos-a.1", 0))
		info, err = e.Inspect(ctx, "mesos-a.1")
		must(t, err)
		if info.Running || !info.Started || info.ExitCode != 3 {
			t.Errorf("ended: %+v", info)
		}
		must(t, e.Create(ctx, Spec{Name: "other-mesos-a.1", Image: "nginx:1.9"}))
		if names, err := e.List(ctx, "mesos-a."); err != nil || !slices.Equal(names, []string{"mesos-a.1"}) {
			t.Errorf("list %q, %v", names, err)
		}
		must(t, e.Remove(ctx, "mesos-a.1"))
		must(t, e.Remove(ctx, "mesos-a.1"))
		for what, err := range map[string]error{
			"start": e.Start(ctx, "mesos-a.1"), "stop": e.Stop(ctx, "mesos-a.1", 0),
			"inspect": second(e.Inspect(ctx, "mesos-a.1")), "wait": second(e.Wait(ctx, "mesos-a.1")),
			"exec": second(e.Exec(ctx, "mesos-a.1", []string{"true"}, nil)),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s of a container that is gone: %v", what, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestPull(t *testing.T) {
	both(t, func(t *testing.T, e Engine, m *Memory) {
		if err := e.Pull(t.Context(), "nobody:1", false); err == nil || !strings.Contains(err.Error(), "pull access denied for nobody") {
			t.Errorf("%v", err)
		}
		m.Publish("busybox:1", time.Minute)
		began := time.Now()
		must(t, e.Pull(t.Context(), "busybox:1", false))
		if time.Since(began) != time.Minute {
			t.Errorf("it took %v", time.Since(began))
		}
		must(t, e.Pull(t.Context(), "busybox:1", false))
		if time.Since(began) != time.Minute {
			t.Error("pulled twice")
		}
		must(t, e.Pull(t.Context(), "busybox:1", true))
		if time.Since(began) != 2*time.Minute {
			t.Error("not pulled by force")
		}
		m.Publish("slow:1", time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Pull(ctx, "slow:1", false); err == nil {
			t.Error("a pull outlived its context")
		}
	})
}

func TestStop(t *testing.T) {
	both(t, func(t *testing.T, e Engine, m *Memory) {
		m.AddImage("i")
		m.OnStop = func(string, time.Duration) (time.Duration, int) { return 3 * time.Second, 0 }
		for name, c := range map[string]struct {
			grace time.Duration
			code  int
		}{"at-once": {0, 137}, "patient": {10 * time.Second, 0}, "rounded": {2500 * time.Millisecond, 0}} {
			must(t, e.Create(t.Context(), Spec{Name: name, Image: "i"}))
			must(t, e.Start(t.Context(), name))
			must(t, e.Stop(t.Context(), name, c.grace))
			code, err := e.Wait(t.Context(), name)
			if name == "rounded" && err == nil && (code == 0 || code == 137) {
				continue // the API knows whole seconds only
			}
			if err != nil || code != c.code {
				t.Errorf("%s: %d, %v", name, code, err)
			}
		}
	})
}

func TestExec(t *testing.T) {
	both(t, func(t *testing.T, e Engine, m *Memory) {
		m.AddImage("i")
		m.OnExec = func(ctx context.Context, _ string, cmd []string) (int, error) {
			if cmd[0] == "hang" {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			return len(cmd), nil
		}
		must(t, e.Create(t.Context(), Spec{Name: "c", Image: "i"}))
		if _, err := e.Exec(t.Context(), "c", []string{"true"}, nil); err == nil {
			t.Error("executed in a container that does not run")
		}
		must(t, e.Start(t.Context(), "c"))
		if code, err := e.Exec(t.Context(), "c", []string{"a", "b"}, []string{"X=1"}); err != nil || code != 2 {
			t.Errorf("%d, %v", code, err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errTooLong)
		defer cancel()
		began := time.Now()
		if _, err := e.Exec(ctx, "c", []string{"hang"}, nil); !errors.Is(err, errTooLong) {
			t.Errorf("%v", err)
		}
		if time.Since(began) != time.Second {
			t.Errorf("hung for %v", time.Since(began))
		}
	})
}

var errTooLong = errors.New("too long")

func TestWaitEndsWithItsContext(t *testing.T) {
	both(t, func(t *testing.T, e Engine, m *Memory) {
		m.AddImage("i")
		must(t, e.Create(t.Context(), Spec{Name: "c", Image: "i"}))
		must(t, e.Start(t.Context(), "c"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := e.Wait(ctx, "c"); err == nil {
			t.Error("it ended, it is said")
		}
		// The bubble's end shows that nobody was left waiting.
	})
}

func TestLogs(t *testing.T) {
	both(t, func(t *testing.T, e Engine, m *Memory) {
		m.AddImage("i")
		must(t, e.Create(t.Context(), Spec{Name: "c", Image: "i"}))
		must(t, e.Start(t.Context(), "c"))
		m.Print("c", "before\n")
		time.AfterFunc(time.Minute, func() { m.Print("c", "after\n") })
		time.AfterFunc(time.Hour, func() { m.Exit("c", 0) })
		var out strings.Builder
		must(t, e.Logs(t.Context(), "c", &out, io.Discard))
		if out.String() != "before\nafter\n" {
			t.Errorf("%q", out.String())
		}
		if err := e.Logs(t.Context(), "nobody", &out, io.Discard); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		must(t, e.Create(t.Context(), Spec{Name: "d", Image: "i"}))
		must(t, e.Start(t.Context(), "d"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := e.Logs(ctx, "d", &out, io.Discard); err == nil {
			t.Error("it ended, it is said")
		}
	})
}

// The library would speak 1.56 to whatever answers.
func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"1.39": "speaks API 1.39 only", "": "not the answer of a docker engine"} {
		bubble.Test(t, func(t *testing.T) {
			e, s := newMoby(t, &Memory{}, version)
			if err := e.Pull(t.Context(), "x", false); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", version, err)
			}
			if len(s.seen) != 0 {
				t.Errorf("it spoke %q all the same", s.seen)
			}
		})
	}
	for version, want := range map[string]string{"1.44": "v1.44", "1.99": "v1.56"} {
		bubble.Test(t, func(t *testing.T) {
			m := &Memory{}
			m.AddImage("x")
			e, s := newMoby(t, m, version)
			must(t, e.Pull(t.Context(), "x", false))
			if !slices.Equal(s.seen, []string{want}) {
				t.Errorf("engine %s was spoken to with %q", version, s.seen)
			}
		})
	}
}

func TestCreateRequest(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		m := &Memory{}
		m.AddImage("i")
		e, s := newMoby(t, m, "1.44")
		must(t, e.Create(t.Context(), Spec{Name: "c", Image: "i", Cmd: []string{"-c", "x"}, Entrypoint: []string{"/bin/sh"}, Env: []string{"A=b"},
			Network: "bridge", Ports: []Port{{31005, 80, "tcp"}, {31006, 53, "udp"}}, Binds: []string{"/a:/b:ro"}, Volumes: []string{"/v"},
			CPUShares: 512, MemoryBytes: 64 << 20, Privileged: true, Hostname: "h", DNS: []string{"10.0.0.1"}, Labels: map[string]string{"k": "v"}}))
		var got struct {
			Image, Hostname      string
			Cmd, Entrypoint, Env []string
			Labels               map[string]string
			ExposedPorts         map[string]any
			Volumes              map[string]any
			HostConfig           struct {
				NetworkMode  string
				Binds        []string
				PortBindings map[string][]struct{ HostIp, HostPort string }
				CpuShares    int64
				Memory       int64
				Privileged   bool
				Dns          []string
			}
		}
		must(t, json.Unmarshal(s.made, &got))
		h := got.HostConfig
		if got.Hostname != "h" || got.Entrypoint[0] != "/bin/sh" || got.Cmd[1] != "x" || got.Env[0] != "A=b" || got.Labels["k"] != "v" || len(got.Volumes) != 1 || len(got.ExposedPorts) != 2 {
			t.Errorf("%s", s.made)
		}
		if h.NetworkMode != "bridge" || h.Binds[0] != "/a:/b:ro" || h.CpuShares != 512 || h.Memory != 64<<20 || !h.Privileged || h.Dns[0] != "10.0.0.1" {
			t.Errorf("%s", s.made)
		}
		tcp, udp := h.PortBindings["80/tcp"], h.PortBindings["53/udp"]
		if len(tcp) != 1 || tcp[0].HostPort != "31005" || tcp[0].HostIp != "" || len(udp) != 1 || udp[0].HostPort != "31006" {
			t.Errorf("%s", s.made)
		}
	})
}

func TestUsage(t *testing.T) {
	both(t, func(t *testing.T, e Engine, m *Memory) {
		ctx := t.Context()
		m.AddImage("nginx:1.9")
		must(t, e.Create(ctx, Spec{Name: "a", Image: "nginx:1.9"}))
		must(t, e.Start(ctx, "a"))
		want := Usage{User: 3 * time.Second, System: time.Second, RSS: 7 << 20}
		m.Used = want
		if u, err := e.Usage(ctx, "a"); err != nil || u != want {
			t.Errorf("%+v, %v", u, err)
		}
		if _, err := e.Usage(ctx, "b"); !errors.Is(err, ErrNotFound) {
			t.Errorf("of none: %v", err)
		}
	})
}

// What engines call resident memory.
func TestUsageOf(t *testing.T) {
	for want, m := range map[uint64]container.MemoryStats{
		1: {Usage: 9, Stats: map[string]uint64{"rss": 1, "inactive_file": 2}},
		2: {Usage: 9, Stats: map[string]uint64{"anon": 2, "inactive_file": 2}},
		7: {Usage: 9, Stats: map[string]uint64{"inactive_file": 2}},
		0: {Usage: 9, Stats: map[string]uint64{"inactive_file": 20}},
	} {
		if u := usageOf(container.StatsResponse{MemoryStats: m}); u.RSS != want {
			t.Errorf("%+v: %d, want %d", m, u.RSS, want)
		}
	}
}
