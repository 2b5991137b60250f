package resource

import (
	"errors"
	"fmt"
	"math"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// ErrUnsupported: a kind of resource that this master does not manage.
var ErrUnsupported = errors.New("resource kind not supported by this master")

// FromProto reads resources. Negative or nameless ones and wrong types are
// errors; so are the kinds that the package does not understand.
func FromProto(list []mesos.Resource) (Set, error) {
	var s Set
	for i := range list {
		it, err := fromProto(&list[i])
		if _, said := err.(diskError); said {
			return Set{}, err
		}
		if err != nil {
			return Set{}, fmt.Errorf("resource %q: %w", list[i].Name, err)
		}
		s = s.add(it)
	}
	return s, nil
}

func fromProto(r *mesos.Resource) (Item, error) {
	it := Item{Name: r.Name, Role: "*"}
	if r.Role != nil && *r.Role != "" {
		it.Role = *r.Role
	}
	switch {
	case r.Name == "":
		return it, errors.New("no name")
	case r.Type == nil:
		return it, errors.New("no type")
	case r.Revocable != nil || r.Shared != nil || r.ProviderID != nil:
		return it, ErrUnsupported
	}
	if err := it.reserve(r); err != nil {
		return it, err
	}
	if err := it.volume(r); err != nil {
		return it, err
	}
	switch *r.Type {
	case mesos.SCALAR:
		v := r.GetScalar().GetValue()
		if r.Scalar == nil || math.IsNaN(v) || v < 0 || v > 1e12 {
			return it, errors.New("not a sane scalar")
		}
		it.Milli = milli(v)
	case mesos.RANGES:
		it.Kind = Ranges
		for _, x := range r.GetRanges().GetRange() {
			if x.Begin > x.End {
				return it, errors.New("range ends before it begins")
			}
			it.Ranges = append(it.Ranges, Range{x.Begin, x.End})
		}
	case mesos.SET:
		it.Kind = Words
		it.Words = r.GetSet().GetItem()
	default:
		return it, fmt.Errorf("type %v", *r.Type)
	}
	return it, nil
}

// reserve reads for whom a resource is reserved: in the form of Mesos 1.3, a
// reservation beside the role, or in the later one, a list of which only the
// first may be there.
func (it *Item) reserve(r *mesos.Resource) (err error) {
	info := r.Reservation
	if n := len(r.Reservations); n > 0 {
		if n > 1 || r.Reservations[0].Role == nil || info != nil {
			return ErrUnsupported
		}
		it.Role = *r.Reservations[0].Role
		if r.Reservations[0].GetType() == mesos.Resource_ReservationInfo_DYNAMIC {
			info = &r.Reservations[0]
		}
	}
	if info == nil {
		return nil
	}
	if it.Role == "*" {
		return errors.New("resources cannot be dynamically reserved for role '*'")
	}
	it.Reserved, err = reservation(info)
	return err
}

// Proto returns s as resources. A non-empty role puts allocation_info into
// each, as frameworks with the MULTI_ROLE capability get it.
func (s Set) Proto(allocated string) []mesos.Resource {
	out := make([]mesos.Resource, 0, len(s.items))
	for _, it := range s.items {
		r := mesos.Resource{Name: it.Name, Role: &it.Role, Reservation: it.Reserved.proto(), Disk: it.Volume.proto()}
		if allocated != "" {
			r.AllocationInfo = &mesos.Resource_AllocationInfo{Role: &allocated}
		}
		switch it.Kind {
		case Scalar:
			r.Type = mesos.SCALAR.Enum()
			r.Scalar = &mesos.Value_Scalar{Value: float64(it.Milli) / 1000}
		case Ranges:
			r.Type = mesos.RANGES.Enum()
			r.Ranges = &mesos.Value_Ranges{}
			for _, x := range it.Ranges {
				r.Ranges.Range = append(r.Ranges.Range, mesos.Value_Range{Begin: x.Begin, End: x.End})
			}
		case Words:
			r.Type = mesos.SET.Enum()
			r.Set = &mesos.Value_Set{Item: it.Words}
		}
		out = append(out, r)
	}
	return out
}

func milli(v float64) int64 { return int64(math.Round(v * 1000)) }
