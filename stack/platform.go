package stack

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab"
)

// Platform is a spec resolved for the machines that exist.
type Platform struct {
	// Label is the value of the label lab.name: <name>/<id>.
	Label string
	// Spec has its defaults.
	Spec lab.Spec
	// Nodes are the machines, the master first.
	Nodes []lab.Node
	// Images are the stack's.
	Images Images
	// PingTimeout and PingTimeouts are Mesos' failure detection.
	PingTimeout  time.Duration
	PingTimeouts int
	// Embedded says that machines are processes of this computer: they share
	// its network, so ports 80 and 443 are left alone.
	Embedded bool
	// OwnKernel says that machines tell of their own size, and that a power cut
	// takes what they have not flushed. Where they do not, slaves offer what the
	// spec says.
	OwnKernel bool
	// Flags are more flags of components, by the container's name, beyond the
	// spec's: what a scenario asks for while it lasts.
	Flags map[string][]string
}

// Images names the images of a stack.
type Images struct {
	ZooKeeper, Mesos, Marathon, MarathonLB, Nginx string
	// Mini says that these are lab's own programs: they understand LAB_*
	// variables.
	Mini bool
}

// SeedImages are the article's, as its start script names them.
func SeedImages() Images {
	return Images{
		ZooKeeper: "kiwenlau/zookeeper:3.4.8", Mesos: "kiwenlau/mesos:0.26.0",
		Marathon: "kiwenlau/marathon:1.1.1", MarathonLB: "kiwenlau/marathonlb:1.3.0", Nginx: articleImage,
	}
}

// MiniImages are lab's own. Embedded engines know nginx by name; on real ones
// the sample application runs lab/web.
func MiniImages(embedded bool) Images {
	i := Images{
		ZooKeeper: "lab/zookeeper", Mesos: "lab/mesos", Marathon: "lab/marathon", MarathonLB: "lab/marathon-lb",
		Nginx: "lab/web", Mini: true,
	}
	if embedded {
		i.Nginx = articleImage
	}
	return i
}

// New resolves a spec. id is the lab's, features its provider's. A spec.Stack
// of "auto" or "" means features.Stack.
func New(spec lab.Spec, id string, features lab.Features, nodes []lab.Node) (Platform, error) {
	spec = spec.WithDefaults()
	p := Platform{
		Label: spec.Name + "/" + id, Spec: spec, Nodes: nodes, Embedded: !features.Real, OwnKernel: features.OwnKernel,
		PingTimeout: spec.Mesos.SlavePingTimeout, PingTimeouts: spec.Mesos.MaxSlavePingTimeouts,
	}
	if p.PingTimeout == 0 {
		p.PingTimeout = features.PingTimeout
	}
	if p.PingTimeouts == 0 {
		p.PingTimeouts = features.PingTimeouts
	}
	if p.PingTimeout <= 0 || p.PingTimeouts <= 0 {
		return Platform{}, fmt.Errorf("stack: provider %s gives no ping time-outs", features.Name)
	}
	masters := 0
	for _, n := range nodes {
		if n.Role == lab.RoleMaster {
			masters++
		}
	}
	if masters != 1 || nodes[0].Role != lab.RoleMaster {
		return Platform{}, errors.New("stack: the first machine, and only it, must be the master")
	}
	if spec.Stack == "auto" {
		spec.Stack = cmp.Or(features.Stack, "mini")
		p.Spec.Stack = spec.Stack
	}
	switch spec.Stack {
	case "mini":
		p.Images = MiniImages(p.Embedded)
	case "seed":
		p.Images = SeedImages()
		if err := seedPorts(spec.Ports); err != nil {
			return Platform{}, err
		}
		if len(spec.LB.Args) > 0 {
			return Platform{}, &lab.Error{ID: "flags-unsupported", Op: "resolve marathon-lb.args",
				Err:    fmt.Errorf("%w: the article's image passes no flags on to marathon-lb", lab.ErrUsage),
				Advice: "leave them out, or use the mini stack (stack: mini)"}
		}
	default:
		return Platform{}, fmt.Errorf("stack: unknown stack %q", spec.Stack)
	}
	p.Images.override(spec.Images)
	return p, nil
}

// seedPorts refuses what the seed's images have written into their scripts.
func seedPorts(p lab.PortsSpec) error {
	for _, fixed := range []struct {
		key       string
		got, want int
	}{{"ports.zookeeper", p.ZooKeeper, zkPort}, {"ports.marathon", p.Marathon, marathonPort}, {"ports.lb_stats", p.LBStats, lbPort}} {
		if fixed.got != fixed.want {
			return &lab.Error{ID: "port-fixed", Op: "resolve ports",
				Err:    fmt.Errorf("%w: %s is %d, and the seed's images know only %d", lab.ErrUsage, fixed.key, fixed.got, fixed.want),
				Advice: "leave it out, or use the mini stack (stack: mini)"}
		}
	}
	return nil
}

// override replaces what the spec names.
func (i *Images) override(s lab.ImagesSpec) {
	for _, o := range []struct {
		image *string
		name  string
	}{{&i.ZooKeeper, s.ZooKeeper}, {&i.Mesos, s.Mesos}, {&i.Marathon, s.Marathon}, {&i.MarathonLB, s.MarathonLB}, {&i.Nginx, s.Nginx}} {
		if o.name != "" {
			*o.image = o.name
		}
	}
}

// Master returns the master's node.
func (p Platform) Master() lab.Node { return p.Nodes[0] }

// Slaves returns the slaves' nodes.
func (p Platform) Slaves() []lab.Node { return p.Nodes[1:] }

// NodeAt returns the name of the machine with this address, or "".
func (p Platform) NodeAt(ip string) string {
	for _, n := range p.Nodes {
		if n.IP.String() == ip {
			return n.Name
		}
	}
	return ""
}

// LostAfter says when the tasks of a slave that vanished are lost: between N
// and N+1 ping times (measured on real masters: mesos-measured.md).
func (p Platform) LostAfter() (from, to time.Duration) {
	n := time.Duration(p.PingTimeouts)
	return n * p.PingTimeout, (n + 1) * p.PingTimeout
}
