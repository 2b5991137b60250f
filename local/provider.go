//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/machine"
)

// Provider makes embedded machines. Safe for concurrent use on different
// labs; the caller locks a lab that it changes.
type Provider struct{ opts Options }

var _ lab.Provider = (*Provider)(nil)

// New returns a Provider.
func New(opts Options) *Provider { return &Provider{opts: opts} }

// Features implements lab.Provider.
func (p *Provider) Features() lab.Features {
	f := lab.Features{
		Name: "local", PingTimeout: 2 * time.Second, PingTimeouts: 3,
		PowerModes: []lab.Power{lab.PowerOn, lab.PowerOff, lab.PowerCut, lab.PowerCrash, lab.PowerPause},
	}
	for third := 59; third <= 254; third++ {
		f.Subnets = append(f.Subnets, "127.168."+strconv.Itoa(third)+".0/24")
	}
	return f
}

// site is one node of a plan and its place on disk.
type site struct {
	plan   lab.Plan
	node   lab.Node
	dir    string // the lab's folder, without links
	folder folder.Folder
}

// sites checks the plan and finds the places of its nodes, or of the named
// ones.
func (p *Provider) sites(plan lab.Plan, names []string) ([]site, error) {
	dir, err := filepath.Abs(plan.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("folder of the lab: %w", err)
	}
	nodes, err := lab.FindNodes(plan.Nodes, names)
	if err != nil {
		return nil, err
	}
	var out []site
	for _, n := range nodes {
		if n.Name == "" || n.Name != filepath.Base(n.Name) || n.Name[0] == '.' {
			return nil, fmt.Errorf("plan machines: %q is no name for a machine", n.Name)
		}
		out = append(out, site{plan: plan, node: n, dir: dir, folder: folder.Folder(filepath.Join(dir, "machines", n.Name))})
	}
	return out, nil
}

// admit looks, before anything is made, whether the machines that are not
// there yet can be: one port that is taken must not leave half a lab.
func (p *Provider) admit(ctx context.Context, sites []site) error {
	if err := possible(sites[0].plan.Spec); err != nil {
		return err
	}
	if n, ok := sites[0].network(); ok && !n.HasBridge() {
		if err := p.unclaimed(netip.PrefixFrom(sites[0].node.IP, subnetBits).Masked()); err != nil {
			return err
		}
	}
	return each(sites, func(_ int, s site) error {
		if err := s.fits(); err != nil {
			return err
		}
		v, err := s.look(ctx)
		if err != nil || v.state != lab.StateMissing {
			return err
		}
		return s.checkPorts(ctx)
	})
}

// fits refuses addresses that embedded machines cannot have.
func (s site) fits() error {
	if apart(s.plan.Spec) {
		return s.apartFits()
	}
	if loopback(s.node.IP) {
		return nil
	}
	return &lab.Error{
		ID: "subnet-not-loopback", Op: "plan machines", Machine: s.node.Name,
		Err:    fmt.Errorf("%w: %s is not in 127.0.0.0/8", lab.ErrUsage, s.node.IP),
		Advice: "embedded machines live on loopback addresses: leave subnet out, or take one like 127.168.59.0/24; root on Linux can give them others (local.network: netns)",
	}
}

func loopback(a netip.Addr) bool {
	return a.Is4() && a.IsLoopback() && a != netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// each calls fn for all sites at once and joins the errors.
func each(sites []site, fn func(i int, s site) error) error {
	errs := make([]error, len(sites))
	var wg sync.WaitGroup
	for i, s := range sites {
		wg.Go(func() { errs[i] = fn(i, s) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// sshPort is the machine's port: what it was made with, else what the plan
// says.
func (s site) sshPort() int {
	if made, err := s.folder.Settings(); err == nil {
		return made.SSHPort
	}
	return s.plan.Spec.WithDefaults().Ports.SSH
}

func (s site) keyFile() string { return filepath.Join(s.dir, "keys", "id_ed25519") }

// machine describes the machine once its keys exist.
func (s site) machine() (lab.Machine, error) {
	_, hostKey, err := machine.HostKey(s.folder)
	if err != nil {
		return lab.Machine{}, fmt.Errorf("%s: %w", s.node.Name, err)
	}
	return lab.Machine{Node: s.node, SSH: lab.SSHEndpoint{
		Addr: net.JoinHostPort(s.node.IP.String(), strconv.Itoa(s.sshPort())), User: "vagrant", KeyFile: s.keyFile(), HostKey: hostKey,
	}}, nil
}

// Up implements lab.Provider.
func (p *Provider) Up(ctx context.Context, plan lab.Plan) ([]lab.Machine, error) {
	sites, err := p.sites(plan, nil)
	if err != nil {
		return nil, err
	}
	if len(sites) == 0 {
		return nil, nil
	}
	if err := p.admit(ctx, sites); err != nil {
		return nil, err
	}
	if err := makeKey(sites[0].keyFile()); err != nil {
		return nil, err
	}
	machines := make([]lab.Machine, len(sites))
	binary := p.binaryFor(ctx, sites[0].dir)
	err = each(sites, func(i int, s site) error {
		return plan.Report.Step("create", s.node.Name, "boot", func(wait func(string)) (err error) {
			if err = p.powerOn(ctx, s, binary, wait); err == nil {
				machines[i], err = s.machine()
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return machines, nil
}

// Status implements lab.Provider.
func (p *Provider) Status(ctx context.Context, plan lab.Plan) ([]lab.MachineStatus, error) {
	sites, err := p.sites(plan, nil)
	if err != nil {
		return nil, err
	}
	var out []lab.MachineStatus
	for _, s := range sites {
		v, err := s.look(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.node.Name, err)
		}
		st := lab.MachineStatus{Machine: lab.Machine{Node: s.node}, State: v.state, Since: v.life.Since}
		if v.state != lab.StateMissing {
			if v.alive {
				st.PID = v.life.Process.PID
			}
			if _, err := os.Stat(s.folder.Path(folder.HostKeyFile)); err == nil {
				if st.Machine, err = s.machine(); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, st)
	}
	return out, nil
}
