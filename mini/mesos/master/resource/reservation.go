package resource

import (
	"errors"
	"fmt"
	"unique"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Reservation tells dynamic reservations for the same role apart, by ==; the
// zero value is none, or a static one. It is one word long, as every Item has
// one and hardly any is reserved.
type Reservation struct{ of unique.Handle[reserver] }

type reserver struct {
	principal string
	labels    string // a mesos.Labels in protobuf, "" for none
}

// Dynamic says whether there is one.
func (r Reservation) Dynamic() bool { return r != Reservation{} }

// Principal is who reserved, or "" if that was not told.
func (r Reservation) Principal() string {
	if !r.Dynamic() {
		return ""
	}
	return r.of.Value().principal
}

// ErrNotDynamic: a resource of an operation is not dynamically reserved.
var ErrNotDynamic = errors.New("is not dynamically reserved")

// Dynamic returns what is dynamically reserved.
func (s Set) Dynamic() Set {
	return s.filter(func(it Item) bool { return it.Reserved.Dynamic() })
}

// Freed returns s as it is when its dynamic reservations are undone: everybody's.
// Volumes are plain disk then.
func (s Set) Freed() Set {
	var out Set
	for _, it := range s.items {
		it.Volume = nil
		if it.Reserved.Dynamic() {
			it.Role, it.Reserved = "*", Reservation{}
		}
		out = out.add(it)
	}
	return out
}

// WithReservations returns an agent's resources with what it keeps (Kept):
// some of them dynamically reserved, or volumes. False: there are not as many.
func (s Set) WithReservations(kept Set) (Set, bool) {
	from := kept.Freed()
	if !s.Contains(from) {
		return s, false
	}
	return s.Sub(from).Add(kept), true
}

// FromReserved is FromProto for the resources of an operation that reserves
// or unreserves.
func FromReserved(list []mesos.Resource) (Set, error) {
	s, err := FromProto(list)
	if err != nil {
		return s, err
	}
	for _, it := range s.items {
		if !it.Reserved.Dynamic() {
			return s, fmt.Errorf("resource %s %w", Of(it), ErrNotDynamic)
		}
	}
	return s, nil
}

// reservation reads a dynamic reservation.
func reservation(info *mesos.Resource_ReservationInfo) (Reservation, error) {
	r := reserver{principal: info.GetPrincipal()}
	if len(info.GetLabels().GetLabels()) > 0 {
		b, err := info.Labels.Marshal()
		if err != nil {
			return Reservation{}, fmt.Errorf("labels of the reservation: %w", err)
		}
		r.labels = string(b)
	}
	return Reservation{unique.Make(r)}, nil
}

// proto is the reservation in the form of Mesos 1.3, beside the role.
func (r Reservation) proto() *mesos.Resource_ReservationInfo {
	if !r.Dynamic() {
		return nil
	}
	info, by := &mesos.Resource_ReservationInfo{}, r.of.Value()
	if by.principal != "" {
		info.Principal = &by.principal
	}
	if by.labels != "" {
		info.Labels = new(mesos.Labels)
		info.Labels.Unmarshal([]byte(by.labels)) // it was marshalled here
	}
	return info
}
