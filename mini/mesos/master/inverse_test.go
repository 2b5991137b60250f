package master

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// inverse is the one inverse offer among what a scheduler got last.
func (s *sched) inverse() mesos.InverseOffer {
	s.r.t.Helper()
	var list []mesos.InverseOffer
	for _, e := range s.new() {
		list = append(list, e.GetInverseOffers().GetInverseOffers()...)
	}
	if len(list) != 1 {
		s.r.t.Fatalf("%d inverse offers", len(list))
	}
	return list[0]
}

// answers is what the status of the maintenance tells: the frameworks' last
// answers, on each machine that is draining.
func (r *rig) answers() map[string][]string {
	r.t.Helper()
	var s struct {
		Draining []struct {
			ID       struct{ Hostname string }
			Statuses []struct {
				Status      string
				FrameworkID struct{ Value string } `json:"framework_id"`
				Timestamp   struct{ Nanoseconds int64 }
			}
		} `json:"draining_machines"`
	}
	text := r.ask("GET", "/maintenance/status", "", 200)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		r.t.Fatalf("%v: %s", err, text)
	}
	m := map[string][]string{}
	for _, d := range s.Draining {
		m[d.ID.Hostname] = []string{}
		for _, x := range d.Statuses {
			m[d.ID.Hostname] = append(m[d.ID.Hostname], fmt.Sprintf("%s %s %d", x.FrameworkID.Value, x.Status, x.Timestamp.Nanoseconds))
		}
	}
	return m
}

// TestInverseOffers: who holds tasks or offers on a machine that is planned to be
// down is asked to leave, again when its filter is over, by the next plan, or when
// it revives; the operator sees the answers (docs/maintenance.md of Mesos).
func TestInverseOffers(t *testing.T) {
	for _, media := range []string{"application/json", "application/x-protobuf"} {
		t.Run(media, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.realMaster()
				a, b := r.twoAgents()
				s := r.schedulerWith(capA(), media, masterAddr)
				held := s.offers()
				s.call(launch(held[a.agentID()], time.Hour, task("t", a.agentID(), 0.5, 64)))
				s.call(calls.Decline(held[b.agentID()].ID).With(calls.RefuseSeconds(time.Hour)))
				time.Sleep(2 * time.Second)
				s.new()

				// b's machine is planned, too, but the framework has nothing there.
				start := time.Now().Add(time.Hour)
				r.ask("POST", "/maintenance/schedule", schedule(start, machine2, machine3), 200)
				i := s.inverse()
				if i.GetAgentID().Value != a.agentID() || i.FrameworkID.Value != s.id || i.Unavailability.Start.Nanoseconds != start.UnixNano() ||
					i.Unavailability.Duration.Nanoseconds != int64(time.Hour) {
					t.Errorf("%+v", i)
				}
				if got := r.answers(); len(got) != 2 || len(got["agent-10.0.0.2"]) != 0 {
					t.Errorf("before any answer: %v", got)
				}
				time.Sleep(time.Minute) // one at a time
				if got := brief(s.new()); slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, "INVERSE") }) {
					t.Errorf("while the first is unanswered: %v", got)
				}

				s.call(calls.DeclineInverseOffers(i.OfferID).With(calls.RefuseSeconds(20 * time.Second)))
				declined := fmt.Sprintf("%s DECLINE %d", s.id, time.Now().UnixNano())
				if got := r.answers()["agent-10.0.0.2"]; !slices.Equal(got, []string{declined}) {
					t.Errorf("answered %v, want %s", got, declined)
				}
				time.Sleep(15 * time.Second)
				if got := brief(s.new()); slices.Contains(got, "INVERSE_OFFERS 1") {
					t.Errorf("within the filter: %v", got)
				}
				time.Sleep(10 * time.Second)
				i = s.inverse()
				s.call(calls.AcceptInverseOffers(i.OfferID).With(calls.RefuseSeconds(time.Hour)))
				accepted := fmt.Sprintf("%s ACCEPT %d", s.id, time.Now().UnixNano())
				if got := r.answers()["agent-10.0.0.2"]; !slices.Equal(got, []string{accepted}) {
					t.Errorf("answered %v, want %s", got, accepted)
				}
				status := r.ask("POST", "/api/v1", `{"type":"GET_MAINTENANCE_STATUS"}`, 200)
				if want := `"statuses":[{"framework_id":{"value":"` + s.id + `"},"status":"ACCEPT","timestamp"`; !strings.Contains(status, want) {
					t.Errorf("no %s in %s", want, status)
				}
				s.call(calls.DeclineInverseOffers(i.OfferID)) // used up
				if got := r.answers()["agent-10.0.0.2"]; !slices.Equal(got, []string{accepted}) {
					t.Errorf("answered twice: %v", got)
				}

				// REVIVE forgets the filter, and gets the offers that were refused:
				// of both machines, of which the other is now asked for, too.
				s.call(calls.Revive())
				synctest.Wait()
				events := s.new()
				if got := brief(events); !slices.Equal(got, []string{"OFFERS 2", "INVERSE_OFFERS 2"}) {
					t.Errorf("revived: %v", got)
				}
				for _, o := range events[1].InverseOffers.InverseOffers {
					if o.AgentID.Value == a.agentID() {
						i = o
					}
				}
				// Another plan: what was asked and answered is void.
				r.ask("POST", "/maintenance/schedule", schedule(start.Add(time.Hour), machine2), 200)
				want := []string{"RESCIND", "RESCIND_INVERSE_OFFER", "OFFERS 1", "INVERSE_OFFERS 1", "RESCIND", "RESCIND_INVERSE_OFFER", "OFFERS 1"}
				if got := brief(s.new()); !slices.Equal(got, want) {
					t.Errorf("planned anew: %v, want %v", got, want)
				}
				if got := r.answers(); len(got) != 1 || len(got["agent-10.0.0.2"]) != 0 {
					t.Errorf("planned anew: %v", got)
				}
				// No plan, no inverse offers.
				r.ask("POST", "/maintenance/schedule", "{}", 200)
				if got := brief(s.new()); !slices.Equal(got, []string{"RESCIND", "RESCIND_INVERSE_OFFER", "OFFERS 1"}) {
					t.Errorf("not planned any more: %v", got)
				}
			})
		})
	}
}

// TestInverseOffersEnd: with the agent's connection, and with the scheduler's,
// whose next one is asked anew.
func TestInverseOffersEnd(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.realMaster("--offer_timeout=30secs")
		a := r.agent("10.0.0.2")
		s := r.scheduler(capA())
		s.call(launch(s.offers()[a.agentID()], time.Hour, task("t", a.agentID(), 0.5, 64)))
		synctest.Wait()
		s.new()
		r.ask("POST", "/maintenance/schedule", schedule(time.Now(), machine2), 200)
		s.inverse()
		time.Sleep(32 * time.Second)
		if got := brief(s.new()); !slices.Contains(got, "RESCIND_INVERSE_OFFER") || !slices.Contains(got, "INVERSE_OFFERS 1") {
			t.Errorf("after the time-out of offers: %v", got)
		}
		a.die()
		synctest.Wait()
		if got := brief(s.new()); !slices.Contains(got, "RESCIND_INVERSE_OFFER") {
			t.Errorf("when the agent is gone: %v", got)
		}
		a.connect(masterAddr)
		synctest.Wait()
		if got := brief(s.new()); !slices.Contains(got, "INVERSE_OFFERS 1") {
			t.Errorf("when it is back: %v", got)
		}
		s = r.scheduler(again(s, capA())) // takes over
		time.Sleep(2 * time.Second)
		s.inverse()
	})
}

// TestInverseOffers026: there they come in OFFERS, are answered with ACCEPT and
// DECLINE, and rescinded as offers are. Today's clients do not know that form:
// the records are read as they are.
func TestInverseOffers026(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.generation = "0.26"
		r.realMaster()
		a := r.agent("10.0.0.2")
		s := r.listen("/api/v1/scheduler", `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"old"}}}`, "application/json")
		var subscribed struct {
			Subscribed struct {
				ID struct{ Value string } `json:"framework_id"`
			}
			Offers struct {
				Inverse []struct {
					ID             struct{ Value string }
					FrameworkID    struct{ Value string } `json:"framework_id"`
					AgentID        struct{ Value string } `json:"agent_id"`
					Unavailability struct{ Start struct{ Nanoseconds int64 } }
				} `json:"inverse_offers"`
			}
			Type string
		}
		read := func(record string) {
			t.Helper()
			if err := json.Unmarshal([]byte(record), &subscribed); err != nil {
				t.Fatalf("%v: %s", err, record)
			}
		}
		read(s.all()[0])
		id := subscribed.Subscribed.ID.Value
		start := time.Now().Add(time.Hour)
		r.ask("POST", "/maintenance/schedule", schedule(start, machine2), 200)
		for _, verb := range []string{"DECLINE", "ACCEPT"} {
			records := s.all()
			read(records[len(records)-1])
			list := subscribed.Offers.Inverse
			if subscribed.Type != "OFFERS" || len(list) != 1 || list[0].FrameworkID.Value != id || list[0].AgentID.Value != a.agentID() ||
				list[0].Unavailability.Start.Nanoseconds != start.UnixNano() {
				t.Fatalf("the last event is %s", records[len(records)-1])
			}
			call := fmt.Sprintf(`{"type":%q,"framework_id":{"value":%q},%q:{"offer_ids":[{"value":%q}],"filters":{"refuse_seconds":3}}}`,
				verb, id, strings.ToLower(verb), list[0].ID.Value)
			resp, text := r.do("POST", "/api/v1/scheduler", call, map[string]string{"Mesos-Stream-Id": s.head.Header.Get("Mesos-Stream-Id")})
			if resp.StatusCode != 202 {
				t.Errorf("%s: %d %s", verb, resp.StatusCode, text)
			}
			want := fmt.Sprintf("%s %s %d", id, verb, time.Now().UnixNano())
			if got := r.answers()["agent-10.0.0.2"]; !slices.Equal(got, []string{want}) {
				t.Errorf("answered %v, want %s", got, want)
			}
			time.Sleep(5 * time.Second)
		}
		r.ask("POST", "/maintenance/schedule", "{}", 200)
		records := s.all()
		rescinded := `{"rescind":{"offer_id":{"value":"` + inverseID(t, records) + `"}},"type":"RESCIND"}`
		if !slices.Contains(records, rescinded) {
			t.Errorf("no %s in %q", rescinded, records)
		}
		s.stop()
		<-s.done
	})
}

// inverseID is the id of the last inverse offer among records of 0.26.
func inverseID(t *testing.T, records []string) string {
	t.Helper()
	for _, rec := range slices.Backward(records) {
		if _, rest, ok := strings.Cut(rec, `{"inverse_offers":[`); ok {
			_, rest, _ = strings.Cut(rest, `"id":{"value":"`)
			id, _, _ := strings.Cut(rest, `"`)
			return id
		}
	}
	t.Fatal("no inverse offer")
	return ""
}
