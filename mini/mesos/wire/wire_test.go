package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
)

// messages returns one of each kind, every field set.
func messages() []Message {
	state, grace := mesos.TASK_RUNNING, 3*time.Second
	fw := mesos.FrameworkInfo{User: "root", Name: "f", ID: &mesos.FrameworkID{Value: "m-0000"}}
	agent := mesos.AgentInfo{Hostname: "node2", ID: &mesos.AgentID{Value: "m-S0"}}
	task := mesos.Task{Name: "n", TaskID: mesos.TaskID{Value: "t"}, FrameworkID: *fw.ID, AgentID: *agent.ID, State: &state}
	status := mesos.TaskStatus{TaskID: task.TaskID, State: &state, UUID: []byte{1, 2}}
	info := mesos.TaskInfo{Name: "n", TaskID: task.TaskID, AgentID: *agent.ID}
	cpus := mesos.Resource{Name: "cpus", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: 1}}
	refs := []TaskRef{{"m-0000", "t"}}
	return []Message{
		&Register{Agent: Of(agent), PID: "slave(1)@10.0.0.2:5051", Version: "1.3.2", Checkpoint: true, Reserved: All([]mesos.Resource{cpus})},
		&Reregister{Agent: Of(agent), PID: "slave(1)@10.0.0.2:5051", Version: "1.3.2", Checkpoint: true,
			Tasks: []Task{Of(task)}, Completed: []Task{Of(task)}, Frameworks: []FrameworkInfo{Of(fw)}},
		&Pong{Seq: 7},
		&StatusUpdate{FrameworkID: "m-0000", Status: Of(status), LatestState: mesos.TASK_FINISHED},
		&Unregister{},
		&Registered{AgentID: "m-S0", TotalPingTimeout: 75 * time.Second},
		&Reregistered{AgentID: "m-S0", TotalPingTimeout: time.Second, Reconcile: refs},
		&Shutdown{Message: "removed"},
		&Ping{Seq: 7, Connected: true},
		&RunTask{Framework: Of(fw), Task: Of(info)},
		&KillTask{FrameworkID: "m-0000", TaskID: "t", GracePeriod: &grace},
		&Ack{FrameworkID: "m-0000", TaskID: "t", UUID: []byte{1, 2}},
		&ShutdownFramework{FrameworkID: "m-0000"},
		&UpdateFramework{FrameworkID: "m-0000"},
		&CheckpointResources{Resources: All([]mesos.Resource{cpus})},
		&Reconcile{Tasks: refs},
	}
}

func TestMarshal(t *testing.T) {
	for _, m := range messages() {
		b, err := Marshal(m)
		if err != nil {
			t.Errorf("%s: %v", m.Kind(), err)
			continue
		}
		back, err := Unmarshal(b)
		if err != nil {
			t.Errorf("%s: %v in %s", m.Kind(), err, b)
		} else if !reflect.DeepEqual(back, m) {
			t.Errorf("%s: there and back:\n%s", m.Kind(), cmp.Diff(m, back))
		}
	}
	for _, bad := range []string{"", "{}", `{"kind":"pong"}`, `{"kind":"dance","body":{}}`, `{"kind":"pong","body":{"seq":1,"x":2}}`,
		`{"kind":"register","body":{"agent":"/////w=="}}`, `{"kind":"pong","body":{"seq":-1}}`} {
		if m, err := Unmarshal([]byte(bad)); err == nil {
			t.Errorf("%s: got %+v, want an error", bad, m)
		}
	}
}

// pair returns both ends of a connection over the in-memory network.
func pair(t *testing.T, n *labtest.Network) (agent, master *Conn) {
	h := n.Host("10.0.0.1")
	l, err := h.Listen(t.Context(), "tcp", ":5050")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan *Conn, 1)
	env := mini.Env{}
	s := env.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case Path:
			if c, err := Accept(w, r); err == nil {
				accepted <- c
			}
		case "/away" + Path:
			http.Redirect(w, r, "//10.0.0.4:5050"+Path, http.StatusTemporaryRedirect)
		}
	}))
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	agent, err = Dial(t.Context(), n.Host("10.0.0.2").Dial, "10.0.0.1:5050")
	if err != nil {
		t.Fatal(err)
	}
	master = <-accepted
	t.Cleanup(func() { agent.Close(); master.Close() })
	return agent, master
}

func TestConversation(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		agent, master := pair(t, labtest.NewNetwork())
		go func() {
			for _, m := range messages() {
				if err := agent.Send(t.Context(), m); err != nil {
					t.Errorf("send %s: %v", m.Kind(), err)
				}
			}
			agent.Close()
		}()
		for _, want := range messages() {
			got, err := master.Receive(t.Context())
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, want)
			}
		}
		if _, err := master.Receive(t.Context()); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if err := master.Send(t.Context(), &Ping{}); err != nil {
			t.Logf("half-closed: %v", err) // either is fine: the peer is gone
		}
	})
}

func TestReceiveEndsWithContext(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		agent, master := pair(t, labtest.NewNetwork())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := master.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("receive: %v", err)
		}
		if _, err := agent.Receive(t.Context()); err == nil {
			t.Error("the connection must be closed after an error")
		}
	})
}

// TestSilentPeer: a cut swallows messages; Send does not hang for ever.
func TestSilentPeer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		agent, _ := pair(t, n)
		n.Cut("10.0.0.1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		big := &Shutdown{Message: strings.Repeat("x", 1<<20)}
		for range 100 {
			if err := agent.Send(ctx, big); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("send: %v", err)
				}
				return
			}
		}
		t.Error("100 MB sent to nobody")
	})
}

// feed returns a Conn that reads these bytes.
func feed(b []byte) *Conn {
	a, c := net.Pipe()
	go func() {
		c.Write(b)
		c.Close()
	}()
	return NewConn(a, nil)
}

func TestBrokenFrames(t *testing.T) {
	good := func(seq uint64) []byte {
		p, _ := Marshal(&Pong{Seq: 1})
		return appendFrame(nil, seq, p)
	}
	version := good(1)
	version[4] = 9
	long := binary.BigEndian.AppendUint32(nil, MaxPayload+1)
	long = append(long, Version, 0, 0, 0, 0, 0, 0, 0, 1)
	empty := append([]byte{0, 0, 0, 0}, long[4:]...)
	promise := append([]byte{0x00, 0xff, 0xff, 0xff}, long[4:]...) // 16 MB announced, nothing comes
	for name, c := range map[string]struct {
		bytes []byte
		ok    int // messages before the error
		want  error
	}{
		"version":          {version, 0, ErrVersion},
		"skipped":          {good(2), 0, ErrSequence},
		"repeated":         {bytes.Repeat(good(1), 2), 1, ErrSequence},
		"too long":         {long, 0, ErrTooLong},
		"empty":            {empty, 0, ErrTooLong},
		"broken off":       {good(1)[:20], 0, io.ErrUnexpectedEOF},
		"broken in header": {good(1)[:7], 0, io.ErrUnexpectedEOF},
		"nothing comes":    {promise, 0, io.ErrUnexpectedEOF},
		"two and the end":  {append(good(1), good(2)...), 2, io.EOF},
	} {
		conn := feed(c.bytes)
		for range c.ok {
			if _, err := conn.Receive(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := conn.Receive(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		conn.Close()
	}
}

func TestHandshakeRefusals(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		status, location := 503, ""
		l, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":5050")
		if err != nil {
			t.Fatal(err)
		}
		s := mini.Env{}.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if location != "" {
				w.Header().Set("Location", location)
			}
			w.WriteHeader(status)
			io.WriteString(w, "No leader elected")
		}))
		go s.Serve(l)
		defer s.Close()
		dial := func() error {
			c, err := Dial(t.Context(), n.Host("10.0.0.2").Dial, "10.0.0.1:5050")
			if err == nil {
				c.Close()
			}
			return err
		}
		var refused *RefusedError
		if err := dial(); !errors.As(err, &refused) || refused.Status != 503 || refused.Text != "No leader elected" {
			t.Errorf("503: %v", err)
		}
		var redirect *RedirectError
		status, location = 307, "//10.0.0.4:5050"+Path
		if err := dial(); !errors.As(err, &redirect) || redirect.Leader != "10.0.0.4:5050" {
			t.Errorf("307: %v", err)
		}
		status, location = 307, ""
		if err := dial(); err == nil || errors.As(err, &redirect) && redirect.Leader == "" {
			t.Errorf("307 to nowhere: %v", err)
		}
		status = 200
		if err := dial(); !errors.As(err, &refused) {
			t.Errorf("200: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n.Cut("10.0.0.1")
		if _, err := Dial(ctx, n.Host("10.0.0.2").Dial, "10.0.0.1:5050"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("silent master: %v", err)
		}
	})
}

func TestAcceptNeedsUpgrade(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		pair(t, n)
		c := mini.Env{Dial: n.Host("10.0.0.2").Dial}.HTTPClient()
		defer c.CloseIdleConnections()
		resp, err := c.Get("http://10.0.0.1:5050" + Path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("plain GET: %d", resp.StatusCode)
		}
	})
}

// FuzzReceive feeds foreign bytes to a connection: whatever comes, it reads
// messages or fails, and a message that was read can be sent again.
func FuzzReceive(f *testing.F) {
	var all []byte
	for i, m := range messages() {
		p, _ := Marshal(m)
		f.Add(appendFrame(nil, 1, p))
		all = appendFrame(all, uint64(i+1), p)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for seq := uint64(1); ; seq++ {
			m, err := readFrame(r, seq)
			if err != nil {
				return
			}
			p, err := Marshal(m)
			if err != nil {
				// Required fields may be missing in what came in.
				continue
			}
			if _, err := Unmarshal(p); err != nil {
				t.Fatalf("%s cannot be read again: %v", p, err)
			}
		}
	})
}
