package master

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// inRole is a framework with a role and a principal.
func inRole(name, role string) *mesos.FrameworkInfo {
	f := framework(name)
	principal := name + "-principal"
	f.Role, f.Principal = &role, &principal
	return f
}

// reserved is cpus and mem that somebody reserved for a role.
func reserved(role, principal string, cpus, mem float64) []mesos.Resource {
	list := resource.CPUMem(cpus, mem).Proto("")
	for i := range list {
		list[i].Role = &role
		list[i].Reservation = &mesos.Resource_ReservationInfo{Principal: &principal}
	}
	return list
}

// reserveForm is the body of a request to /reserve or /unreserve.
func reserveForm(agent string, list []mesos.Resource) string {
	var array mjson.Array
	for _, x := range list {
		array = append(array, mjson.Proto(&x))
	}
	return url.Values{"slaveId": {agent}, "resources": {string(mjson.Marshal(array))}}.Encode()
}

func opReserve(list []mesos.Resource) mesos.Offer_Operation {
	return mesos.Offer_Operation{Type: mesos.Offer_Operation_RESERVE, Reserve: &mesos.Offer_Operation_Reserve{Resources: list}}
}

func opUnreserve(list []mesos.Resource) mesos.Offer_Operation {
	return mesos.Offer_Operation{Type: mesos.Offer_Operation_UNRESERVE, Unreserve: &mesos.Offer_Operation_Unreserve{Resources: list}}
}

func accept(o mesos.Offer, ops ...mesos.Offer_Operation) *scheduler.Call {
	return calls.Accept(calls.OfferOperations(ops).WithOffers(o.ID)).With(calls.RefuseSeconds(0))
}

// lastOffered tells in one line what a scheduler was offered last.
func lastOffered(t *testing.T, s *sched) string {
	t.Helper()
	last := "nothing"
	for _, e := range s.new() {
		for _, o := range e.GetOffers().GetOffers() {
			set, err := resource.FromProto(o.Resources)
			if err != nil {
				t.Fatal(err)
			}
			last = set.String()
		}
	}
	return last
}

func (a *agentDouble) reservedNow(t *testing.T) string {
	t.Helper()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	set, err := resource.FromProto(wire.Values(a.reserved))
	if err != nil {
		t.Fatal(err)
	}
	return set.String()
}

// TestReservations: a framework reserves what it was offered and starts a task
// on it at once; nobody else is offered it, whoever restarts; then it gives it
// back (docs/reservation.md of Mesos).
func TestReservations(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.realMaster()
		a := r.agent("10.0.0.2") // 4 cpus, 2048 MB
		web := r.scheduler(inRole("web", "web"))
		o := web.latestOffer(a.agentID())
		mine := reserved("web", "web-principal", 2, 512)
		onIt := task("t", a.agentID(), 1, 256)
		onIt.Resources = reserved("web", "web-principal", 1, 256)
		web.call(accept(o, opReserve(mine), calls.OpLaunch(onIt)))
		synctest.Wait()
		if got, want := a.reservedNow(t), "cpus(web, web-principal):2; mem(web, web-principal):512"; got != want {
			t.Errorf("the agent was told %s, want %s", got, want)
		}
		if got := a.runs["t"]; got != 1 {
			t.Errorf("the task was started %d times", got)
		}
		web.new()
		time.Sleep(2 * time.Second)
		const rest = "cpus(*):2; mem(*):1536; disk(*):1024; ports(*):[31000-31099]; cpus(web, web-principal):1; mem(web, web-principal):256"
		if got := lastOffered(t, web); got != rest {
			t.Errorf("web was offered %s", got)
		}
		web.call(calls.Suppress())
		web.call(calls.Decline(web.latestOffer(a.agentID()).ID).With(calls.RefuseSeconds(0)))
		db := r.scheduler(inRole("db", "db"))
		if got := lastOffered(t, db); got != "cpus(*):2; mem(*):1536; disk(*):1024; ports(*):[31000-31099]" {
			t.Errorf("db was offered %s", got)
		}
		checkReserved(t, r, "web", 2.0)

		// The agent keeps it: the next master hears of it from there.
		m.stop()
		<-m.done
		<-web.done
		a.die()
		r.realMaster()
		a.connect(masterAddr)
		synctest.Wait()
		checkReserved(t, r, "web", 2.0)
		web = r.scheduler(again(web, inRole("web", "web")))
		if got := lastOffered(t, web); got != rest {
			t.Errorf("after the restart web was offered %s", got)
		}

		// What a task holds is not given back; what is free is.
		web.call(accept(web.latestOffer(a.agentID()), opUnreserve(mine)))
		synctest.Wait()
		checkReserved(t, r, "web", 2.0)
		time.Sleep(2 * time.Second)
		web.call(accept(web.latestOffer(a.agentID()), opUnreserve(reserved("web", "web-principal", 1, 256))))
		synctest.Wait()
		checkReserved(t, r, "web", 1.0)
		if got := a.reservedNow(t); got != "cpus(web, web-principal):1; mem(web, web-principal):256" {
			t.Errorf("the agent was told %s", got)
		}
		// A message that was lost is said again when the agent is back.
		a.die()
		a.mu.Lock()
		a.reserved = wire.All(mine)
		a.mu.Unlock()
		a.connect(masterAddr)
		synctest.Wait()
		if got := a.reservedNow(t); got != "cpus(web, web-principal):1; mem(web, web-principal):256" {
			t.Errorf("the agent that was away was told %s", got)
		}
	})
}

// checkReserved looks at what /slaves says.
func checkReserved(t *testing.T, r *rig, role string, cpus float64) {
	t.Helper()
	var s struct {
		Slaves []struct {
			Resources map[string]any
			Reserved  map[string]map[string]any `json:"reserved_resources"`
			Full      map[string][]struct {
				Name, Role  string
				Scalar      struct{ Value float64 }
				Reservation struct{ Principal string }
			} `json:"reserved_resources_full"`
		}
	}
	text := r.ask("GET", "/slaves", "", 200)
	if err := json.Unmarshal([]byte(text), &s); err != nil || len(s.Slaves) == 0 {
		t.Fatalf("%v: %s", err, text)
	}
	a := s.Slaves[0]
	if a.Resources["cpus"] != 4.0 || a.Reserved[role]["cpus"] != cpus {
		t.Errorf("%v cpus, reserved %v; want 4 and %v for %s", a.Resources["cpus"], a.Reserved, cpus, role)
	}
	if full := a.Full[role]; len(full) == 0 || full[0].Name != "cpus" || full[0].Role != role || full[0].Scalar.Value != cpus || full[0].Reservation.Principal == "" {
		t.Errorf("in full: %+v", full)
	}
}

// TestReservationsDropped: what a framework may not reserve is dropped, and
// its offer comes again as it was.
func TestReservationsDropped(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.realMaster()
		a := r.agent("10.0.0.2")
		s := r.scheduler(inRole("web", "web"))
		before := lastOffered(t, s)
		static := resource.CPUMem(1, 32).Proto("")
		for name, list := range map[string][]mesos.Resource{
			"another role":          reserved("db", "web-principal", 1, 32),
			"for everybody":         reserved("*", "web-principal", 1, 32),
			"another's name":        reserved("web", "db-principal", 1, 32),
			"no name":               reserved("web", "", 1, 32),
			"too much":              reserved("web", "web-principal", 5, 32),
			"no reservation at all": static,
		} {
			s.call(accept(s.latestOffer(a.agentID()), opReserve(list)))
			time.Sleep(time.Second)
			if got := lastOffered(t, s); got != before || a.reservedNow(t) != "" {
				t.Errorf("%s: offered %s, reserved %q", name, got, a.reservedNow(t))
			}
		}
		s.call(accept(s.latestOffer(a.agentID()), opUnreserve(reserved("web", "web-principal", 1, 32))))
		time.Sleep(time.Second)
		if got := lastOffered(t, s); got != before {
			t.Errorf("unreserved what was not: offered %s", got)
		}
	})
}

// TestReservationsByOperators: the requests of the operator API's
// documentation, and the classic endpoints, with their refusals.
func TestReservationsByOperators(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		reserve, unreserve := example(t, "master.RESERVE_RESOURCES.request"), example(t, "master.UNRESERVE_RESOURCES.request")
		r := newRig(t)
		r.realMaster()
		a := r.agent("10.0.0.2")
		const documented = "1557de7d-547c-48db-b5d3-6bef9c9640ef-S0"
		if got := r.ask("POST", "/api/v1", reserve, 400); got != "No agent found with specified ID" {
			t.Errorf("unknown agent: %s", got)
		}
		s := r.scheduler(named("f"))
		s.new()
		// What is offered is taken back for it.
		r.ask("POST", "/api/v1", strings.ReplaceAll(reserve, documented, a.agentID()), 202)
		if got := brief(s.new()); !slices.Equal(got, []string{"RESCIND"}) {
			t.Errorf("the scheduler got %v", got)
		}
		checkReserved(t, r, "role", 1.0)
		r.ask("POST", "/api/v1", strings.ReplaceAll(unreserve, documented, a.agentID()), 202)
		if got := a.reservedNow(t); got != "" {
			t.Errorf("still reserved: %s", got)
		}

		some := reserved("web", "ops", 3, 64)
		r.ask("POST", "/reserve", reserveForm(a.agentID(), some), 202)
		checkReserved(t, r, "web", 3.0)
		for _, c := range []struct {
			path, body string
			status     int
			text       string
		}{
			{"/reserve", reserveForm(a.agentID(), some), 409, "Invalid RESERVE Operation: cpus(*):1; mem(*):1984; disk(*):1024; ports(*):[31000-31099]; cpus(web, ops):3; mem(web, ops):64 does not contain cpus(*):3; mem(*):64"},
			{"/unreserve", reserveForm(a.agentID(), reserved("web", "dev", 1, 32)), 409, "Invalid UNRESERVE Operation: cpus(*):1; mem(*):1984; disk(*):1024; ports(*):[31000-31099]; cpus(web, ops):3; mem(web, ops):64 does not contain cpus(web, dev):1; mem(web, dev):32"},
			{"/reserve", reserveForm("nobody", some), 400, "No agent found with specified ID"},
			{"/reserve", reserveForm(a.agentID(), resource.CPUMem(1, 32).Proto("")), 400, "Invalid RESERVE operation: resource cpus(*):1 is not dynamically reserved"},
			{"/reserve", reserveForm(a.agentID(), reserved("a/b", "ops", 1, 32)), 400, "Invalid RESERVE operation: Role name 'a/b' is invalid because it contains slash, backspace or whitespace"},
			{"/reserve", "resources=[]", 400, "Missing 'slaveId' query parameter in the request body"},
			{"/unreserve", "slaveId=x", 400, "Missing 'resources' query parameter in the request body"},
			{"/reserve", "slaveId=x&resources={", 400, "Error in parsing 'resources' query parameter in the request body: syntax error at line 1 near: "},
			{"/reserve", "slaveId=x&resources={}", 400, "Error in parsing 'resources' query parameter in the request body: Expecting a JSON array"},
		} {
			if got := r.ask("POST", c.path, c.body, c.status); got != c.text {
				t.Errorf("%s %s: %s\nwant %s", c.path, c.body, got, c.text)
			}
		}
		checkReserved(t, r, "web", 3.0)
		r.ask("POST", "/unreserve", reserveForm(a.agentID(), some), 202)
		if got := a.reservedNow(t); got != "" {
			t.Errorf("still reserved: %s", got)
		}
	})
}
