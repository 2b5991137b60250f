package flow

import (
	"context"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/provision/images"
	"github.com/mesoslab/lab/stack"
)

// deliver brings to every machine the images that its containers and the
// sample app's tasks are made of.
func (f *Flow) deliver(ctx context.Context, p stack.Platform, hosts map[string]*provision.Host, app sampleApp, report lab.Report, did *changes) error {
	machines, err := imageMachines(ctx, p, hosts, p.WantedImages(app.definitions(p)...))
	if err != nil {
		return err
	}
	res, err := images.Deliver(ctx, machines, f.Images, images.Options{Op: "create", Report: report})
	for _, what := range res.Did {
		did.add("%s", what)
	}
	return err
}

// imageMachines shows machines to package images, in the order of the nodes.
func imageMachines(ctx context.Context, p stack.Platform, hosts map[string]*provision.Host, wanted map[string][]string) ([]images.Machine, error) {
	var out []images.Machine
	for _, n := range p.Nodes {
		host := hosts[n.Name]
		if host == nil {
			continue
		}
		docker, err := host.Docker(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, images.Machine{Name: n.Name, Docker: docker, Host: host, Wants: wanted[n.Name]})
	}
	return out, nil
}

// definitions is the app, if there is one, for the platform.
func (a sampleApp) definitions(p stack.Platform) []stack.Definition {
	switch {
	case !a.wanted:
		return nil
	case a.own != nil:
		return []stack.Definition{*a.own}
	}
	return []stack.Definition{p.SampleApp(a.article)}
}
