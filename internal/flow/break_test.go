package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/stack"
)

// madeInMemory is such a lab after its create.
func madeInMemory(t *testing.T, provider string) (*Flow, *vms, *state.Lab) {
	t.Helper()
	f, v, l := onMemory(t, provider)
	nodes, err := l.Spec.Nodes()
	for _, n := range nodes {
		l.Machines = append(l.Machines, lab.Machine{Node: n})
	}
	if err == nil {
		err = l.Save()
	}
	if err != nil {
		t.Fatal(err)
	}
	return f, v, l
}

func TestBreakIsInTheJournalFirst(t *testing.T) {
	f, v, l := madeInMemory(t, "memory")
	v.Fail = func(op, machine string) error {
		if faults := journal(t, l); op == string(lab.PowerCut) && (len(faults) != 1 || faults[0].By != "lab break" || faults[0].Fault != "kill node2") {
			t.Errorf("%s loses power and the journal says %v", machine, faults)
		}
		return nil
	}
	res, err := f.Break(t.Context(), "lab", "kill", []string{"slave1", "node2"}, 0)
	if err != nil || res.Undone || !slices.Equal(res.Machines, []string{"node2"}) {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := machineStates(t, f, l); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateCut}) {
		t.Errorf("machines are %v", got)
	}
	if _, err := f.Break(t.Context(), "lab", "pause", []string{"node2"}, 0); lab.ErrorID(err) != "already-broken" {
		t.Errorf("broken twice: %v", err)
	}
	if mended, err := f.Heal(t.Context(), "lab"); err != nil || len(mended) != 1 {
		t.Errorf("healed %v, %v", mended, err)
	}
}

// TestBreakHasAnEnd lets the time elapse, and interrupts it: either way the
// machines run again and the journal is empty.
func TestBreakHasAnEnd(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		bubble.Test(t, func(t *testing.T) {
			f, v, l := madeInMemory(t, "memory")
			defer func() { // ends what they run
				plan, err := f.plan(l, nil)
				if err == nil {
					err = v.Destroy(context.WithoutCancel(t.Context()), plan)
				}
				if err != nil {
					t.Error(err)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			want := 30 * time.Second
			if interrupted {
				ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				want = 5 * time.Second
			}
			start := time.Now()
			res, err := f.Break(ctx, "lab", "pause", []string{"node1", "node2"}, 30*time.Second)
			if interrupted != errors.Is(err, context.DeadlineExceeded) || !res.Undone {
				t.Errorf("%+v, %v", res, err)
			}
			if took := time.Since(start); took < want || took > want+time.Second {
				t.Errorf("undone after %s, want %s", took, want)
			}
			if got := machineStates(t, f, l); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateRunning}) || len(journal(t, l)) != 0 {
				t.Errorf("machines are %v, journal %v", got, journal(t, l))
			}
		})
	}
}

func TestHalfABreakIsUndone(t *testing.T) {
	f, v, l := madeInMemory(t, "memory")
	v.Fail = func(op, machine string) error {
		if op == string(lab.PowerCrash) && machine == "node2" {
			return errors.New("no power over node2")
		}
		return nil
	}
	if _, err := f.Break(t.Context(), "lab", "crash", []string{"node1", "node2"}, 0); err == nil || !strings.Contains(err.Error(), "no power over node2") {
		t.Errorf("error %v", err)
	}
	if got := machineStates(t, f, l); !slices.Equal(got, []lab.MachineState{lab.StateRunning, lab.StateRunning}) || len(journal(t, l)) != 0 {
		t.Errorf("machines are %v, journal %v", got, journal(t, l))
	}
}

func TestBreakRefuses(t *testing.T) {
	f, _, _ := madeInMemory(t, "stiff")
	if _, err := f.Break(t.Context(), "lab", "crash", []string{"node2"}, 0); lab.ErrorID(err) != "fault-unsupported" || !errors.Is(err, lab.ErrUsage) {
		t.Errorf("a fault that the provider does not know: %v", err)
	}
	if _, err := f.Break(t.Context(), "lab", "stop", []string{"node7"}, 0); lab.ErrorID(err) != "unknown-machine" {
		t.Errorf("a machine that is not there: %v", err)
	}
	if _, err := f.Break(t.Context(), "lab", "stop", []string{"node2"}, 0); err != nil {
		t.Error(err)
	}
}

func TestNews(t *testing.T) {
	past := func(e lab.Event) state.PastEvent { return state.PastEvent{Event: e} }
	for want, e := range map[string]state.PastEvent{
		"break: ⚡ node2 loses power":         past(lab.Event{Op: "break", Kind: lab.EventNote, Node: "node2", Text: "⚡ node2 loses power"}),
		"create node2 machine/boot: no disk": past(lab.Event{Op: "create", Kind: lab.EventFail, Node: "node2", Step: "machine/boot", Err: "no disk"}),
		"scenario: 0.00 s  ⚡ node2 freezes":  past(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: "   0.00 s  ⚡ node2 freezes"}),
	} {
		if got := news(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, e := range []lab.Event{{Kind: lab.EventStart, Text: "x"}, {Kind: lab.EventWait, Text: "x"}, {Kind: lab.EventDone, Text: "x"}, {Kind: lab.EventNote, Text: "7.00 s  ◆ a1 is TASK_LOST"}} {
		if got := news(past(e)); got != "" {
			t.Errorf("%+v is no news, but %q was said", e, got)
		}
	}
	yes, no := true, false
	for want, e := range map[string]stack.Event{
		"nginx.1 is TASK_LOST":                     {Type: "status_update_event", TaskID: "nginx.1", TaskStatus: "TASK_LOST", Host: "10.0.0.9"},
		"nginx.1 is healthy":                       {Type: "health_status_changed_event", TaskID: "nginx.1", Alive: &yes},
		"nginx.1 is unhealthy":                     {Type: "health_status_changed_event", TaskID: "nginx.1", Alive: &no},
		"nginx.1 is killed: unhealthy":             {Type: "unhealthy_task_kill_event", TaskID: "nginx.1"},
		"a deployment has failed or was cancelled": {Type: "deployment_failed"},
		"": {Type: "group_change_success"},
	} {
		if got := marathonNews(stack.Platform{}, e); got != want {
			t.Errorf("%s: got %q, want %q", e.Type, got, want)
		}
	}
}

func TestBuiltinAppsGetThePlatformsImage(t *testing.T) {
	got, err := withImage([]byte(`{"id":"web","container":{"docker":{"image":"nginx","network":"BRIDGE"}}}`), "lab/web")
	if err != nil || string(got) != `{"container":{"docker":{"image":"lab/web","network":"BRIDGE"}},"id":"web"}` {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := withImage([]byte(`{"id":"web"}`), "lab/web"); err != nil || string(got) != `{"id":"web"}` {
		t.Errorf("an update without a container: %s, %v", got, err)
	}
	if _, err := withImage([]byte(`{"id":"web","container":{"type":"MESOS"}}`), "lab/web"); err == nil {
		t.Error("a container without docker got an image")
	}
}

// TestModesNeedLabsOwnServer: another image would ignore them in silence.
func TestModesNeedLabsOwnServer(t *testing.T) {
	seed, mini := &cluster{platform: stack.Platform{Images: stack.SeedImages()}}, &cluster{platform: stack.Platform{Images: stack.MiniImages(true)}}
	for text, refused := range map[string]bool{
		`{"env":{"LAB_WEB_RELEASE":"v1"}}`: false, `{}`: false, `{"env":{"LAB_WEB_RELEASE":"v1","LAB_WEB_DELAY":"1s"}}`: true,
	} {
		app := scenarios.AppFile{ID: "web", JSON: []byte(text)}
		if err := seed.understands(app); (lab.ErrorID(err) == "app-needs-lab-web") != refused || mini.understands(app) != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestServerNamesAreAddresses(t *testing.T) {
	for name, want := range map[string]string{"192_168_59_2_31005": "192.168.59.2:31005", "FRONTEND": "", "BACKEND": "", "x": ""} {
		if got, _ := serverAddress(stack.Stat{Server: name}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
