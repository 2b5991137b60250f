package flow

import (
	"context"
	"slices"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
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

// checkImages looks at what can be wrong with images before any machine is
// made.
func (f *Flow) checkImages(l *state.Lab, provider lab.Provider, app sampleApp) error {
	p, err := f.resolve(l, provider)
	if err != nil {
		return err
	}
	return f.Images.Check(union(p, p.WantedImages(app.definitions(p)...)))
}

// union lists the images of all machines, once each.
func union(p stack.Platform, wanted map[string][]string) []string {
	var refs []string
	for _, n := range p.Nodes {
		for _, ref := range wanted[n.Name] {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	return refs
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
