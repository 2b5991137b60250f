package flow

import (
	"context"
	"errors"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision/images"
)

// ImagesLoaded says what LoadImages did.
type ImagesLoaded struct {
	Images   []string `json:"images"`
	Machines []string `json:"machines"`
	Left     []string `json:"left,omitempty"` // machines that do not answer, or have no power
}

// LoadImages puts the images of a file onto all machines of a lab that answer,
// for apps of one's own where no registry is. Error ids: images-embedded where
// the engines are lab's own, machine-unreachable if no machine answers, and
// those of images.Load.
func (f *Flow) LoadImages(ctx context.Context, l *state.Lab, a *images.Archive) (*ImagesLoaded, error) {
	v, err := f.viewImages(ctx, lab.Spec{}, l, false)
	if err != nil {
		return nil, err
	}
	defer closeAll(v.hosts)
	if v.platform.Embedded {
		return nil, &lab.Error{ID: "images-embedded", Op: "load images", Err: errors.New("embedded machines run lab's own programs only, and have all of them"),
			Advice: "images of your own need machines with a real Docker: lab create --provider docker, or vagrant"}
	}
	if len(v.hosts) == 0 {
		return nil, &lab.Error{ID: "machine-unreachable", Op: "load images", Err: errors.New("no machine of the lab answers"),
			Advice: "see lab status; lab create repairs what is missing"}
	}
	machines, err := imageMachines(ctx, v.platform, v.hosts, nil)
	if err != nil {
		return nil, err
	}
	if _, err := images.Load(ctx, machines, a, images.Options{Op: "images", Report: f.Report}); err != nil {
		return nil, err
	}
	out := &ImagesLoaded{Images: a.Refs()}
	for _, n := range v.platform.Nodes {
		if v.hosts[n.Name] != nil {
			out.Machines = append(out.Machines, n.Name)
		} else {
			out.Left = append(out.Left, n.Name)
		}
	}
	return out, nil
}
