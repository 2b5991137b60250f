package mjson

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func TestMarshal(t *testing.T) {
	for want, v := range map[string]any{
		"4.0":                      4.0,
		"3.4":                      4 - 0.6,
		"1795350983.36247":         1795350983.362474,
		"0.1":                      0.1,
		"1e+20":                    1e20,
		"-2.0":                     -2.0,
		"null":                     math.NaN(),
		"7":                        int64(7),
		"18446744073709551615":     uint64(math.MaxUint64),
		`"a\/b\"\\\n\u0001\u007f"`: "a/b\"\\\n\x01\x7f",
		`"\ufffdü✓"`:               "\xffü✓",
		"{}":                       Object{},
		"[]":                       Array{},
		`{"z":1,"a":[true,null]}`:  Object{}.Put("z", 1).Put("a", Array{true, nil}),
		`[{"k":"v"}]`:              []Object{{{"k", "v"}}},
		`["x"]`:                    []string{"x"},
	} {
		if got := string(Marshal(v)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestProto(t *testing.T) {
	role, id, beat := "*", "m-0000", 15.0
	e := &scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &mesos.FrameworkID{Value: id}, HeartbeatIntervalSeconds: &beat}}
	if got, want := string(Marshal(Proto(e))), `{"subscribed":{"framework_id":{"value":"m-0000"},"heartbeat_interval_seconds":15.0},"type":"SUBSCRIBED"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s := mesos.TaskStatus{TaskID: mesos.TaskID{Value: "t"}, State: mesos.TASK_RUNNING.Enum(), UUID: []byte{0xa0, 0x33, 0x75}}
	if got, want := string(Marshal(Proto(s))), `{"state":"TASK_RUNNING","task_id":{"value":"t"},"uuid":"oDN1"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r := mesos.Resource{Name: "ports", Type: mesos.RANGES.Enum(), Role: &role, Ranges: &mesos.Value_Ranges{Range: []mesos.Value_Range{{Begin: 1, End: 2}}}}
	if got, want := string(Marshal(Proto(r))), `{"name":"ports","ranges":{"range":[{"begin":1,"end":2}]},"role":"*","type":"RANGES"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := string(Marshal(ProtoByNumber(r))), `{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]},"role":"*"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(Marshal(Proto((*mesos.TaskStatus)(nil)))); got != "{}" {
		t.Errorf("nil: %s", got)
	}
}

func TestDecode(t *testing.T) {
	body := `{"type":"ACCEPT","frameworkId":{"value":"f"},"unknown":[1],"accept":{"offer_ids":[{"value":"o"}],"operations":[
	{"type":"LAUNCH","launch":{"task_infos":[{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},"data":"aGk=",
	"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":64}},{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000.0,"end":31001}]}}],
	"command":{"shell":true,"value":"x"},"limits":{"mem":{"value":1.5}}}]}}],"filters":{"refuse_seconds":0}}}`
	var c scheduler.Call
	if err := Decode([]byte(body), &c); err != nil {
		t.Fatal(err)
	}
	task := c.Accept.Operations[0].Launch.TaskInfos[0]
	switch {
	case c.Type != scheduler.Call_ACCEPT || c.FrameworkID.Value != "f" || c.Accept.OfferIDs[0].Value != "o":
		t.Errorf("head: %+v", c)
	case task.Resources[0].Scalar.Value != 64 || *task.Resources[0].Type != mesos.SCALAR:
		t.Errorf("scalar: %+v", task.Resources[0])
	case task.Resources[1].Ranges.Range[0] != mesos.Value_Range{Begin: 31000, End: 31001}:
		t.Errorf("ranges: %+v", task.Resources[1])
	case string(task.Data) != "hi" || !*task.Command.Shell || *c.Accept.Filters.RefuseSeconds != 0 || task.Limits["mem"].Value != 1.5:
		t.Errorf("task: %+v", task)
	}
}

// TestDecodeErrors: texts as measured on Mesos 1.3.2.
func TestDecodeErrors(t *testing.T) {
	for body, want := range map[string]string{
		`{bad json`:       "syntax error at line 1 near: bad json",
		``:                "syntax error at line 1 near: ",
		"{\n\"type\" 1}":  "syntax error at line 2 near: 1}",
		`{} x`:            "syntax error at line 1 near: x",
		`{"type":"NOPE"}`: "Failed to find enum for 'NOPE'",
		`[]`:              "Expecting a JSON object",
		`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"x"}}}`: "Missing required fields: subscribe.framework_info.user",
		`{"accept":{"offer_ids":[{}]}}`:                                    "Missing required fields: accept.offer_ids[0].value",
		`{"type":true}`:                                                    "Not expecting a JSON boolean for field 'type'",
		`{"framework_id":"x"}`:                                             "Not expecting a JSON string for field 'framework_id'",
		`{"accept":{"offer_ids":{}}}`:                                      "Not expecting a JSON object for field 'offer_ids'",
	} {
		err := Decode([]byte(body), new(scheduler.Call))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", body, err, want)
		}
	}
	var s *SyntaxError
	if err := Decode([]byte("{"), new(scheduler.Call)); !errors.As(err, &s) {
		t.Errorf("unfinished: %v", err)
	}
}

// FuzzDecode: whatever was decoded prints as JSON that decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"type":"KILL","framework_id":{"value":"f"},"kill":{"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":5e9}}}}`))
	f.Add([]byte(`{"type":"RECONCILE","framework_id":{"value":"\ud83d\ude00"},"reconcile":{"tasks":[{"task_id":{"value":"t"}}]}}`))
	f.Add([]byte(`{"type":"MESSAGE","message":{"agent_id":{"value":"a"},"executor_id":{"value":"e"},"data":"AA=="}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var one, two scheduler.Call
		if Decode(b, &one) != nil {
			return
		}
		printed := Marshal(Proto(&one))
		if !json.Valid(printed) {
			t.Fatalf("printed %s", printed)
		}
		if err := Decode(printed, &two); err != nil {
			t.Fatalf("%v in %s", err, printed)
		}
		if again := Marshal(Proto(&two)); !reflect.DeepEqual(printed, again) {
			t.Errorf("printed %s, then %s", printed, again)
		}
	})
}
