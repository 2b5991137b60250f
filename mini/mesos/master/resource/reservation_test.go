package resource

import (
	"errors"
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

func scalar(name, role string, v float64) mesos.Resource {
	return mesos.Resource{Name: name, Role: &role, Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: v}}
}

func dynamic(r mesos.Resource, principal string, labels ...string) mesos.Resource {
	r.Reservation = &mesos.Resource_ReservationInfo{}
	if principal != "" {
		r.Reservation.Principal = &principal
	}
	if len(labels) > 0 {
		r.Reservation.Labels = new(mesos.Labels)
	}
	for _, l := range labels {
		r.Reservation.Labels.Labels = append(r.Reservation.Labels.Labels, mesos.Label{Key: l})
	}
	return r
}

// TestReservationsAreKeptApart: by role, principal and labels, and those that
// are the same are added up.
func TestReservationsAreKeptApart(t *testing.T) {
	list := []mesos.Resource{
		scalar("cpus", "*", 4),
		dynamic(scalar("cpus", "web", 1), "ops"),
		dynamic(scalar("cpus", "web", 2), "ops"),
		dynamic(scalar("cpus", "web", 1), "dev"),
		dynamic(scalar("cpus", "web", 1), "ops", "ssd"),
		scalar("cpus", "web", 1), // statically
	}
	s, err := FromProto(list)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != "cpus(*):4; cpus(web, ops):3; cpus(web, dev):1; cpus(web, ops):1; cpus(web):1" {
		t.Errorf("%s", got)
	}
	if got := s.Dynamic().Scalar("cpus"); got != 5 {
		t.Errorf("%v dynamically reserved", got)
	}
	if got := s.Freed().String(); got != "cpus(*):9; cpus(web):1" {
		t.Errorf("freed: %s", got)
	}
	if got := s.Flat().String(); got != "cpus(*):10" {
		t.Errorf("flat: %s", got)
	}
	if got := s.For("db").String(); got != "cpus(*):4" {
		t.Errorf("for another role: %s", got)
	}
	again, err := FromProto(s.Proto("web"))
	if err != nil || !again.Equal(s) {
		t.Errorf("comes back as %s, %v", again, err)
	}
	one, err := FromReserved(list[1:2])
	if err != nil || !s.Contains(one) || s.Sub(one).String() == s.String() {
		t.Errorf("%s in %s: %v", one, s, err)
	}
}

func TestWithReservations(t *testing.T) {
	static := CPUMem(4, 1024)
	some, err := FromReserved([]mesos.Resource{dynamic(scalar("cpus", "web", 3), "ops")})
	if err != nil {
		t.Fatal(err)
	}
	total, ok := static.WithReservations(some)
	if got := total.String(); !ok || got != "cpus(*):1; mem(*):1024; cpus(web, ops):3" {
		t.Errorf("%s, %v", got, ok)
	}
	if !total.Freed().Equal(static) {
		t.Errorf("freed: %s", total.Freed())
	}
	if total, ok := CPUMem(2, 1024).WithReservations(some); ok {
		t.Errorf("more is reserved than there is: %s", total)
	}
}

func TestReservationForms(t *testing.T) {
	web, static, dyn := "web", mesos.Resource_ReservationInfo_STATIC, mesos.Resource_ReservationInfo_DYNAMIC
	later := func(infos ...mesos.Resource_ReservationInfo) mesos.Resource {
		r := scalar("cpus", "*", 1)
		r.Role, r.Reservations = nil, infos
		return r
	}
	for name, c := range map[string]struct {
		r    mesos.Resource
		want string
		err  string
	}{
		"1.3":               {dynamic(scalar("cpus", "web", 1), "ops"), "cpus(web, ops):1", ""},
		"later, static":     {later(mesos.Resource_ReservationInfo{Type: &static, Role: &web}), "cpus(web):1", "not dynamically"},
		"later, dynamic":    {later(mesos.Resource_ReservationInfo{Type: &dyn, Role: &web}), "cpus(web):1", ""},
		"later, refined":    {later(mesos.Resource_ReservationInfo{Role: &web}, mesos.Resource_ReservationInfo{Role: &web}), "", "not supported"},
		"for nobody":        {dynamic(scalar("cpus", "*", 1), "ops"), "", "role '*'"},
		"not at all":        {scalar("cpus", "*", 1), "cpus(*):1", "not dynamically"},
		"nothing of it":     {dynamic(scalar("cpus", "web", 0), "ops"), "", ""},
		"less than nothing": {dynamic(scalar("cpus", "web", -1), "ops"), "", "sane"},
	} {
		s, err := FromReserved([]mesos.Resource{c.r})
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if c.err == "not dynamically" && !errors.Is(err, ErrNotDynamic) {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
