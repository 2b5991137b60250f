package images

import (
	"context"
	"errors"
	"slices"

	"github.com/mesoslab/lab"
)

// Load brings all images of an archive to all machines, also where an engine
// has others of the same names: what people load, they want to be used. Events
// and error ids are Deliver's; archive-invalid in addition, for an archive of
// images without names, which no app could ask for.
func Load(ctx context.Context, machines []Machine, a *Archive, o Options) (Result, error) {
	refs := a.Refs()
	if len(refs) == 0 {
		return Result{}, &lab.Error{ID: "archive-invalid", Op: "read images in " + a.Path, Err: wrong{errors.New("none of them has a name")},
			Advice: "save them by name: docker save -o FILE NAME:TAG"}
	}
	d := &delivery{Options: o, machines: machines, dirs: map[string]string{}}
	var p plan
	err := d.step("", "images", func(say func(string)) (string, error) {
		say("looking what machines these are")
		for _, m := range machines {
			l := load{m, a, refs}
			if err := l.check(ctx); err != nil {
				return "", err
			}
			p.loads = append(p.loads, l)
		}
		return "", nil
	})
	if err != nil {
		return Result{}, err
	}
	if err := d.carry(ctx, p); err != nil {
		return Result{}, err
	}
	slices.Sort(d.did)
	return Result{Did: d.did}, nil
}
