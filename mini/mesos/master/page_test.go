package master

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/election"
)

type pageOffer struct {
	Framework, Hostname, Outcome string
	Tasks                        []string
	Refuse, Left                 float64
	Resources                    struct{ CPUs float64 }
}

// pageOffers decodes /webui/offers.
func (r *rig) pageOffers() (o struct {
	Made, Accepted, Declined, Invalid, Rescinded int
	Held, Ended, Filters                         []pageOffer
}) {
	r.t.Helper()
	_, body := r.get(masterAddr, "/webui/offers")
	if err := json.Unmarshal(body, &o); err != nil {
		r.t.Fatalf("%v in %s", err, body)
	}
	return o
}

// TestOfferLog follows offers from their making over each of their ends to
// the end of a filter.
func TestOfferLog(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.1.1")
		s := r.scheduler(framework("f"))
		time.Sleep(time.Second)
		offer := s.offers()[a.id]
		if o := r.pageOffers(); o.Made != 1 || len(o.Held) != 1 || o.Held[0].Framework != "f" || o.Held[0].Hostname != "agent-10.0.1.1" || len(o.Ended) != 0 {
			t.Errorf("held: %+v", o)
		}
		s.call(calls.Decline(offer.ID).With(calls.RefuseSeconds(10 * time.Second)))
		time.Sleep(4 * time.Second)
		o := r.pageOffers()
		if o.Declined != 1 || len(o.Held) != 0 || len(o.Ended) != 1 || o.Ended[0].Outcome != "declined" || o.Ended[0].Refuse != 10 {
			t.Errorf("declined: %+v", o)
		}
		if len(o.Filters) != 1 || o.Filters[0].Left != 6 || o.Filters[0].Resources.CPUs != 4 {
			t.Errorf("filters: %+v", o.Filters)
		}
		time.Sleep(7 * time.Second) // the filter ends, the next batch offers again
		offer = s.offers()[a.id]
		s.call(launch(offer, 5*time.Second, task("t1", a.id, 1, 64)))
		synctest.Wait()
		o = r.pageOffers()
		if o.Accepted != 1 || o.Ended[0].Outcome != "accepted" || len(o.Ended[0].Tasks) != 1 || o.Ended[0].Tasks[0] != "t1" ||
			len(o.Filters) != 1 || o.Filters[0].Resources.CPUs != 3 {
			t.Errorf("accepted: %+v", o)
		}
		s.call(launch(offer, 0, task("t2", a.id, 1, 64))) // an offer that is over
		s.call(calls.Revive())
		time.Sleep(time.Second)
		if o := r.pageOffers(); len(o.Filters) != 0 || len(o.Held) != 1 {
			t.Errorf("after REVIVE: %+v", o)
		}
		s.stop()
		<-s.done
		synctest.Wait()
		if o := r.pageOffers(); o.Rescinded != 1 || len(o.Held) != 0 || o.Ended[0].Outcome != "rescinded" || o.Made != 3 {
			t.Errorf("without its scheduler: %+v", o)
		}
	})
}

// TestOfferLogIsBounded: only the last ones are remembered, all are counted.
func TestOfferLogIsBounded(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.1.1")
		s := r.scheduler(framework("f"))
		for range 150 {
			time.Sleep(time.Second)
			if offer, made := s.offers()[a.id]; made {
				s.call(calls.Decline(offer.ID).With(calls.RefuseSeconds(0)))
			}
		}
		synctest.Wait()
		if o := r.pageOffers(); o.Declined != 150 || len(o.Ended) != 100 {
			t.Errorf("%d declined, %d remembered", o.Declined, len(o.Ended))
		}
	})
}

// TestPageOfAStandby: it names the leader, and has nothing else to show.
func TestPageOfAStandby(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		group := new(election.Memory)
		r.master("10.0.0.1", group)
		r.master("10.0.0.4", group)
		if _, body := r.get("10.0.0.4:5050", "/"); !strings.Contains(string(body), `href="http://10.0.0.1:5050/"`) || strings.Contains(string(body), "<script") {
			t.Errorf("page: %s", body)
		}
		if resp, _ := r.get("10.0.0.4:5050", "/webui/page.css"); resp.StatusCode != 200 {
			t.Errorf("style: %s", resp.Status)
		}
		for _, path := range []string{"/webui/offers", "/webui/agent/S0/state"} {
			if resp, body := r.get("10.0.0.4:5050", path); resp.StatusCode != 503 {
				t.Errorf("%s: %s %s", path, resp.Status, body)
			}
		}
	})
}

// TestPageAsksAgents: the master passes on what its page asks an agent.
func TestPageAsksAgents(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.1.1")
		l, err := r.net.Host("10.0.1.1").Listen(r.ctx, "tcp", "10.0.1.1:5051")
		if err != nil {
			t.Fatal(err)
		}
		var asked string
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			asked = req.Host + " " + req.URL.String()
			w.Write([]byte(`{"data":"<b>","offset":0}`))
		})}
		go srv.Serve(l)
		defer srv.Close()
		resp, body := r.get(masterAddr, "/webui/agent/"+a.id+"/files/read?path=/x&offset=0")
		if resp.StatusCode != 200 || asked != "10.0.1.1:5051 /files/read?offset=0&path=%2Fx" || !strings.Contains(string(body), "<b>") {
			t.Errorf("%s %s; the agent was asked %q", resp.Status, body, asked)
		}
		if resp, body := r.get(masterAddr, "/webui/agent/nosuch/state"); resp.StatusCode != 404 {
			t.Errorf("an unknown agent: %s %s", resp.Status, body)
		}
	})
}
