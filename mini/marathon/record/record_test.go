package record

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/task"
)

func at(n int) app.Time { return app.At(time.Unix(int64(n), 0)) }

func open(t *testing.T, m store.Store) (*Book, State) {
	t.Helper()
	b := &Book{Store: m, MaxVersions: 3, Log: t.Logf}
	s, err := b.Load(t.Context(), at(0))
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

func TestWhatIsWrittenIsFoundAgain(t *testing.T) {
	m, ctx := store.NewMemory(""), t.Context()
	b, s := open(t, m)
	root := s.Root
	for i := 1; i <= 5; i++ {
		a := app.Default("/shop/web")
		a.Instances = i
		next, err := group.Commit(root, root.WithApp(a), at(i), group.PortRange{Min: 10000, Max: 10010})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.SaveRoot(ctx, root, next, ""); err != nil {
			t.Fatal(err)
		}
		root = next
	}
	b.KeepText(ctx, FrameworkKey, "f-0000")
	b.Keep(ctx, TaskKey("shop_web.1"), &task.Task{ID: "shop_web.1", AppID: "/shop/web", Ports: []int{31000}, StagedAt: at(9)})
	p := group.NewPlan(group.Empty(at(0)), root, map[string][]string{"/shop/web": {"shop_web.1"}})
	b.Keep(ctx, DeploymentKey(p.ID), p)
	b.Keep(ctx, FailureKey("/shop/web"), task.Failure{AppID: "/shop/web", State: "TASK_LOST"})
	if err := m.Put(ctx, "somebody:else", []byte("x")); err != nil {
		t.Fatal(err)
	}

	b, s = open(t, m)
	if s.FrameworkID != "f-0000" || s.Root.Apps["/shop/web"].Instances != 5 || !s.Root.HasGroup("/shop") || s.Tasks["shop_web.1"].Ports[0] != 31000 ||
		len(s.Plans) != 1 || s.Plans[0].Steps[1].Actions[0].Kill[0] != "shop_web.1" || s.Failures["/shop/web"].State != "TASK_LOST" {
		t.Errorf("found %+v", s)
	}
	want := []app.Time{at(5), at(4), at(3)} // the three newest
	same := func(a, b app.Time) bool { return a.Equal(b) }
	if got := b.Versions("/shop/web"); !slices.EqualFunc(got, want, same) {
		t.Errorf("versions %v", got)
	}
	if got := b.History(); !slices.EqualFunc(got, want, same) {
		t.Errorf("history %v", got)
	}
	if a, err := b.App(ctx, "/shop/web", at(3)); err != nil || a.Instances != 3 {
		t.Errorf("%d, %v", a.Instances, err)
	}
	if _, err := b.App(ctx, "/shop/web", at(2)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a version that was dropped: %v", err)
	}
	if r, err := b.Root(ctx, at(4)); err != nil || r.Apps["/shop/web"].Instances != 4 {
		t.Errorf("the tree as it was: %v", err)
	}
	b.ForgetApp(ctx, "/shop/web")
	if _, s = open(t, m); len(s.Failures) != 0 {
		t.Error("the failure of an app that is no more")
	}
}

func TestWhatCannotBeWrittenIsWrittenLater(t *testing.T) {
	m, ctx := store.NewMemory(""), t.Context()
	b, _ := open(t, m)
	b.KeepText(ctx, "task:old", "{}")
	m.SetAvailable(false)
	if b.Keep(ctx, "task:a", map[string]string{"id": "a"}) || b.Drop(ctx, "task:old") {
		t.Error("kept, with the store away")
	}
	if err := b.Write(ctx, "task:b", 1); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("written: %v", err)
	}
	b.Flush(ctx)
	m.SetAvailable(true)
	b.Flush(ctx)
	if keys, _ := m.Keys(ctx); !slices.Equal(keys, []string{"task:a"}) {
		t.Errorf("keys %v", keys)
	}
}

// TestWhatNeverCountedIsDropped: a leader ended in the midst of a change, or of
// cancelling a plan for another.
func TestWhatNeverCountedIsDropped(t *testing.T) {
	m, ctx := store.NewMemory(""), t.Context()
	b, s := open(t, m)
	a, other := app.Default("/a"), app.Default("/other")
	commit := func(from group.Root, n int, apps ...app.App) group.Root {
		to := from
		for _, x := range apps {
			x.Instances = n
			to = to.WithApp(x)
		}
		to, err := group.Commit(from, to, at(n), group.PortRange{Min: 10000, Max: 10010})
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	plan := func(from, to group.Root) group.Plan {
		p := group.NewPlan(from, to, nil)
		b.Keep(ctx, DeploymentKey(p.ID), p)
		return p
	}
	one := commit(s.Root, 1, a, other)
	two := commit(one, 2, one.Apps["/a"])
	three := commit(two, 3, two.Apps["/other"])
	four := commit(three, 4, three.Apps["/a"])
	five := commit(four, 5, four.Apps["/a"])
	for _, step := range [][2]group.Root{{s.Root, one}, {one, two}, {two, three}, {three, four}} {
		if err := b.SaveRoot(ctx, step[0], step[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	plan(one, two) // cancelled by that of four
	kept, newest := plan(two, three), plan(three, four)
	plan(four, five) // its tree was never written
	if err := b.Write(ctx, versionKey("/a", at(5)), five.Apps["/a"]); err != nil {
		t.Fatal(err)
	}
	if err := b.Write(ctx, historyKey(at(5)), five); err != nil {
		t.Fatal(err)
	}

	b, s = open(t, m)
	if len(s.Plans) != 2 || s.Plans[0].ID != kept.ID || s.Plans[1].ID != newest.ID {
		t.Errorf("plans %+v", s.Plans)
	}
	if vs, h := b.Versions("/a"), b.History(); !vs[0].Equal(at(4)) || !h[0].Equal(at(4)) {
		t.Errorf("versions %v, history %v", vs, h)
	}
	if keys, _ := m.Keys(ctx); slices.Contains(keys, versionKey("/a", at(5))) || slices.Contains(keys, historyKey(at(5))) {
		t.Errorf("keys %v", keys)
	}
	plans := 0
	keys, _ := m.Keys(ctx)
	for _, k := range keys {
		if strings.HasPrefix(k, "deployment:") {
			plans++
		}
	}
	if plans != 2 {
		t.Errorf("%d plans are in the store", plans)
	}
}
