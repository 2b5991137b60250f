package group

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

func at(n int) app.Time { return app.At(time.Unix(int64(n), 0)) }

var ports = PortRange{10000, 20000}

// tree commits apps with the given dependencies.
func tree(t *testing.T, deps map[string][]string) Root {
	t.Helper()
	r := Empty(at(0))
	for id, d := range deps {
		a := app.Default(id)
		a.Dependencies = d
		r = r.WithApp(a)
	}
	r, err := Commit(Empty(at(0)), r, at(1), ports)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func steps(p Plan) string {
	s := ""
	for _, st := range p.Steps {
		for _, a := range st.Actions {
			s += a.Type[:2] + a.App + " "
		}
		s += "| "
	}
	return s
}

func TestPlanGoesByLevels(t *testing.T) {
	r := tree(t, map[string][]string{"/web": {"/mid"}, "/mid": {"/store"}, "/store/db": nil, "/store/cache": nil})
	p := NewPlan(Empty(at(0)), r, nil)
	want := "St/mid St/store/cache St/store/db St/web | Sc/store/cache Sc/store/db | Sc/mid | Sc/web | "
	if got := steps(p); got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	b := r.Apps["/web"].Clone()
	b.Instances = 5
	c := r.Apps["/store/db"].Clone()
	c.Mem = 256
	to, err := Commit(r, r.WithApp(b).WithApp(c).WithoutApp("/mid"), at(2), ports)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := steps(NewPlan(r, to, map[string][]string{"/store/cache": {"t"}})), "St/mid | Sc/store/cache Re/store/db Sc/web | "; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if v := to.Apps["/web"].VersionInfo; !v.LastScalingAt.Equal(at(2)) || !v.LastConfigChangeAt.Equal(at(1)) {
		t.Errorf("after scaling: %+v", v)
	}
	if v := to.Apps["/store/cache"]; !v.Version.Equal(at(1)) {
		t.Errorf("an unchanged app has version %s", v.Version)
	}
	if p := NewPlan(to, to, nil); len(p.Steps) != 0 || len(p.Affected()) != 0 {
		t.Errorf("a plan for nothing: %s", steps(p))
	}
	if back := NewPlan(r, to, nil).Revert(to); !reflect.DeepEqual(back.IDs("/"), r.IDs("/")) || back.Apps["/web"].Instances != 1 || back.Apps["/store/db"].Mem != 128 {
		t.Errorf("reverted to %v", back.Apps)
	}
}

func TestCyclesAreRefused(t *testing.T) {
	r := Empty(at(0))
	for i := range 3 {
		a := app.Default(fmt.Sprintf("/a%d", i))
		a.Dependencies = []string{fmt.Sprintf("/a%d", (i+1)%3)}
		r = r.WithApp(a)
	}
	var bad *app.InvalidError
	if _, err := Commit(Empty(at(0)), r, at(1), ports); !errors.As(err, &bad) {
		t.Errorf("a cycle: %v", err)
	}
}

func TestPortsRunOut(t *testing.T) {
	r := Empty(at(0))
	for i := range 3 {
		r = r.WithApp(app.Default(fmt.Sprintf("/a%d", i)))
	}
	var none *PortsExhaustedError
	if _, err := Commit(Empty(at(0)), r, at(1), PortRange{10000, 10002}); !errors.As(err, &none) {
		t.Errorf("three apps and two ports: %v", err)
	}
	if _, err := Commit(Empty(at(0)), r, at(1), PortRange{10000, 10003}); err != nil {
		t.Error(err)
	}
}

func TestViewIsATree(t *testing.T) {
	r := tree(t, map[string][]string{"/a/b/c": nil, "/a/d": nil, "/e": nil})
	v := r.Show("/", true, func(a app.App) any { return a.ID })
	if !reflect.DeepEqual(v.Apps, []any{"/e"}) || len(v.Groups) != 1 || !reflect.DeepEqual(v.Groups[0].Apps, []any{"/a/d"}) || v.Groups[0].Groups[0].ID != "/a/b" {
		t.Errorf("%+v", v)
	}
	if g := r.WithoutApp("/a/b/c"); !g.HasGroup("/a/b") || len(g.IDs("/a/b")) != 0 {
		t.Error("a group went with its last app")
	}
	if g := r.WithoutGroup("/a"); g.HasGroup("/a/b") || len(g.Apps) != 1 {
		t.Errorf("%+v", g)
	}
	if s := r.Scale("/a", 2.5); s.Apps["/a/d"].Instances != 3 || s.Apps["/e"].Instances != 1 || r.Apps["/a/d"].Instances != 1 {
		t.Error("scaled wrongly")
	}
}

func TestUpdateReplacesWhatItNames(t *testing.T) {
	r := tree(t, map[string][]string{"/g/old": nil, "/g/sub/x": nil, "/g/gone/y": nil, "/other": nil})
	u, err := ParseUpdate([]byte(`{"apps":[{"id":"new","cmd":"x"}],"groups":[{"id":"sub"}],"dependencies":["../other"]}`))
	if err != nil {
		t.Fatal(err)
	}
	n, err := u.Apply(r, "/g")
	if err != nil {
		t.Fatal(err)
	}
	if got := n.IDs("/"); !reflect.DeepEqual(got, []string{"/g/new", "/g/sub/x", "/other"}) {
		t.Errorf("apps %v", got)
	}
	if n.HasGroup("/g/gone") || n.Groups["/g"].Dependencies[0] != "/other" || !r.HasGroup("/g/gone") {
		t.Errorf("groups %v", n.Groups)
	}
}

func FuzzGroup(f *testing.F) {
	f.Add(`{"id":"g","apps":[{"id":"a","cmd":"x"}],"groups":[{"id":"h"}],"scaleBy":2}`)
	f.Add(`{"groups":[{}],"apps":[1],"version":"x"}`)
	f.Fuzz(func(t *testing.T, body string) {
		u, err := ParseUpdate([]byte(body))
		if err != nil {
			return
		}
		n, err := u.Apply(Empty(at(0)), "/g")
		if err != nil {
			return
		}
		if n, err = Commit(Empty(at(0)), n, at(1), ports); err == nil {
			n.Show("/", true, func(a app.App) any { return a })
			NewPlan(Empty(at(0)), n, nil)
		}
	})
}
