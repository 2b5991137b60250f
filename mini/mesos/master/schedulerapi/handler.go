// Package schedulerapi serves the v1 scheduler API of Mesos
// (POST /api/v1/scheduler) on top of a cluster.
//
// Nouns. A call is one POST: SUBSCRIBE answers 200 and a stream of events
// that stays open, every other call 202 and nothing. Events are framed as
// RecordIO: the length of a record in decimal, a newline, the record.
// Requests and events are JSON or protobuf, told by Content-Type and Accept.
//
// Status codes, texts and the order of the checks are those measured on
// Mesos 1.3.2 (contracts section 7): Mesos-Stream-Id is sent with SUBSCRIBED
// and required on all other calls.
//
// What a call does is decided in package cluster; who leads is asked before
// a request comes here. A stream that takes nothing for a minute is closed.
package schedulerapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/outbox"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

const (
	jsonType     = "application/json"
	protobufType = "application/x-protobuf"

	streamHeader = "Mesos-Stream-Id"
	maxBody      = 16 << 20
	maxBehind    = 10000 // events that wait for a slow scheduler
	writeTimeout = time.Minute
)

// httpError is a refusal with its status.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// Serve answers one request on behalf of c. It returns when the request is
// done: for SUBSCRIBE, when the stream ends.
func Serve(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	err := serve(w, r, c)
	var he *httpError
	if errors.As(err, &he) {
		if he.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "POST")
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(he.status)
		io.WriteString(w, he.text)
	}
}

func serve(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) error {
	if r.Method != http.MethodPost {
		return &httpError{http.StatusMethodNotAllowed, fmt.Sprintf("Expecting one of { 'POST' }, but received '%s'", r.Method)}
	}
	call, err := readCall(w, r)
	if err != nil {
		return err
	}
	if err := validate(call); err != nil {
		return err
	}
	if call.Type == scheduler.Call_SUBSCRIBE {
		return subscribe(w, r, c, call)
	}
	if err := c.Call(call, r.Header.Get(streamHeader)); err != nil {
		if errors.Is(err, cluster.ErrNotSubscribed) {
			return &httpError{http.StatusForbidden, err.Error()}
		}
		return badRequest("%v", err)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func readCall(w http.ResponseWriter, r *http.Request) (*scheduler.Call, error) {
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return nil, badRequest("Expecting 'Content-Type' to be present")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, badRequest("Failed to read body: %v", err)
	}
	media, _, _ := mime.ParseMediaType(ct)
	switch media {
	case jsonType:
		return callFromJSON(body)
	case protobufType:
		return callFromProtobuf(body)
	}
	return nil, &httpError{http.StatusUnsupportedMediaType,
		fmt.Sprintf("Expecting 'Content-Type' of %s or %s", jsonType, protobufType)}
}

func callFromJSON(body []byte) (*scheduler.Call, error) {
	call := new(scheduler.Call)
	err := mjson.Decode(body, call)
	var syntax *mjson.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, badRequest("Failed to parse body into JSON: %v", err)
	case err != nil:
		return nil, badRequest("Failed to convert JSON into Call protobuf: %v", err)
	}
	return call, nil
}

func callFromProtobuf(body []byte) (call *scheduler.Call, err error) {
	defer func() { // generated decoders may index past hostile input
		if p := recover(); p != nil {
			call, err = nil, badRequest("Failed to parse body into Call protobuf")
		}
	}()
	call = new(scheduler.Call)
	if call.Unmarshal(body) != nil {
		return nil, badRequest("Failed to parse body into Call protobuf")
	}
	return call, nil
}

// validate checks that the parts are there that a call's type needs.
func validate(call *scheduler.Call) error {
	bad := func(format string, args ...any) error {
		return badRequest("Failed to validate scheduler::Call: "+format, args...)
	}
	expect := func(present bool, name string) error {
		if !present {
			return bad("Expecting '%s' to be present", name)
		}
		return nil
	}
	if call.Type == scheduler.Call_UNKNOWN {
		return bad("Expecting 'type' to be present")
	}
	if call.Type == scheduler.Call_SUBSCRIBE {
		if call.Subscribe == nil || call.Subscribe.FrameworkInfo == nil {
			return bad("Expecting 'subscribe' to be present")
		}
		if call.Subscribe.FrameworkInfo.GetID().GetValue() != call.GetFrameworkID().GetValue() {
			return bad("'framework_id' differs from 'subscribe.framework_info.id'")
		}
		return nil
	}
	if call.FrameworkID == nil {
		return bad("Expecting 'framework_id' to be present")
	}
	switch call.Type {
	case scheduler.Call_ACCEPT:
		return expect(call.Accept != nil, "accept")
	case scheduler.Call_DECLINE:
		return expect(call.Decline != nil, "decline")
	case scheduler.Call_KILL:
		return expect(call.Kill != nil, "kill")
	case scheduler.Call_SHUTDOWN:
		return expect(call.Shutdown != nil, "shutdown")
	case scheduler.Call_ACKNOWLEDGE:
		return expect(call.Acknowledge != nil, "acknowledge")
	case scheduler.Call_RECONCILE:
		return expect(call.Reconcile != nil, "reconcile")
	case scheduler.Call_MESSAGE:
		return expect(call.Message != nil, "message")
	case scheduler.Call_REQUEST:
		return expect(call.Request != nil, "request")
	}
	return nil
}

// stream hands a scheduler's events from the cluster to the one goroutine
// that writes them.
type stream struct {
	*outbox.Queue[*scheduler.Event]
}

func (s stream) Send(e *scheduler.Event) { s.Push(e) }

func subscribe(w http.ResponseWriter, r *http.Request, c *cluster.Cluster, call *scheduler.Call) error {
	media, ok := accepted(r.Header.Values("Accept"))
	if !ok {
		return &httpError{http.StatusNotAcceptable,
			fmt.Sprintf("Expecting 'Accept' to allow '%s' or '%s'", protobufType, jsonType)}
	}
	if r.Header.Get(streamHeader) != "" {
		return badRequest("Subscribe calls should not include the 'Mesos-Stream-Id' header")
	}
	s := &stream{outbox.New[*scheduler.Event](maxBehind)}
	id := uuid.NewString()
	c.Subscribe(*call.Subscribe.FrameworkInfo, call.Subscribe.SuppressedRoles, s, id)
	defer c.StreamClosed(s)
	w.Header().Set("Content-Type", media)
	w.Header().Set(streamHeader, id)
	w.WriteHeader(http.StatusOK)
	return pump(r.Context(), w, s, media)
}

// accepted picks JSON if the client takes it (or says nothing), else
// protobuf.
func accepted(headers []string) (media string, ok bool) {
	if len(headers) == 0 {
		return jsonType, true
	}
	protobuf := false
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		m, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil || params["q"] == "0" || params["q"] == "0.0" {
			continue
		}
		switch m {
		case jsonType, "*/*", "application/*":
			return jsonType, true
		case protobufType:
			protobuf = true
		}
	}
	return protobufType, protobuf
}

// pump writes events as they come and a HEARTBEAT every 15 s until the
// stream is closed or the client gone.
func pump(ctx context.Context, w http.ResponseWriter, s *stream, media string) error {
	rc := http.NewResponseController(w)
	beat := time.NewTicker(cluster.HeartbeatInterval)
	defer beat.Stop()
	for {
		events, open, err := s.Take()
		for _, e := range events {
			if err := write(rc, w, e, media); err != nil {
				return err
			}
		}
		if !open || err != nil {
			return err
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-s.Ready():
		case <-beat.C:
			if err := write(rc, w, &scheduler.Event{Type: scheduler.Event_HEARTBEAT}, media); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func write(rc *http.ResponseController, w io.Writer, e *scheduler.Event, media string) error {
	var record []byte
	if media == jsonType {
		record = mjson.Marshal(mjson.Proto(e))
	} else {
		var err error
		if record, err = e.Marshal(); err != nil {
			return fmt.Errorf("encode %v event: %w", e.Type, err)
		}
	}
	frame := append(strconv.AppendInt(nil, int64(len(record)), 10), '\n')
	if err := rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := w.Write(append(frame, record...)); err != nil { // one write, one chunk
		return err
	}
	return rc.Flush()
}
