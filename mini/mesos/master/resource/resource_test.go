package resource

import (
	"errors"
	"math/rand/v2"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

func ports(r ...Range) Set { return Of(Item{Name: "ports", Role: "*", Kind: Ranges, Ranges: r}) }

func TestArithmetic(t *testing.T) {
	all := CPUMem(4, 2048).Add(ports(Range{31000, 31099}))
	task := CPUMem(0.1, 32).Add(ports(Range{31000, 31000}, Range{31050, 31051}))
	left := all.Sub(task)
	if want := "cpus(*):3.9; mem(*):2016; ports(*):[31001-31049, 31052-31099]"; left.String() != want {
		t.Errorf("left %s, want %s", left, want)
	}
	if !left.Add(task).Equal(all) {
		t.Errorf("%s + %s != %s", left, task, all)
	}
	if left.Contains(task) {
		t.Errorf("%s cannot contain ports that were taken out", left)
	}
	if !all.Contains(task) || all.Contains(CPUMem(4.001, 0)) {
		t.Error("contains is wrong at the edge")
	}
	if s := CPUMem(0.1, 0).Add(CPUMem(0.2, 0)).Sub(CPUMem(0.3, 0)); !s.Empty() {
		t.Errorf("0.1+0.2-0.3 = %s, want nothing", s)
	}
}

func TestRoles(t *testing.T) {
	s := CPUMem(2, 0).Add(Of(Item{Name: "cpus", Role: "web", Milli: 1000}))
	if got := s.For("db").String(); got != "cpus(*):2" {
		t.Errorf("for db: %s", got)
	}
	if got := s.For("web").Scalar("cpus"); got != 3 {
		t.Errorf("for web: %v cpus", got)
	}
	if got := s.Reserved("web").Text("web"); got != "cpus(web)(allocated: web):1" {
		t.Errorf("reserved: %s", got)
	}
	if got := s.Flat().String(); got != "cpus(*):3" {
		t.Errorf("flat: %s", got)
	}
	if s.Contains(Of(Item{Name: "cpus", Role: "*", Milli: 2500})) {
		t.Error("a reservation must not stand in for everybody's")
	}
}

func TestProto(t *testing.T) {
	s := CPUMem(1.5, 64).Add(ports(Range{1, 2})).Add(Of(Item{Name: "zones", Role: "a", Kind: Words, Words: []string{"y", "x"}}))
	back, err := FromProto(s.Proto("web"))
	if err != nil || !back.Equal(s) {
		t.Errorf("there and back: %s, %v; want %s", back, err, s)
	}
	bad := []mesos.Resource{{Name: "cpus", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: 1}, Revocable: &mesos.Resource_RevocableInfo{}}}
	if _, err := FromProto(bad); !errors.Is(err, ErrUnsupported) {
		t.Errorf("revocable: %v", err)
	}
	for _, r := range []mesos.Resource{
		{Name: "cpus"},
		{Name: "cpus", Type: mesos.SCALAR.Enum()},
		{Name: "cpus", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: -1}},
		{Name: "ports", Type: mesos.RANGES.Enum(), Ranges: &mesos.Value_Ranges{Range: []mesos.Value_Range{{Begin: 2, End: 1}}}},
	} {
		if s, err := FromProto([]mesos.Resource{r}); err == nil {
			t.Errorf("%v: got %s, want an error", r, s)
		}
	}
}

// TestRangesAgainstBitmap compares range arithmetic with the obvious model.
func TestRangesAgainstBitmap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var have, cut [40]bool
		random := func(bits *[40]bool) Set {
			var rs []Range
			for range rng.IntN(5) {
				b := rng.Uint64N(40)
				e := min(39, b+rng.Uint64N(6))
				rs = append(rs, Range{b, e})
				for i := b; i <= e; i++ {
					bits[i] = true
				}
			}
			return ports(rs...)
		}
		a, b := random(&have), random(&cut)
		diff, sum := a.Sub(b), a.Add(b)
		contains := true
		for i := range have {
			one := ports(Range{uint64(i), uint64(i)})
			if diff.Contains(one) != (have[i] && !cut[i]) || sum.Contains(one) != (have[i] || cut[i]) {
				t.Fatalf("%s with %s: wrong at %d: minus %s, plus %s", a, b, i, diff, sum)
			}
			contains = contains && (have[i] || !cut[i])
		}
		if a.Contains(b) != contains {
			t.Fatalf("%s contains %s: %v", a, b, !contains)
		}
	}
}
