// Package resource does the arithmetic of Mesos resources for the master:
// what an agent has, what is offered, what a task takes.
//
// Nouns. A Set is an immutable bag of items, each named ("cpus") and
// belonging to a role ("*" is everybody's). An Item is a scalar in
// thousandths, as Mesos rounds them (so that 0.1+0.2-0.3 is nothing), a list
// of ranges ("ports") or a list of words.
//
// Understood are unreserved resources and those that are reserved, statically
// by an agent's flags or dynamically, and persistent volumes on reserved disk.
// Refined reservations, revocable and shared resources and disks of their own
// (MOUNT, PATH) are refused by FromProto with ErrUnsupported: this master makes
// no offers from which they could come.
//
// The package is pure.
package resource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Item is one named resource of a role. Exactly one of the three values is
// used, told by Kind.
type Item struct {
	Name, Role string
	Reserved   Reservation // dynamically, for Role
	Volume     *Volume     // a disk that is one; never written to
	Kind       Kind
	Milli      int64    // Scalar: thousandths
	Ranges     []Range  // Ranges: sorted, neither overlapping nor adjacent
	Words      []string // Words: sorted, no duplicates
}

// Kind says how an item is counted.
type Kind int

// The kinds that Mesos has.
const (
	Scalar Kind = iota
	Ranges
	Words
)

// Range is Begin … End, both included.
type Range struct{ Begin, End uint64 }

// Set is an immutable bag of items, in the order in which their names came.
// The zero value is empty.
type Set struct{ items []Item }

// Of makes a Set of items; equal name, role and kind are added up, empty
// ones are left out.
func Of(items ...Item) Set {
	var s Set
	for _, it := range items {
		s = s.add(it)
	}
	return s
}

// CPUMem is a Set of unreserved cpus and mem (MB): short for tests and
// minima.
func CPUMem(cpus, mem float64) Set {
	return Of(Item{Name: "cpus", Role: "*", Milli: milli(cpus)}, Item{Name: "mem", Role: "*", Milli: milli(mem)})
}

// Items returns the items; the caller must not change them.
func (s Set) Items() []Item { return s.items }

// Empty reports whether nothing is in s.
func (s Set) Empty() bool { return len(s.items) == 0 }

// Add returns s and t together.
func (s Set) Add(t Set) Set {
	if len(s.items) == 0 {
		return t
	}
	for _, it := range t.items {
		s = s.add(it)
	}
	return s
}

// Sub returns s without t. What t has more than s is ignored: use Contains
// first where that matters.
func (s Set) Sub(t Set) Set {
	if len(t.items) == 0 {
		return s
	}
	out := Set{items: make([]Item, 0, len(s.items))}
	for _, it := range s.items {
		if o, ok := t.find(it); ok {
			it = it.minus(o)
		}
		if !it.empty() {
			out.items = append(out.items, it)
		}
	}
	return out
}

// Contains reports whether all of t is in s.
func (s Set) Contains(t Set) bool {
	for _, it := range t.items {
		have, ok := s.find(it)
		if !ok && !it.empty() || !it.minus(have).empty() {
			return false
		}
		if it.Volume != nil && it.Milli != have.Milli { // they are not divided
			return false
		}
	}
	return true
}

// Equal reports whether s and t hold the same.
func (s Set) Equal(t Set) bool { return s.Contains(t) && t.Contains(s) }

// Scalar is the sum of a scalar over all roles.
func (s Set) Scalar(name string) float64 {
	var sum int64
	for _, it := range s.items {
		if it.Name == name && it.Kind == Scalar {
			sum += it.Milli
		}
	}
	return float64(sum) / 1000
}

// Scalars returns the names of the scalars in s.
func (s Set) Scalars() []string {
	var names []string
	for _, it := range s.items {
		if it.Kind == Scalar && !slices.Contains(names, it.Name) {
			names = append(names, it.Name)
		}
	}
	return names
}

// For returns what a framework of the role may use: its own and everybody's.
func (s Set) For(role string) Set {
	return s.filter(func(it Item) bool { return it.Role == "*" || it.Role == role })
}

// Unreserved returns what belongs to nobody.
func (s Set) Unreserved() Set { return s.filter(func(it Item) bool { return it.Role == "*" }) }

// Reserved returns what belongs to the role alone.
func (s Set) Reserved(role string) Set {
	return s.filter(func(it Item) bool { return it.Role == role && role != "*" })
}

// Roles returns the roles that something is reserved for, sorted.
func (s Set) Roles() []string {
	var roles []string
	for _, it := range s.items {
		if it.Role != "*" && !slices.Contains(roles, it.Role) {
			roles = append(roles, it.Role)
		}
	}
	slices.Sort(roles)
	return roles
}

// Flat returns s with all roles made one.
func (s Set) Flat() Set {
	if !slices.ContainsFunc(s.items, func(it Item) bool { return it.Role != "*" }) {
		return s
	}
	var out Set
	for _, it := range s.items {
		it.Role, it.Reserved, it.Volume = "*", Reservation{}, nil
		out = out.add(it)
	}
	return out
}

// Text prints s as Mesos does in messages: "cpus(*):0.5; ports(*):[1-2]".
// With a role it adds to whom it is allocated: "cpus(*)(allocated: web):0.5".
func (s Set) Text(allocated string) string {
	var parts []string
	for _, it := range s.items {
		to, role := "", it.Role
		if allocated != "" {
			to = "(allocated: " + allocated + ")"
		}
		if p := it.Reserved.Principal(); p != "" {
			role += ", " + p
		}
		parts = append(parts, fmt.Sprintf("%s(%s)%s%s:%s", it.Name, role, to, it.Volume.text(), it.Value()))
	}
	return strings.Join(parts, "; ")
}

// String prints s without allocation.
func (s Set) String() string { return s.Text("") }

// Value prints the item's amount: "0.5", "[1-2, 4-4]" or "{a, b}".
func (it Item) Value() string {
	switch it.Kind {
	case Ranges:
		var parts []string
		for _, r := range it.Ranges {
			parts = append(parts, fmt.Sprintf("%d-%d", r.Begin, r.End))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Words:
		return "{" + strings.Join(it.Words, ", ") + "}"
	}
	return strconv.FormatFloat(float64(it.Milli)/1000, 'f', -1, 64)
}

func (s Set) filter(keep func(Item) bool) Set {
	if !slices.ContainsFunc(s.items, func(it Item) bool { return !keep(it) }) {
		return s
	}
	var out Set
	for _, it := range s.items {
		if keep(it) {
			out.items = append(out.items, it)
		}
	}
	return out
}

func (s Set) find(like Item) (Item, bool) {
	for _, it := range s.items {
		if it.same(like) {
			return it, true
		}
	}
	return Item{Name: like.Name, Role: like.Role, Reserved: like.Reserved, Volume: like.Volume, Kind: like.Kind}, false
}

func (s Set) add(it Item) Set {
	if it.empty() {
		return s
	}
	i := slices.IndexFunc(s.items, it.same)
	if i < 0 {
		return Set{append(slices.Clip(s.items), it.plus(Item{}))} // clipped: appending copies
	}
	items := slices.Clone(s.items)
	items[i] = items[i].plus(it)
	return Set{items}
}

func (it Item) same(o Item) bool {
	return it.Name == o.Name && it.Role == o.Role && it.Reserved == o.Reserved && it.Kind == o.Kind && it.Volume.id() == o.Volume.id()
}

func (it Item) empty() bool {
	switch it.Kind {
	case Ranges:
		return len(it.Ranges) == 0
	case Words:
		return len(it.Words) == 0
	}
	return it.Milli <= 0
}

func (it Item) plus(o Item) Item {
	it.Milli += o.Milli
	if it.Kind == Scalar {
		return it
	}
	it.Ranges = coalesce(slices.Concat(it.Ranges, o.Ranges))
	it.Words = slices.Compact(slices.Sorted(slices.Values(slices.Concat(it.Words, o.Words))))
	return it
}

func (it Item) minus(o Item) Item {
	it.Milli -= o.Milli
	if it.Kind == Scalar {
		return it
	}
	it.Ranges = subtract(it.Ranges, o.Ranges)
	it.Words = slices.DeleteFunc(slices.Clone(it.Words), func(w string) bool { return slices.Contains(o.Words, w) })
	return it
}
