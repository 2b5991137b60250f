package scheduler

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
)

// journal is a Handler that writes down what it is told.
type journal struct {
	mu    sync.Mutex
	lines []string
	takes time.Duration // what AgentLost takes
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// take returns the lines since the last time.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lines
	j.lines = nil
	return l
}

func (j *journal) Subscribed(_ context.Context, id, master string) {
	j.note("subscribed %s at %s", id, master)
}
func (j *journal) Disconnected()             { j.note("disconnected") }
func (j *journal) Offers(o []mesos.Offer)    { j.note("%d offers", len(o)) }
func (j *journal) Rescinded(o mesos.OfferID) { j.note("rescinded %s", o.Value) }
func (j *journal) Update(_ context.Context, s mesos.TaskStatus) {
	j.note("%s %s", s.TaskID.Value, s.GetState())
}
func (j *journal) Message(a mesos.AgentID, e mesos.ExecutorID, data []byte) {
	j.note("message %s %s %s", a.Value, e.Value, data)
}
func (j *journal) AgentLost(id mesos.AgentID) {
	time.Sleep(j.takes)
	j.note("lost %s", id.Value)
}
func (j *journal) Undelivered(c *Call) { j.note("undelivered %s", c.Type) }
func (j *journal) Fatal(m string)      { j.note("fatal %s", m) }

// chosen is a Detector that tests steer.
type chosen struct {
	mu      sync.Mutex
	leader  string
	changed chan struct{}
}

func (c *chosen) set(leader string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leader = leader
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *chosen) Next(ctx context.Context, known string) (string, error) {
	for {
		c.mu.Lock()
		l, ch := c.leader, c.changed
		c.mu.Unlock()
		if l != known {
			return l, nil
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// world is a Client and masters on a network.
type world struct {
	net    *labtest.Network
	twin   *TwinServer
	client *Client
	told   *journal
	detect *chosen
}

func inBubble(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		w := &world{net: labtest.NewNetwork(), twin: &TwinServer{Twin: NewTwin()}, told: &journal{}, detect: &chosen{changed: make(chan struct{})}}
		w.twin.AddAgent("S0", "10.0.1.1", 1, 512, nil)
		defer w.serve(t, "10.0.0.1", w.twin)()
		env := mini.Env{Dial: w.net.Host("10.0.0.9").Dial}
		http := env.HTTPClient()
		defer http.CloseIdleConnections()
		w.client = &Client{HTTP: http, Detector: w.detect, Handler: w.told, Framework: mesos.FrameworkInfo{User: "root", Name: "marathon"}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = w.client.Run(ctx) }()
		defer func() { cancel(); <-done; synctest.Wait() }()
		fn(t, w)
	})
}

func (w *world) serve(t *testing.T, host string, h http.Handler) func() {
	t.Helper()
	ln, err := w.net.Host(host).Listen(t.Context(), "tcp", ":5050")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	return func() { srv.Close(); <-done; synctest.Wait() }
}

func (w *world) expect(t *testing.T, after time.Duration, want ...string) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if got := w.told.take(); !slices.Equal(got, want) {
		t.Errorf("told\n%q, want\n%q", got, want)
	}
}

func TestSubscribesAndCallsInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.client.Send(calls.Revive())
		w.expect(t, 0, "undelivered REVIVE")
		w.detect.set("10.0.0.1:5050")
		w.expect(t, 0, "subscribed twin-0000 at 10.0.0.1:5050", "1 offers")
		for i := range 20 {
			w.client.Send(calls.Kill(fmt.Sprintf("t%d", i), "S0"))
		}
		synctest.Wait()
		for i, c := range w.twin.Calls(scheduler.Call_KILL) {
			if c.Kill.TaskID.Value != fmt.Sprintf("t%d", i) || c.FrameworkID.Value != "twin-0000" {
				t.Errorf("call %d is %v", i, c)
			}
		}
		if lines := w.told.take(); len(lines) != 20 || lines[0] != "t0 TASK_LOST" {
			t.Errorf("told %q", lines)
		}
		w.twin.Refuse("Framework failed over")
		w.expect(t, 0, "fatal Framework failed over")
	})
}

func TestRedirectsAreFollowed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		other := &TwinServer{Twin: NewTwin(), Elsewhere: func() string { return "//10.0.0.1:5050/master/api/v1/scheduler" }}
		defer w.serve(t, "10.0.0.2", other)()
		w.detect.set("10.0.0.2:5050")
		w.expect(t, time.Second, "subscribed twin-0000 at 10.0.0.1:5050", "1 offers")
		w.client.Send(calls.Revive())
		synctest.Wait()
		if n := len(w.twin.Calls(scheduler.Call_REVIVE)); n != 1 {
			t.Errorf("%d calls at the leader", n)
		}
	})
}

func TestSilentMasterIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.detect.set("10.0.0.1:5050")
		w.expect(t, 10*time.Minute, "subscribed twin-0000 at 10.0.0.1:5050", "1 offers")
		w.net.Cut("10.0.0.1")
		w.expect(t, 59*time.Second) // four heartbeats are missing, or five at most
		w.expect(t, 17*time.Second, "disconnected")
		w.client.Send(calls.Revive())
		w.expect(t, 0, "undelivered REVIVE")
		w.net.Mend("10.0.0.1")
		w.expect(t, 20*time.Second, "subscribed twin-0000 at 10.0.0.1:5050", "1 offers")
		subs := w.twin.Calls(scheduler.Call_SUBSCRIBE)
		last := subs[len(subs)-1]
		if last.FrameworkID.GetValue() != "twin-0000" || last.Subscribe.FrameworkInfo.ID.GetValue() != "twin-0000" {
			t.Errorf("subscribed again as %v", last)
		}
	})
}

func TestNextMasterIsFollowedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.detect.set("10.0.0.1:5050")
		w.expect(t, time.Minute, "subscribed twin-0000 at 10.0.0.1:5050", "1 offers")
		second := &TwinServer{Twin: NewTwin()}
		defer w.serve(t, "10.0.0.2", second)()
		w.net.Cut("10.0.0.1")
		w.detect.set("10.0.0.2:5050")
		w.expect(t, 0, "disconnected", "subscribed twin-0000 at 10.0.0.2:5050")
		w.detect.set("")
		w.expect(t, time.Minute, "disconnected")
		w.net.Mend("10.0.0.1")
	})
}

func TestRefusalsAreTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		tries := 0
		defer w.serve(t, "10.0.0.3", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if tries++; tries < 5 {
				http.Error(rw, "Master has not finished recovery", http.StatusServiceUnavailable)
				return
			}
			w.twin.ServeHTTP(rw, r)
		}))()
		w.detect.set("10.0.0.3:5050")
		w.expect(t, 10*time.Second, "subscribed twin-0000 at 10.0.0.3:5050", "1 offers")
	})
}

func TestMasterInfos(t *testing.T) {
	for s, want := range map[string]string{
		`{"address":{"hostname":"m","ip":"10.0.0.1","port":5050},"hostname":"m","ip":16777226,"port":5050}`: "10.0.0.1:5050",
		`{"hostname":"m1","ip":16777226,"port":5051}`:                                                       "m1:5051", `{}`: "", `{"port":1}`: "", `x`: "", `{"hostname":"m","port":70000}`: "",
	} {
		if got, _ := parseMaster([]byte(s)); got != want {
			t.Errorf("%s is %q, want %q", s, got, want)
		}
	}
}

func FuzzMasterInfo(f *testing.F) {
	f.Add([]byte(`{"address":{"ip":"10.0.0.1","port":5050}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := parseMaster(b); err == nil && !strings.Contains(got, ":") {
			t.Errorf("%q is %q", b, got)
		}
	})
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{"3\nabc0\n2\nhi", "x\n", "99999999999\n", "5\nab", "-1\n", " 2 \nab"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		read := 0
		for {
			rec, err := readRecord(r)
			if err != nil {
				return
			}
			if read += len(rec) + 2; read > len(b) {
				t.Fatalf("read %d bytes of %d", read, len(b))
			}
		}
	})
}

// TestSlowHandlerIsNoDeadStream: while a handler waits for its store nobody
// reads the stream, which is no reason to give it up.
func TestSlowHandlerIsNoDeadStream(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.detect.set("10.0.0.1:5050")
		w.expect(t, time.Second, "subscribed twin-0000 at 10.0.0.1:5050", "1 offers")
		w.told.takes = 3 * time.Minute
		w.twin.RemoveAgent("S0")
		w.expect(t, 5*time.Minute, "lost S0")
	})
}
