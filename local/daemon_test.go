//go:build unix

package local

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
)

// answersPing asks the engine over the machine's unix socket.
func answersPing(ctx context.Context, h *provision.Host) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err := h.EngineVersion(ctx)
	return err
}

// TestDaemonFaults breaks the Docker daemon in every way, as lab break does
// over SSH.
func TestDaemonFaults(t *testing.T) {
	_, _, ms := up(t, 1)
	h, err := provision.Connect(t.Context(), ms[0])
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	d := dockerOf(t, ms[0])
	address := net.JoinHostPort(ms[0].IP.String(), "7000")
	d.run("always", "lab/echo", []string{"echo", ":7000"}, obj{"RestartPolicy": obj{"Name": "always"}})
	echoes(t, address)
	_, before := d.state("always")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	// Frozen, it takes connections and answers none; what it runs goes on.
	must(h.SignalDocker(t.Context(), "STOP"))
	if err := answersPing(t.Context(), h); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("a frozen daemon: %v", err)
	}
	echoes(t, address)
	must(h.StartDocker(t.Context()))
	must(answersPing(t.Context(), h))
	if _, pid := d.state("always"); pid != before {
		t.Errorf("pid %d, was %d: the container was restarted", pid, before)
	}

	// Killed, it leaves its containers running and nobody to answer. Its next
	// life ends them, as dockerd without live-restore does.
	must(h.KillDocker(t.Context(), true))
	if err := answersPing(t.Context(), h); err == nil {
		t.Error("a killed daemon answers")
	}
	echoes(t, address)
	must(h.StartDocker(t.Context()))
	echoes(t, address)
	if _, pid := d.state("always"); pid == before {
		t.Error("the container of the killed daemon runs on")
	} else {
		before = pid
	}

	// After a crash its service comes back by itself.
	must(h.KillDocker(t.Context(), false))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(lab.Until(ctx, 50*time.Millisecond, "docker to come back", func(ctx context.Context) error { return answersPing(ctx, h) }))
	echoes(t, address)
	if _, pid := d.state("always"); pid == before {
		t.Error("the container of the crashed daemon runs on")
	}

	// Stopped, it takes its containers with it, and stays so.
	must(h.StopDocker(t.Context()))
	refuses(t, address)
	if out, exit := run(t, connect(t, ms[0], "vagrant"), "ls /var/run/docker.pid 2>/dev/null", ""); exit == 0 {
		t.Errorf("left: %s", out)
	}
	must(h.StartDocker(t.Context()))
	must(h.StartDocker(t.Context())) // again is no error
	echoes(t, address)
}
