package schedulerapi

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/v1call"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// sink is a Link and a Stream that keeps events.
type sink struct{ events []*scheduler.Event }

func (s *sink) Send(e *scheduler.Event) { s.events = append(s.events, e) }
func (s *sink) Close()                  {}

type agentSink struct{}

func (agentSink) Send(wire.Message) {}
func (agentSink) Close()            {}

// lively returns a cluster with one agent and one framework f on stream "s",
// which holds an offer of everything.
func lively(t testing.TB) *cluster.Cluster {
	c, err := cluster.New(cluster.Options{
		Master: mesos.MasterInfo{ID: "m"}, PingTimeout: time.Hour, MaxPings: 5, AllocationInterval: time.Second,
		ReregisterTimeout: time.Hour, MaxCompletedTasks: 10, MaxCompletedFrameworks: 10,
		Audit: func(err error) {
			if err != nil {
				t.Errorf("invariant broken: %v", err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	info := mesos.AgentInfo{Hostname: "a", Resources: resource.CPUMem(4, 2048).Proto("")}
	if err := c.Receive(agentSink{}, &wire.Register{Agent: wire.Of(info), PID: "slave(1)@10.0.0.2:5051", Checkpoint: true}); err != nil {
		t.Fatal(err)
	}
	c.Subscribe(mesos.FrameworkInfo{User: "root", Name: "f"}, nil, &sink{}, "s")
	return c
}

// FuzzCall sends bodies to a living cluster: nothing panics, no invariant
// breaks, every answer has a status of the contract.
func FuzzCall(f *testing.F) {
	const fw = `"framework_id":{"value":"m-0000"}`
	for _, body := range []string{
		`{"type":"ACCEPT",` + fw + `,"accept":{"offer_ids":[{"value":"m-O0"}],"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"m-S0"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}],"command":{"value":"x"}}]}},{"type":"LAUNCH_GROUP"},{"type":"RESERVE"}],"filters":{"refuse_seconds":1e300}}}`,
		`{"type":"DECLINE",` + fw + `,"decline":{"offer_ids":[{"value":"m-O0"},{"value":"m-O0"}],"filters":{"refuse_seconds":-1}}}`,
		`{"type":"KILL",` + fw + `,"kill":{"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":1}}}}`,
		`{"type":"RECONCILE",` + fw + `,"reconcile":{"tasks":[{"task_id":{"value":"t"},"agent_id":{"value":"m-S0"}}]}}`,
		`{"type":"ACKNOWLEDGE",` + fw + `,"acknowledge":{"agent_id":{"value":"m-S0"},"task_id":{"value":"t"},"uuid":"AA=="}}`,
		`{"type":"SHUTDOWN",` + fw + `,"shutdown":{"agent_id":{"value":"m-S0"},"executor_id":{"value":"t"}}}`,
		`{"type":"REVIVE",` + fw + `,"revive":{"roles":["x"]}}`,
		`{"type":"TEARDOWN",` + fw + `}`,
		`{"type":"UPDATE_FRAMEWORK",` + fw + `}`,
	} {
		f.Add([]byte(body), false)
		call := new(scheduler.Call)
		if err := mjson.Decode([]byte(body), call); err != nil {
			call.Reset()
		}
		if b, err := call.Marshal(); err == nil {
			f.Add(b, true)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, protobuf bool) {
		if bytes.Contains(body, []byte("SUBSCRIBE")) {
			return // would wait for ever
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/scheduler", bytes.NewReader(body))
		r.Header.Set("Content-Type", v1call.JSON)
		if protobuf {
			if subscribes(body) {
				return
			}
			r.Header.Set("Content-Type", v1call.Protobuf)
		}
		r.Header.Set(streamHeader, "s")
		w := httptest.NewRecorder()
		c := lively(t)
		Serve(w, r, c)
		mjson.Marshal(endpoints.State(endpoints.Master{}, c.Snapshot())) // what was taken can be printed
		if s := w.Code; s != 202 && s != 400 && s != 403 {
			t.Errorf("status %d: %s", s, w.Body)
		}
	})
}

func subscribes(body []byte) (yes bool) {
	defer func() { _ = recover() }() // as the decoder's caller does
	call := new(scheduler.Call)
	return call.Unmarshal(body) == nil && call.Type == scheduler.Call_SUBSCRIBE
}

// TestRecordIO: one record is one write: its length, a newline, the record.
func TestRecordIO(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		body := `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"g"}}}`
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/scheduler", strings.NewReader(body))
		r.Header.Set("Content-Type", v1call.JSON)
		w := &recorder{ResponseRecorder: httptest.NewRecorder()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			Serve(w, r, lively(t))
		}()
		time.Sleep(16 * time.Second)
		cancel()
		<-done
		const beat = "20\n" + `{"type":"HEARTBEAT"}`
		if len(w.writes) != 3 || w.writes[1] != beat || w.writes[2] != beat || !strings.HasSuffix(w.writes[0], `"type":"SUBSCRIBED"}`) {
			t.Errorf("writes: %q", w.writes)
		}
		if w.Code != http.StatusOK || w.Header().Get(streamHeader) == "" || w.Header().Get("Content-Type") != v1call.JSON {
			t.Errorf("head: %d %v", w.Code, w.Header())
		}
	})
}

type recorder struct {
	*httptest.ResponseRecorder
	writes []string
}

func (r *recorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, string(p))
	return r.ResponseRecorder.Write(p)
}
