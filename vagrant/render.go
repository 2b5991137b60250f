package vagrant

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
	"unicode"
	"unicode/utf8"

	"github.com/mesoslab/lab"
)

// providers are Vagrant's names of the VM providers that Render knows; the
// first is the default.
func providers() []string { return []string{"virtualbox", "libvirt", "vmware_desktop", "parallels"} }

// vmProvider is the VM provider of a spec.
func vmProvider(s lab.Spec) string {
	if s.Vagrant.Provider == "" {
		return providers()[0]
	}
	return s.Vagrant.Provider
}

// page is what the template sees. Every string in it is quoted there.
type page struct {
	Provider, Prefix, HostIP  string
	Box, BoxURL, BoxVersion   string
	DefaultBox, Emulate       bool
	Checksum                  *checksum
	BootTimeout, CPUs, Memory int64
	Nodes                     []pageNode
}

type pageNode struct{ Name, IP string }

type checksum struct{ Type, Sum string }

var nodeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`) })

// Render returns the Vagrantfile for a plan: valid Ruby for every plan that
// it accepts, with each string of the spec in single quotes.
func Render(plan lab.Plan) ([]byte, error) {
	p, err := pageOf(plan)
	if err != nil {
		return nil, err
	}
	t, err := template.New("Vagrantfile").Funcs(template.FuncMap{"ruby": quote}).Parse(lab.VagrantfileTemplate)
	if err != nil {
		return nil, fmt.Errorf("read Vagrantfile.tmpl: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("render Vagrantfile: %w", err)
	}
	return b.Bytes(), nil
}

// quote writes s as a Ruby string in single quotes, where only backslash and
// quote have a meaning. Control characters are refused: no box, URL or name
// has one, and a file with them is not readable.
func quote(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", wrong("spec-unquotable", fmt.Errorf("%q has characters that cannot stand in a Vagrantfile", s), "use printable characters")
	}
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + `'`, nil
}

func wrong(id string, err error, advice string) error {
	return &lab.Error{ID: id, Op: "plan machines", Err: fmt.Errorf("%w: %w", lab.ErrUsage, err), Advice: advice}
}

func pageOf(plan lab.Plan) (*page, error) {
	v := plan.Spec.Vagrant
	p := &page{
		Provider: vmProvider(plan.Spec), Prefix: prefix(plan), Emulate: v.Emulate,
		Box: v.Box, BoxURL: v.BoxURL, BoxVersion: v.BoxVersion, BootTimeout: 600,
	}
	if v.Emulate {
		p.BootTimeout = 1800
	}
	if !slices.Contains(providers(), p.Provider) {
		return nil, wrong("provider-unknown", fmt.Errorf("vagrant.provider: unknown provider %q", p.Provider),
			"allowed are "+strings.Join(providers(), ", ")+lab.DidYouMean(p.Provider, providers()))
	}
	if v.Emulate && p.Provider != "libvirt" {
		return nil, wrong("emulate-unsupported", fmt.Errorf("vagrant.emulate: %s cannot emulate a processor", p.Provider), "set vagrant.provider: libvirt, or leave vagrant.emulate out")
	}
	if p.Box == "" {
		p.Box, p.DefaultBox = defaultBox(p.Provider), v.BoxURL == ""
		if !p.DefaultBox {
			// A name that belongs to this URL alone: Vagrant takes a box that
			// it has by name, whatever its URL was.
			p.Box = fmt.Sprintf("lab/box-%.4x", sha256.Sum256([]byte(v.BoxURL+v.BoxChecksum)))
		}
	}
	var err error
	if p.Checksum, err = checksumOf(v); err != nil {
		return nil, err
	}
	if err := p.nodes(plan); err != nil {
		return nil, err
	}
	// Quoting fails for these words alone, named by their place in the spec.
	for key, word := range map[string]string{"vagrant.box": p.Box, "vagrant.box_url": p.BoxURL, "vagrant.box_version": p.BoxVersion, "name": p.Prefix} {
		if _, err := quote(word); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return p, nil
}

// prefix stands before each VM's name at the VM provider, so that two labs,
// and leftovers of a third, are told apart.
func prefix(plan lab.Plan) string {
	return plan.Spec.WithDefaults().Name + "-" + plan.ID + "-"
}

// defaultBox is Debian 12. Bento builds it for VirtualBox, VMware and
// Parallels, for Intel and ARM, and moves to a new home when Vagrant Cloud
// closes (chef/bento#1699); Debian's own debian/bookworm64 is Intel only
// (hashicorp/vagrant#13615), but is the one built for libvirt.
func defaultBox(provider string) string {
	if provider == "libvirt" {
		return "debian/bookworm64"
	}
	return "bento/debian-12"
}

var hexSum = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-fA-F]+$`) })

// checksumOf reads "sha256:<hex>" or "<hex>" of a length that tells its kind.
func checksumOf(v lab.VagrantSpec) (*checksum, error) {
	if v.BoxChecksum == "" {
		if strings.HasPrefix(strings.ToLower(v.BoxURL), "http://") {
			return nil, wrong("box-unverified", fmt.Errorf("vagrant.box_url: %s comes over http without a checksum", v.BoxURL),
				"give vagrant.box_checksum (sha256:…), or an https URL or a file")
		}
		return nil, nil
	}
	lengths := map[string]int{"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
	kind, sum, named := strings.Cut(v.BoxChecksum, ":")
	if !named {
		sum, kind = kind, ""
		for k, n := range lengths {
			if n == len(sum) {
				kind = k
			}
		}
	}
	kind = strings.ToLower(kind)
	if n, known := lengths[kind]; !known || len(sum) != n || !hexSum().MatchString(sum) {
		return nil, wrong("box-checksum-form", fmt.Errorf("vagrant.box_checksum: %q is no checksum", v.BoxChecksum), "write sha256: and 64 hex digits")
	}
	return &checksum{Type: kind, Sum: strings.ToLower(sum)}, nil
}

// nodes fills in the machines and the address that this computer gets beside
// them.
func (p *page) nodes(plan lab.Plan) error {
	if len(plan.Nodes) == 0 {
		return wrong("no-machines", fmt.Errorf("a lab needs machines"), "")
	}
	taken := map[netip.Addr]string{}
	for _, n := range plan.Nodes {
		switch {
		case !nodeName().MatchString(n.Name):
			return wrong("machine-name", fmt.Errorf("%q is no name for a machine", n.Name), "")
		case !n.IP.Is4() || !n.IP.IsPrivate():
			return wrong("subnet-not-private", fmt.Errorf("%s: VMs cannot have the address %s", n.Name, n.IP), "leave subnet out, or take one like "+lab.ArticleSubnet)
		case taken[n.IP] != "":
			return wrong("address-twice", fmt.Errorf("%s and %s both have %s", taken[n.IP], n.Name, n.IP), "")
		}
		taken[n.IP] = n.Name
		p.Nodes = append(p.Nodes, pageNode{n.Name, n.IP.String()})
	}
	p.CPUs, p.Memory = max(1, int64(plan.Nodes[0].CPUs)), plan.Nodes[0].MemoryMiB
	if p.Memory <= 0 {
		p.Memory = lab.Spec{}.WithDefaults().Machine.Memory.MiB()
	}
	net, _ := plan.Nodes[0].IP.Prefix(24)
	for _, n := range plan.Nodes {
		if !net.Contains(n.IP) {
			return wrong("subnets-differ", fmt.Errorf("%s (%s) is not in %s like %s", n.Name, n.IP, net, plan.Nodes[0].Name), "give all machines addresses of one /24")
		}
	}
	return p.host(net, taken)
}

func (p *page) host(net netip.Prefix, taken map[netip.Addr]string) error {
	if p.Provider == "vmware_desktop" {
		// VMware gives this computer .1 of every network of its own.
		if first := net.Addr().Next(); taken[first] != "" {
			return wrong("address-taken", fmt.Errorf("%s: VMware gives %s to this computer", taken[first], first),
				fmt.Sprintf("begin with the next address: ips: [%s, …]", first.Next()))
		}
		return nil
	}
	b := net.Addr().As4()
	for b[3] = 254; b[3] > 0; b[3]-- {
		if a := netip.AddrFrom4(b); taken[a] == "" {
			p.HostIP = a.String()
			return nil
		}
	}
	return wrong("subnet-full", fmt.Errorf("no address in %s is left for this computer", net), "")
}
