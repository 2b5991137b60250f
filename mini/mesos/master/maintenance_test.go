package master

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// example reads a request or an answer of the operator API's documentation.
func example(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "mesos", "operator-api-examples-1.11.0", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ask makes a request and expects a status; it returns the answer.
func (r *rig) ask(method, path, body string, status int) string {
	r.t.Helper()
	resp, text := r.do(method, path, body, nil)
	if resp.StatusCode != status {
		r.t.Errorf("%s %s: %d %s, want %d", method, path, resp.StatusCode, text, status)
	}
	return text
}

// schedule plans maintenance of machines, from a moment on, for an hour.
func schedule(start time.Time, machines ...string) string {
	return fmt.Sprintf(`{"windows":[{"machine_ids":[%s],"unavailability":{"start":{"nanoseconds":%d},"duration":{"nanoseconds":3600000000000}}}]}`,
		strings.Join(machines, ","), start.UnixNano())
}

const (
	machine2 = `{"hostname":"agent-10.0.0.2","ip":"10.0.0.2"}`
	machine3 = `{"hostname":"agent-10.0.0.3","ip":"10.0.0.3"}`
)

// unavailable tells of the offers among events on which agents' machines will
// be down, and from when on.
func unavailable(events []*scheduler.Event) map[string]int64 {
	m := map[string]int64{}
	for _, e := range events {
		for _, o := range e.GetOffers().GetOffers() {
			m[o.Hostname] = o.GetUnavailability().GetStart().Nanoseconds
		}
	}
	return m
}

// TestMaintenance leads a machine through all modes (docs/maintenance.md of
// Mesos): what schedulers and agents hear of it, and what the endpoints tell.
func TestMaintenance(t *testing.T) {
	for _, generation := range []string{"0.26", "1.3"} {
		t.Run(generation, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.generation = generation
				m := r.realMaster()
				a, _ := r.twoAgents()
				s := r.scheduler(capA())
				s.call(launch(s.offers()[a.agentID()], 0, task("t", a.agentID(), 0.5, 64)))
				time.Sleep(2 * time.Second)
				s.new()

				// Planned: offers are made anew, with the time.
				start := time.Now().Add(time.Hour)
				r.ask("POST", "/master/maintenance/schedule", schedule(start, strings.Replace(machine2, "agent-", "AGENT-", 1)), 200)
				events := s.new()
				inverse := map[string]string{"0.26": "OFFERS 0", "1.3": "INVERSE_OFFERS 1"}[generation]
				if got := brief(events); !slices.Equal(got, []string{"RESCIND", "OFFERS 1", inverse}) {
					t.Errorf("when planned: %v", got)
				}
				if got := unavailable(events); got["agent-10.0.0.2"] != start.UnixNano() {
					t.Errorf("unavailability: %v", got)
				}
				if got := r.ask("GET", "/maintenance/status", "", 200); got != `{"draining_machines":[{"id":{"hostname":"AGENT-10.0.0.2","ip":"10.0.0.2"}}]}` {
					t.Errorf("status: %s", got)
				}

				// A restarted master knows of it.
				m.stop()
				<-m.done
				<-s.done
				a.die()
				m = r.realMaster()
				a.connect(masterAddr)
				s = r.scheduler(again(s, capA()))
				time.Sleep(time.Second)
				if got := unavailable(s.new()); got["agent-10.0.0.2"] != start.UnixNano() {
					t.Errorf("after a restart: %v", got)
				}

				// Down: the tasks are lost, the agent is told to end.
				r.ask("POST", "/machine/down", "["+machine3+"]", 400)
				r.ask("POST", "/machine/down", "["+machine2+"]", 200)
				word := map[string]string{"0.26": "Slave", "1.3": "Agent"}[generation]
				rescind := map[string]string{"0.26": "RESCIND", "1.3": "RESCIND_INVERSE_OFFER"}[generation]
				want := []string{"RESCIND", rescind, `t TASK_LOST REASON_AGENT_REMOVED "` + word + ` agent-10.0.0.2 removed: Operator initiated 'Machine DOWN'"`, "FAILURE"}
				if got := brief(s.new()); !slices.Equal(got, want) {
					t.Errorf("when down: %v, want %v", got, want)
				}
				a.mu.Lock()
				if !strings.HasSuffix(a.shutdown, "Operator initiated 'Machine DOWN'") {
					t.Errorf("the agent was told %q", a.shutdown)
				}
				a.mu.Unlock()
				a.die()
				if got := r.ask("GET", "/maintenance/status", "", 200); got != `{"down_machines":[{"hostname":"AGENT-10.0.0.2","ip":"10.0.0.2"}]}` {
					t.Errorf("status: %s", got)
				}
				// None registers from there, by no id, and the plan stands.
				m.stop()
				<-m.done
				r.realMaster()
				for _, id := range []string{"", a.agentID()} {
					late := newAgentDouble(r, a.ip)
					late.id = id
					late.connect(masterAddr)
					synctest.Wait()
					late.mu.Lock()
					if late.shutdown == "" || id == "" && late.id != "" {
						t.Errorf("agent %q on a machine that is down was told %q, registered as %q", id, late.shutdown, late.id)
					}
					late.mu.Unlock()
					late.die()
				}
				r.ask("POST", "/maintenance/schedule", `{}`, 400)

				// Up: back to normal, and off the plan.
				r.ask("POST", "/machine/up", "["+machine2+"]", 200)
				if got := r.ask("GET", "/maintenance/schedule", "", 200); got != "{}" {
					t.Errorf("schedule: %s", got)
				}
				back := r.agent(a.ip)
				s = r.scheduler(again(s, capA()))
				if got := unavailable(s.new()); back.agentID() == "" || len(got) != 1 || got["agent-10.0.0.2"] != 0 {
					t.Errorf("agent %q, offers %v", back.agentID(), got)
				}
			})
		})
	}
}

// TestMaintenanceByOperators: the requests in the operator API's documentation
// do the same, in the form that is documented.
func TestMaintenanceByOperators(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		update := example(t, "master.UPDATE_MAINTENANCE_SCHEDULE.request")
		r := newRig(t)
		r.realMaster()
		if got := r.ask("POST", "/api/v1", update, 200); got != "" {
			t.Errorf("update: %s", got)
		}
		for _, call := range []string{"GET_MAINTENANCE_SCHEDULE", "GET_MAINTENANCE_STATUS"} {
			got := r.ask("POST", "/api/v1", example(t, "master."+call+".request"), 200)
			want := shape(t, []byte(example(t, "master."+call+".response")))
			if !slices.Equal(forget(shape(t, []byte(got))), forget(want)) {
				t.Errorf("%s: %s\nwant %v", call, got, want)
			}
		}
		const refused = `Machine '{"hostname":"myhost","ip":"0.0.0.3"}' is not part of a maintenance schedule`
		for _, call := range []string{"START_MAINTENANCE", "STOP_MAINTENANCE"} {
			if got := r.ask("POST", "/api/v1", example(t, "master."+call+".request"), 400); got != refused {
				t.Errorf("%s: %s", call, got)
			}
		}
		r.ask("POST", "/api/v1", strings.Replace(update, `"ip": "0.0.0.2"`, `"ip": "0.0.0.3", "hostname": "myhost"`, 1), 200)
		r.ask("POST", "/api/v1", example(t, "master.START_MAINTENANCE.request"), 200)
		if got := r.ask("POST", "/api/v1", `{"type":"GET_MAINTENANCE_STATUS"}`, 200); !strings.Contains(got, `"down_machines":[{"hostname":"myhost","ip":"0.0.0.3"}]`) {
			t.Errorf("status: %s", got)
		}
		var registry struct {
			Machines struct {
				Machines []struct{ Info struct{ Mode string } }
			}
			Schedules []any
		}
		text := r.ask("GET", "/registrar(1)/registry", "", 200)
		if err := json.Unmarshal([]byte(text), &registry); err != nil || len(registry.Machines.Machines) != 2 ||
			registry.Machines.Machines[1].Info.Mode != "DOWN" || len(registry.Schedules) != 1 {
			t.Errorf("registry: %v %s", err, text)
		}
		r.ask("POST", "/api/v1", example(t, "master.STOP_MAINTENANCE.request"), 200)
		if got := r.ask("GET", "/maintenance/schedule", "", 200); strings.Contains(got, "0.0.0.3") || !strings.Contains(got, "myhost") {
			t.Errorf("schedule: %s", got)
		}
	})
}

// forget drops the order of keys, which a documentation chooses freely.
func forget(lines []string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "{") })
}

// TestMaintenanceRefusals: what cannot be, is refused in Mesos' words and
// changes nothing.
func TestMaintenanceRefusals(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.0.2")
		r.ask("POST", "/maintenance/schedule", schedule(time.Now(), machine3), 200)
		before := r.ask("GET", "/maintenance/schedule", "", 200)
		const plan = "/maintenance/schedule"
		for _, c := range []struct{ method, path, body, text string }{
			{"DELETE", plan, "", "Expecting one of { 'GET', 'POST' }, but received 'DELETE'"},
			{"POST", "/maintenance/status", "{}", "Expecting one of { 'GET' }, but received 'POST'"},
			{"GET", "/machine/up", "", "Expecting one of { 'POST' }, but received 'GET'"},
			{"POST", plan, "{", "syntax error at line 1 near: "},
			{"POST", plan, "[]", "Expecting a JSON object"},
			{"POST", plan, `{"windows":[{"machine_ids":[]}]}`, "Missing required fields: windows[0].unavailability"},
			{"POST", plan, schedule(time.Now()), "List of machines in the maintenance window is empty"},
			{"POST", plan, schedule(time.Now(), "{}"), "Both 'hostname' and 'ip' for a machine are empty"},
			{"POST", plan, schedule(time.Now(), `{"ip":"10.0.0.300"}`), "Failed to parse the IP '10.0.0.300'"},
			{"POST", plan, schedule(time.Now(), machine2, machine2), "Machine '" + machine2 + "' appears more than once in the schedule"},
			{"POST", plan, strings.Replace(schedule(time.Now(), machine2), "3600000000000", "-1", 1), "Unavailability 'duration' is negative"},
			{"POST", "/machine/down", "{}", "Expecting a JSON array"},
			{"POST", "/machine/down", "[]", "List of machines is empty"},
			{"POST", "/machine/down", "[" + machine3 + "," + machine3 + "]", "Machine '" + machine3 + "' appears more than once in the schedule"},
			{"POST", "/machine/down", "[" + machine3 + "," + machine2 + "]", "Machine '" + machine2 + "' is not part of a maintenance schedule"},
			{"POST", "/machine/up", "[" + machine3 + "]", "Machine '" + machine3 + "' is not in DOWN mode and cannot be brought up"},
		} {
			status := 400
			if strings.HasPrefix(c.text, "Expecting one of") {
				status = 405
			}
			got := r.ask(c.method, c.path, c.body, status)
			if got != c.text {
				t.Errorf("%s %s %s: %q, want %q", c.method, c.path, c.body, got, c.text)
			}
		}
		if got := r.ask("GET", plan, "", 200); got != before {
			t.Errorf("the schedule was %s, is %s", before, got)
		}
		if s := r.state(); s.Activated != 1 || a.agentID() == "" {
			t.Errorf("%v agents", s.Activated)
		}
		// Answers to inverse offers that are not there are passed over.
		s := r.scheduler(framework("f"))
		s.call(&scheduler.Call{Type: scheduler.Call_ACCEPT_INVERSE_OFFERS, AcceptInverseOffers: &scheduler.Call_AcceptInverseOffers{
			InverseOfferIDs: []mesos.OfferID{{Value: "x"}}}})
		s.call(calls.Suppress())
	})
}
