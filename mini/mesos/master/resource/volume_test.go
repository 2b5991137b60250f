package resource

import (
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

func persistent(id string, mb float64) mesos.Resource {
	r := dynamic(scalar("disk", "web", mb), "ops")
	r.Disk = &mesos.Resource_DiskInfo{
		Persistence: &mesos.Resource_DiskInfo_Persistence{ID: id},
		Volume:      &mesos.Volume{ContainerPath: "in/" + id, Mode: mesos.RW.Enum()},
	}
	return r
}

// TestVolumesAreWhole: a volume is told from disk and from others, is used as a
// whole or not at all, wherever a task wants it, and becomes disk again.
func TestVolumesAreWhole(t *testing.T) {
	list := []mesos.Resource{scalar("disk", "*", 10), dynamic(scalar("disk", "web", 20), "ops"), persistent("a", 30), persistent("b", 40)}
	s, err := FromProto(list)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != "disk(*):10; disk(web, ops):20; disk(web, ops)[a:in/a]:30; disk(web, ops)[b:in/b]:40" {
		t.Errorf("%s", got)
	}
	for name, c := range map[string]struct {
		r    mesos.Resource
		want bool
	}{
		"whole":     {persistent("a", 30), true},
		"a part":    {persistent("a", 29), false},
		"too much":  {persistent("a", 31), false},
		"another":   {persistent("c", 30), false},
		"the disk":  {dynamic(scalar("disk", "web", 20), "ops"), true},
		"both":      {dynamic(scalar("disk", "web", 21), "ops"), false},
		"elsewhere": {func() mesos.Resource { r := persistent("a", 30); r.Disk.Volume.ContainerPath = "x"; return r }(), true},
	} {
		one, err := FromProto([]mesos.Resource{c.r})
		if err != nil || s.Contains(one) != c.want {
			t.Errorf("%s: contains %s: %v, %v", name, one, !c.want, err)
		}
	}
	vols := s.Volumes()
	if got := s.Sub(vols).Add(vols.Plain()).String(); got != "disk(*):10; disk(web, ops):90" {
		t.Errorf("plain: %s", got)
	}
	if got := s.Freed().String(); got != "disk(*):100" {
		t.Errorf("freed: %s", got)
	}
	if got := s.Flat().String(); got != "disk(*):100" {
		t.Errorf("flat: %s", got)
	}
	if !s.HasVolume("web", "a") || s.HasVolume("db", "a") || s.HasVolume("web", "") {
		t.Error("which volumes there are")
	}
	again, err := FromProto(s.Proto(""))
	if err != nil || !again.Equal(s) || again.String() != s.String() {
		t.Errorf("comes back as %s, %v", again, err)
	}
	kept, err := FromKept(s.Kept().Proto(""))
	if err != nil || !kept.Equal(s.Kept()) {
		t.Errorf("kept: %s, %v", kept, err)
	}
	total, ok := Of(Item{Name: "disk", Role: "*", Milli: 100_000}).WithReservations(kept)
	if !ok || !total.Equal(s) {
		t.Errorf("with what was kept: %s", total)
	}
}
