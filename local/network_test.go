//go:build linux

package local

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/local/silence"
)

// says writes to an echo and reads the answer.
func says(c net.Conn, text string) error {
	if _, err := c.Write([]byte(text)); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, len(text)))
	return err
}

// TestCut cuts node2 off: nothing gets through to it from the others, nor from
// it, in connections that are open and in new ones; this computer and the
// machine itself reach it. Afterwards everything goes on.
func TestCut(t *testing.T) {
	if err := silence.Supported(); err != nil {
		if os.Getenv("LAB_TEST_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Skip("cuts need socket filters:", err)
	}
	p, plan, ms := up(t, 3)
	address := func(i int) string { return net.JoinHostPort(ms[i].IP.String(), "7000") }
	for _, m := range ms {
		dockerOf(t, m).run("echo", "lab/echo", []string{"echo", ":7000"}, nil)
		echoes(t, net.JoinHostPort(m.IP.String(), "7000"))
	}
	ways := func(from, to int, wait time.Duration) error {
		t.Helper()
		done := make(chan error, 1)
		go func() {
			c, err := connect(t, ms[from], "vagrant").Dial("tcp", address(to))
			if err == nil {
				err = says(c, "hello")
				c.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			return err
		case <-time.After(wait):
			return os.ErrDeadlineExceeded
		}
	}
	open, err := connect(t, ms[0], "vagrant").Dial("tcp", address(1))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	heard := make(chan byte, 100)
	go func() { // the one reader of open
		b := make([]byte, 1)
		for {
			if _, err := open.Read(b); err != nil {
				return
			}
			heard <- b[0]
		}
	}()
	hear := func(n int, wait time.Duration) int {
		limit := time.After(wait)
		for i := range n {
			select {
			case <-heard:
			case <-limit:
				return i
			}
		}
		return n
	}
	fmt.Fprint(open, "before")
	if n := hear(6, 10*time.Second); n < 6 {
		t.Fatalf("%d bytes came back before anything was cut", n)
	}

	cut := []lab.Disturbance{{Node: "node2", Peer: "node1", Cut: true}, {Node: "node2", Peer: "node3", Cut: true}}
	for range 2 { // again is no error
		if err := p.Disturb(t.Context(), plan, cut); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]int{{0, 1}, {2, 1}, {1, 0}, {1, 2}} {
		if err := ways(pair[0], pair[1], 500*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("node%d reaches node%d: %v", pair[0]+1, pair[1]+1, err)
		}
	}
	for _, pair := range [][2]int{{0, 2}, {1, 1}} {
		if err := ways(pair[0], pair[1], 20*time.Second); err != nil {
			t.Errorf("node%d does not reach node%d: %v", pair[0]+1, pair[1]+1, err)
		}
	}
	echoes(t, address(1)) // from this computer
	fmt.Fprint(open, "hello")
	if n := hear(1, 500*time.Millisecond); n > 0 {
		t.Error("a connection that was open goes on")
	}
	// A listener of now is deaf, too.
	dockerOf(t, ms[1]).run("late", "lab/echo", []string{"echo", ":7001"}, nil)
	echoes(t, net.JoinHostPort(ms[1].IP.String(), "7001"))
	late := make(chan error, 1)
	go func() {
		c, err := connect(t, ms[0], "vagrant").Dial("tcp", net.JoinHostPort(ms[1].IP.String(), "7001"))
		if err == nil {
			c.Close()
		}
		late <- err
	}()
	select {
	case err := <-late:
		t.Errorf("a new listener answers: %v", err)
	case <-time.After(500 * time.Millisecond):
	}

	if err := p.Disturb(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	if n := hear(5, 30*time.Second); n < 5 {
		t.Errorf("of what was sent meanwhile %d bytes came back", n)
	}
	if err := ways(0, 1, 20*time.Second); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := p.CanDisturb(t.Context(), plan, lab.Disturbance{Node: "node2", Delay: time.Second}); lab.ErrorID(err) != "fault-unsupported" || !errors.Is(err, lab.ErrUsage) {
		t.Errorf("slow: %v", err)
	}
}

// TestBootForgetsCuts: the side that was rebooted hears everybody again, and
// a machine that does not run is left out.
func TestBootForgetsCuts(t *testing.T) {
	if err := silence.Supported(); err != nil {
		t.Skip("cuts need socket filters:", err)
	}
	p, plan, ms := up(t, 2)
	cut := []lab.Disturbance{{Node: "node2", Peer: "node1", Cut: true}}
	if err := p.Power(t.Context(), plan, []string{"node2"}, lab.PowerPause); err != nil {
		t.Fatal(err)
	}
	if err := p.Disturb(t.Context(), plan, cut); err != nil {
		t.Fatal(err)
	}
	for _, power := range []lab.Power{lab.PowerOn, lab.PowerOff, lab.PowerOn} {
		if err := p.Power(t.Context(), plan, []string{"node2"}, power); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Disturb(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	c, err := connect(t, ms[0], "vagrant").Dial("tcp", ms[1].SSH.Addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
