package flow

import (
	"context"
	"slices"
	"sync"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/provision/images"
	"github.com/mesoslab/lab/stack"
)

// Images is what a stack is made of and where it is.
type Images struct {
	Lab      string      `json:"lab,omitempty"` // "" where there is none yet
	Provider string      `json:"provider"`
	Stack    string      `json:"stack"`
	Images   []ImageNeed `json:"images"`
}

// ImageNeed is one image and the machines whose containers are made of it.
type ImageNeed struct {
	Name     string    `json:"name"`
	Own      bool      `json:"own"` // one of lab's own programs: no registry has it
	Machines []ImageAt `json:"machines"`
}

// ImageAt says whether a machine has an image.
type ImageAt struct {
	Machine string     `json:"machine"`
	State   ImageState `json:"state"`
}

// ImageState says what is known of an image on a machine.
type ImageState string

// Unknown is a machine that is not there or does not answer.
const (
	ImageThere   ImageState = "there"
	ImageMissing ImageState = "missing"
	ImageUnknown ImageState = "unknown"
)

// ListImages lists the images that a lab's stack needs. Without a lab (nil) it
// is the one that spec describes.
func (f *Flow) ListImages(ctx context.Context, spec lab.Spec, l *state.Lab) (*Images, error) {
	v, err := f.viewImages(ctx, spec, l, false)
	if err != nil {
		return nil, err
	}
	defer closeAll(v.hosts)
	machines, err := imageMachines(ctx, v.platform, v.hosts, v.wanted)
	if err != nil {
		return nil, err
	}
	held, err := images.Look(ctx, machines)
	if err != nil {
		return nil, err
	}
	out := &Images{Provider: v.provider, Stack: v.platform.Spec.Stack}
	if l != nil {
		out.Lab = l.Spec.Name
	}
	for _, n := range v.platform.Nodes {
		for _, ref := range v.wanted[n.Name] {
			at := ImageAt{n.Name, ImageUnknown}
			if i := slices.IndexFunc(held, func(h images.Held) bool { return h.Machine == n.Name && h.Ref == ref }); i >= 0 {
				at.State = ImageMissing
				if held[i].Present {
					at.State = ImageThere
				}
			}
			own := f.Images.Maker.Has(ref) || v.platform.Embedded && ref == stack.MiniImages(true).Nginx
			out.add(ref, own, at)
		}
	}
	return out, nil
}

func (i *Images) add(ref string, own bool, at ImageAt) {
	n := slices.IndexFunc(i.Images, func(n ImageNeed) bool { return n.Name == ref })
	if n < 0 {
		n = len(i.Images)
		i.Images = append(i.Images, ImageNeed{Name: ref, Own: own})
	}
	i.Images[n].Machines = append(i.Images[n].Machines, at)
}

// imageView is a stack, the images that it wants, and the machines of its lab
// that answer.
type imageView struct {
	provider string
	platform stack.Platform
	wanted   map[string][]string
	hosts    map[string]*provision.Host
}

// viewImages looks at a lab's stack, or at that of a spec. With real it is the
// stack as real engines run it: saved images are for those.
func (f *Flow) viewImages(ctx context.Context, spec lab.Spec, l *state.Lab, real bool) (imageView, error) {
	var v imageView
	provider, err := f.imageProvider(ctx, &spec, &v, l)
	if err != nil {
		return v, err
	}
	features := provider.Features()
	features.Real = features.Real || real
	spec = spec.WithDefaults()
	if spec.Subnet == "" && len(spec.IPs) == 0 {
		spec.Subnet = lab.Pool(provider, spec)[0] // any: only names of images are asked for
	}
	nodes, err := spec.Nodes()
	if err != nil {
		return v, err
	}
	id := ""
	if l != nil {
		id = l.ID
	}
	if v.platform, err = stack.New(spec, id, features, nodes); err != nil {
		return v, err
	}
	app, err := definition(spec)
	if err != nil {
		return v, err
	}
	v.wanted = v.platform.WantedImages(app.definitions(v.platform)...)
	if l == nil {
		return v, nil
	}
	plan, err := f.plan(l, nil)
	if err != nil {
		return v, err
	}
	power, err := provider.Status(ctx, plan)
	if err != nil {
		return v, err
	}
	v.hosts = reachHosts(ctx, power)
	return v, nil
}

// imageProvider is the lab's provider, or the one that a spec means. What was
// given is laid over the lab's spec.
func (f *Flow) imageProvider(ctx context.Context, spec *lab.Spec, v *imageView, l *state.Lab) (lab.Provider, error) {
	if l != nil {
		*spec = merge(l.Spec, *spec)
		v.provider = l.Provider
		return f.provider(l.Provider)
	}
	chosen, err := f.choose(ctx, *spec)
	v.provider = chosen.name
	return chosen.provider, err
}

// reachHosts connects to the machines that are on, all at once, and leaves out
// those that do not answer soon.
func reachHosts(ctx context.Context, power []lab.MachineStatus) map[string]*provision.Host {
	hosts := map[string]*provision.Host{}
	var mu sync.Mutex
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	for _, s := range power {
		if !isRunning(s) {
			continue
		}
		all.Go(func() {
			if h, err := provision.Connect(ctx, s.Machine); err == nil {
				mu.Lock()
				defer mu.Unlock()
				hosts[s.Machine.Name] = h
			}
		})
	}
	all.Wait()
	return hosts
}
