package agent

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	magent "github.com/mesos/mesos-go/api/v1/lib/agent"

	"github.com/mesoslab/lab/mini/mesos/mjson"
)

const (
	jsonType     = "application/json"
	protobufType = "application/x-protobuf"
)

// operate is the agent's operator API, POST /api/v1 (contracts, section 6.5):
// the calls that ask. Requests and answers are JSON or protobuf, told by
// Content-Type and Accept; texts and the order of the checks are Mesos' 1.3.2.
func (a *agent) operate(w http.ResponseWriter, r *http.Request) {
	media, ok := accepted(r.Header.Values("Accept"))
	call, err := readCall(r)
	if err == nil {
		err = validate(call)
	}
	if err == nil && !ok {
		err = &refusal{http.StatusNotAcceptable, fmt.Sprintf("Expecting 'Accept' to allow '%s' or '%s'", jsonType, protobufType)}
	}
	var answer *magent.Response
	if err == nil {
		answer, err = a.answer(r.Context(), call)
	}
	if err != nil {
		refuse(w, asRefusal(err))
		return
	}
	answer.Type = magent.Response_Type(magent.Response_Type_value[call.Type.String()])
	if media == jsonType {
		send(w, r, media, mjson.Marshal(printed(answer)))
		return
	}
	body, err := answer.Marshal()
	if err != nil {
		refuse(w, &refusal{http.StatusInternalServerError, "encode the answer: " + err.Error()})
		return
	}
	send(w, r, media, body)
}

func asRefusal(err error) *refusal {
	var e *refusal
	if errors.As(err, &e) {
		return e
	}
	return &refusal{http.StatusInternalServerError, err.Error()}
}

func badRequest(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func readCall(r *http.Request) (*magent.Call, error) {
	if r.Method != http.MethodPost {
		return nil, &refusal{http.StatusMethodNotAllowed, fmt.Sprintf("Expecting one of { 'POST' }, but received '%s'", r.Method)}
	}
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return nil, badRequest("Expecting 'Content-Type' to be present")
	}
	body, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, &refusal{http.StatusRequestEntityTooLarge, "the request's body is longer than 16 MiB"}
	case err != nil:
		return nil, badRequest("Failed to read body: %v", err)
	}
	switch media, _, _ := mime.ParseMediaType(ct); media {
	case jsonType:
		return callFromJSON(body)
	case protobufType:
		return callFromProtobuf(body)
	}
	return nil, &refusal{http.StatusUnsupportedMediaType, fmt.Sprintf("Expecting 'Content-Type' of %s or %s", jsonType, protobufType)}
}

func callFromJSON(body []byte) (*magent.Call, error) {
	call := new(magent.Call)
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

func callFromProtobuf(body []byte) (call *magent.Call, err error) {
	defer func() { // generated decoders may index past hostile input
		if p := recover(); p != nil {
			call, err = nil, badRequest("Failed to parse body into Call protobuf")
		}
	}()
	call = new(magent.Call)
	if call.Unmarshal(body) != nil {
		return nil, badRequest("Failed to parse body into Call protobuf")
	}
	return call, nil
}

// validate checks that the parts are there that a call's type needs.
func validate(call *magent.Call) error {
	missing := ""
	switch call.Type {
	case magent.Call_UNKNOWN:
		missing = "type"
	case magent.Call_GET_METRICS:
		if call.GetMetrics == nil {
			missing = "get_metrics"
		}
	case magent.Call_LIST_FILES:
		if call.ListFiles == nil {
			missing = "list_files"
		}
	case magent.Call_READ_FILE:
		if call.ReadFile == nil {
			missing = "read_file"
		}
	}
	if missing != "" {
		return badRequest("Failed to validate agent::Call: Expecting '%s' to be present", missing)
	}
	return nil
}

// accepted picks JSON if the client takes it (or says nothing), else protobuf.
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

// printed is the answer as JSON. An ExecutorInfo's type is optional, which the
// message's Go type cannot tell from UNKNOWN.
func printed(answer *magent.Response) mjson.Object {
	o := mjson.Proto(answer)
	forget := func(in any) {
		executors, _ := in.(mjson.Object)
		for _, list := range executors {
			items, _ := list.Value.(mjson.Array)
			for _, item := range items {
				e, _ := item.(mjson.Object)
				dropType(e)
			}
		}
	}
	forget(o.Get("get_executors"))
	if state, ok := o.Get("get_state").(mjson.Object); ok {
		forget(state.Get("get_executors"))
	}
	return o
}

// dropType takes the type out of an object's executor_info.
func dropType(e mjson.Object) {
	for i, m := range e {
		info, ok := m.Value.(mjson.Object)
		if !ok || m.Key != "executor_info" {
			continue
		}
		var kept mjson.Object
		for _, f := range info {
			if f.Key != "type" {
				kept = append(kept, f)
			}
		}
		e[i].Value = kept
	}
}
