package flow

import (
	"context"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision/images"
)

// SaveImages writes the images of a stack into a file for docker load and
// lab create --images: those of lab's own programs are made here, any others
// come from machines of the lab that have them. arch is the architecture of
// lab's own ("" = the machines', else this computer's).
func (f *Flow) SaveImages(ctx context.Context, spec lab.Spec, l *state.Lab, file, arch string) (*images.Saved, error) {
	v, err := f.viewImages(ctx, spec, l, true)
	if err != nil {
		return nil, err
	}
	defer closeAll(v.hosts)
	refs := union(v.platform, v.wanted)
	wanted := map[string][]string{} // any machine may have any of them
	for _, n := range v.platform.Nodes {
		wanted[n.Name] = refs
	}
	machines, err := imageMachines(ctx, v.platform, v.hosts, wanted)
	if err != nil {
		return nil, err
	}
	return images.Save(ctx, file, arch, refs, machines, f.Images, images.Options{Op: "images", Report: f.Report})
}
