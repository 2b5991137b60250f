package agent

import (
	"errors"
	"fmt"
	"net/http"

	magent "github.com/mesos/mesos-go/api/v1/lib/agent"

	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// operate is the agent's operator API, POST /api/v1 (contracts, section 6.5):
// the calls that ask. Requests and answers are JSON or protobuf, told by
// Content-Type and Accept; texts and the order of the checks are Mesos' 1.3.2.
func (a *agent) operate(w http.ResponseWriter, r *http.Request) {
	media, unacceptable := v1call.Accepted(r)
	call := new(magent.Call)
	err := v1call.Read(w, r, call)
	if err == nil {
		err = validate(call)
	}
	if err == nil && unacceptable != nil {
		err = &refusal{http.StatusNotAcceptable, fmt.Sprintf("Expecting 'Accept' to allow '%s' or '%s'", v1call.JSON, v1call.Protobuf)}
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
	if media == v1call.JSON {
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
	var own *refusal
	var call *v1call.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &call):
		return &refusal{call.Status, call.Text}
	}
	return &refusal{http.StatusInternalServerError, err.Error()}
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
		return v1call.BadRequest("Failed to validate agent::Call: Expecting '%s' to be present", missing)
	}
	return nil
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
