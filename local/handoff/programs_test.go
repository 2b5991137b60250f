//go:build unix

package handoff

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// programs records what is asked, and plays a supervisor with pid 7.
type programs struct {
	asked chan string
	gone  chan struct{}
}

var seven = proctab.ID{PID: 7, Start: "now"}

func (p programs) Start(_ context.Context, name, order string) (proctab.ID, error) {
	p.asked <- "start " + name + " " + order
	if name == "refused" {
		return proctab.ID{}, errors.New("root may not do that")
	}
	return seven, nil
}

func (p programs) Wait(ctx context.Context, id proctab.ID) error {
	p.asked <- fmt.Sprint("wait ", id)
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p programs) Stop(_ context.Context, id proctab.ID, grace time.Duration) error {
	p.asked <- fmt.Sprint("stop ", id, " ", grace)
	return nil
}

func (p programs) expect(t *testing.T, want string) {
	t.Helper()
	if got := <-p.asked; got != want {
		t.Errorf("the machine was asked %q, want %q", got, want)
	}
}

func TestProgramsAreTheMachines(t *testing.T) {
	m, c, _ := start(t)
	id, err := c.Start(t.Context(), "task", "/dir/order")
	if err != nil || id != seven {
		t.Fatalf("%v, %v", id, err)
	}
	m.programs.expect(t, "start task /dir/order")
	if _, err := c.Start(t.Context(), "refused", "/dir/order"); err == nil || !strings.Contains(err.Error(), "root may not do that") {
		t.Errorf("%v", err)
	}
	m.programs.expect(t, "start refused /dir/order")

	// One that waits for ever is in nobody's way.
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan error)
	go func() { given <- c.Wait(ctx, id) }()
	m.programs.expect(t, "wait {7 now}")
	waited := make(chan error)
	go func() { waited <- c.Wait(t.Context(), id) }()
	m.programs.expect(t, "wait {7 now}")
	cancel()
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	if err := c.Stop(t.Context(), id, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	m.programs.expect(t, "stop {7 now} 3s")
	close(m.programs.gone)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

func TestTheMachinesEndEndsWaiting(t *testing.T) {
	m, c, _ := start(t)
	waited := make(chan error)
	go func() { waited <- c.Wait(t.Context(), seven) }()
	m.programs.expect(t, "wait {7 now}")
	c.Close()
	if err := <-waited; err == nil {
		t.Error("a process that may live is called gone")
	}
}
