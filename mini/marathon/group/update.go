package group

import (
	"fmt"
	"math"
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Update is a group as a client sent it: nil means "not mentioned". ScaleBy
// or Version alone are the two special modes of PUT.
type Update struct {
	ID           *string
	Apps         *[]app.Update
	Groups       *[]Update
	Dependencies *[]string
	ScaleBy      *float64
	Version      *app.Time
}

// ParseUpdate reads a group. The error is an *app.SyntaxError or an
// *app.TypeError.
func ParseUpdate(body []byte) (Update, error) {
	var u Update
	err := app.Read(body, func(v app.Value) { u = readUpdate(v) })
	return u, err
}

func readUpdate(v app.Value) Update {
	var u Update
	if !v.Object() {
		return u
	}
	if f, ok := v.Field("id"); ok {
		id := f.Text()
		u.ID = &id
	}
	if f, ok := v.Field("apps"); ok {
		list := []app.Update{}
		for _, e := range f.List() {
			list = append(list, app.ReadNew(e))
		}
		u.Apps = &list
	}
	if f, ok := v.Field("groups"); ok {
		list := []Update{}
		for _, e := range f.List() {
			g := readUpdate(e)
			if _, named := e.Field("id"); !named {
				f.Fail("error.path.missing: id")
			}
			list = append(list, g)
		}
		u.Groups = &list
	}
	if f, ok := v.Field("dependencies"); ok {
		l := f.Texts()
		u.Dependencies = &l
	}
	if f, ok := v.Field("scaleBy"); ok {
		n := f.Number()
		u.ScaleBy = &n
	}
	if f, ok := v.Field("version"); ok {
		t := f.Time()
		u.Version = &t
	}
	return u
}

// Apply puts the update into effect at group id: lists that are mentioned
// replace those that were there, others stay. The result is a candidate for
// Commit. The error is an *app.InvalidError.
func (u Update) Apply(r Root, id string) (Root, error) {
	r = r.clone()
	var ps []app.Problem
	u.apply(r, id, "", &ps)
	if len(ps) > 0 {
		return Root{}, &app.InvalidError{Problems: ps}
	}
	return r, nil
}

func (u Update) apply(r Root, id, path string, ps *[]app.Problem) {
	if id != "/" && !app.ValidID(id) {
		*ps = append(*ps, app.Problem{Path: path + "/id", Errors: []string{"is no valid id: " + id}})
		return
	}
	r.imply(id)
	if u.Dependencies != nil {
		deps := []string{}
		for _, d := range *u.Dependencies {
			deps = append(deps, app.Absolute(d, app.Parent(id)))
		}
		if id != "/" {
			r.Groups[id] = Info{deps, r.Groups[id].Version}
		}
	}
	if u.Apps != nil {
		u.applyApps(r, id, path, ps)
	}
	if u.Groups == nil {
		return
	}
	var named []string
	for i, g := range *u.Groups {
		at := fmt.Sprintf("%s/groups(%d)", path, i)
		child := app.Absolute(*g.ID, id)
		if app.Parent(child) != id {
			*ps = append(*ps, notChild(at, child, id))
			continue
		}
		named = append(named, child)
		g.apply(r, child, at, ps)
	}
	for g := range r.Groups {
		if app.Parent(g) == id && !slices.Contains(named, g) {
			for k := range r.Apps {
				if app.Within(k, g) {
					delete(r.Apps, k)
				}
			}
			for k := range r.Groups {
				if app.Within(k, g) {
					delete(r.Groups, k)
				}
			}
		}
	}
}

func notChild(path, child, parent string) app.Problem {
	return app.Problem{Path: path + "/id", Errors: []string{
		fmt.Sprintf("identifier %s is not child of %s. Hint: use relative paths.", child, parent)}}
}

func (u Update) applyApps(r Root, id, path string, ps *[]app.Problem) {
	var named []string
	for i, au := range *u.Apps {
		at := fmt.Sprintf("%s/apps(%d)", path, i)
		child := app.Absolute(*au.ID, id)
		if app.Parent(child) != id {
			*ps = append(*ps, notChild(at, child, id))
			continue
		}
		named = append(named, child)
		a := au.Apply(app.Default(child)).Normalize()
		if bad, ok := a.Validate().(*app.InvalidError); ok {
			for _, p := range bad.Problems {
				*ps = append(*ps, app.Problem{Path: at + p.Path, Errors: p.Errors})
			}
			continue
		}
		r.Apps[child] = a
	}
	for k := range r.Apps {
		if app.Parent(k) == id && !slices.Contains(named, k) {
			delete(r.Apps, k)
		}
	}
}

// Scale multiplies the instances of every app in a group, rounding up.
func (r Root) Scale(id string, by float64) Root {
	r = r.clone()
	for _, k := range r.IDs(id) {
		a := r.Apps[k].Clone()
		a.Instances = int(math.Ceil(float64(a.Instances) * by))
		r.Apps[k] = a
	}
	return r
}

// Rollback puts a group back to what it was in an older Root.
func (r Root) Rollback(old Root, id string) Root {
	r = r.WithoutGroup(id)
	for k, a := range old.Apps {
		if app.Within(k, id) {
			r.Apps[k] = a
		}
	}
	for k, g := range old.Groups {
		if app.Within(k, id) {
			r.Groups[k] = g
		}
	}
	return r
}
