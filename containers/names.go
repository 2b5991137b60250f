package containers

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"

	"github.com/mesoslab/lab"
)

// Labels of everything that is made.
const (
	labelName = "lab.name" // <name>/<id>: whose it is
	labelNode = "lab.node" // node1 …
	labelPart = "lab.part" // see below
	labelHash = "lab.recipe"
)

// Values of labelPart.
const (
	partMachine = "machine"
	partCard    = "net"
	partProbe   = "probe"
	partDisk    = "disk"
)

// site is one node of a plan and its names on the engine.
type site struct {
	plan lab.Plan
	node lab.Node
	dir  string // the lab's folder
}

// owner is the value of labelName.
func owner(plan lab.Plan) string { return plan.Spec.WithDefaults().Name + "/" + plan.ID }

func prefix(plan lab.Plan) string { return plan.Spec.WithDefaults().Name + "-" + plan.ID }

func networkName(plan lab.Plan) string { return prefix(plan) }

func (s site) machineName() string { return prefix(s.plan) + "-" + s.node.Name }
func (s site) cardName() string    { return s.machineName() + "-net" }
func (s site) diskName() string    { return s.machineName() + "-docker" }
func (s site) keyFile() string     { return keyFile(s.dir) }
func (s site) recordFile() string  { return filepath.Join(s.dir, "machines", s.node.Name+".json") }

func keyFile(dir string) string { return filepath.Join(dir, "keys", "id_ed25519") }

func (s site) labels(part string) map[string]string {
	return map[string]string{labelName: owner(s.plan), labelNode: s.node.Name, labelPart: part}
}

var nodeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]*$`)

// sites checks the plan and returns its nodes, or the named ones.
func sites(plan lab.Plan, names []string) ([]site, error) {
	dir, err := filepath.Abs(plan.Dir)
	if err != nil {
		return nil, fmt.Errorf("folder of the lab: %w", err)
	}
	if plan.ID == "" {
		return nil, errors.New("plan machines: the lab has no id")
	}
	nodes, err := lab.FindNodes(plan.Nodes, names)
	if err != nil {
		return nil, err
	}
	var out []site
	for _, n := range nodes {
		if !nodeName.MatchString(n.Name) {
			return nil, fmt.Errorf("plan machines: %q is no name for a machine", n.Name)
		}
		out = append(out, site{plan: plan, node: n, dir: dir})
	}
	return out, nil
}

// gatewayByte is where this computer lives in each lab's network.
const gatewayByte = 254

// subnet is the /24 that all nodes share.
func subnet(plan lab.Plan) (netip.Prefix, error) {
	wrong := func(n lab.Node, why, advice string) error {
		return &lab.Error{ID: "subnet-unfit", Op: "plan machines", Machine: n.Name, Err: fmt.Errorf("%w: %s %s", lab.ErrUsage, n.IP, why), Advice: advice}
	}
	var p netip.Prefix
	for i, n := range plan.Nodes {
		if !n.IP.Is4() || !n.IP.IsPrivate() {
			return p, wrong(n, "is not in a private network", "leave subnet out, or take one like "+lab.ArticleSubnet)
		}
		of := netip.PrefixFrom(n.IP, 24).Masked()
		if i > 0 && of != p {
			return p, wrong(n, "is not in "+p.String(), "machines in containers share one /24: choose ips of one")
		}
		if last := n.IP.As4()[3]; last == gatewayByte || last == 0 || last == 255 {
			return p, wrong(n, "is not for machines", fmt.Sprintf("this computer takes .%d, and .0 and .255 mean everybody", gatewayByte))
		}
		p = of
	}
	return p, nil
}

func gateway(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	b[3] = gatewayByte
	return netip.AddrFrom4(b)
}
