package vagrant

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// uri is the libvirt that vagrant-libvirt uses.
func (s *sight) uri() string { return cmp.Or(s.Env("LIBVIRT_DEFAULT_URI"), "qemu:///system") }

// localLibvirt reports whether it is on this computer.
func (s *sight) localLibvirt() bool { return strings.Contains(s.uri(), ":///") }

func (s *sight) virsh(ctx context.Context, args ...string) (string, error) {
	out, err := s.Run(ctx, "virsh", append([]string{"-q", "-c", s.uri()}, args...)...)
	return out.Out, err
}

// reachLibvirt asks libvirt anything.
func (s *sight) reachLibvirt(ctx context.Context) error {
	_, err := s.libvirtUp.get(func() (struct{}, error) {
		_, err := s.virsh(ctx, "uri")
		return struct{}{}, err
	})
	return err
}

func (q *inquiry) libvirtAnswers(ctx context.Context) []lab.Finding {
	const id = "libvirt"
	err := q.reachLibvirt(ctx)
	switch {
	case ctx.Err() != nil:
		return computer.Unseen(id, context.Cause(ctx)) // slow is not broken
	case err == nil:
		return []lab.Finding{computer.OK(id, "libvirt answers at %s", q.uri())}
	case computer.IsMissing(err):
		return []lab.Finding{computer.Stop("libvirt-missing", "install libvirt and its virsh (Debian: libvirt-daemon-system libvirt-clients qemu-system-x86), "+noVMs, "libvirt is not installed (no virsh)")}
	case denied(err):
		return []lab.Finding{computer.Stop("libvirt-permission", "sudo usermod -aG libvirt $USER, then log in anew", "this user may not use libvirt at %s", q.uri())}
	}
	return []lab.Finding{computer.Stop("libvirt-unreachable", "sudo systemctl start libvirtd, and see what virsh -c "+q.uri()+" list says", "libvirt does not answer: %s", reason(err))}
}

func denied(err error) bool {
	text := strings.ToLower(err.Error())
	for _, word := range []string{"permission denied", "authentication unavailable", "authentication failed", "polkit"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// reason is the last that virsh said, which is the cause.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "error: "); i >= 0 {
		text = text[i+len("error: "):]
	}
	return computer.Brief(text)
}

// kvm looks whether libvirt's QEMU can use the processor's virtualization.
func (q *inquiry) kvm(context.Context) []lab.Finding {
	const id = "kvm"
	if q.OS != "linux" || !q.localLibvirt() {
		return nil
	}
	if q.plan.Spec.Vagrant.Emulate {
		return []lab.Finding{computer.Note("emulation", "", "machines are emulated in software, ten times slower, as the spec asks")}
	}
	if err := q.opts.checkKVM(q.plan.Spec); err != nil {
		return []lab.Finding{computer.Failure("kvm-missing", err)}
	}
	if strings.HasSuffix(q.uri(), "/session") && q.Access(q.opts.kvm) != nil {
		return []lab.Finding{computer.Stop("kvm-permission", "sudo usermod -aG kvm $USER, then log in anew", "this user may not use %s", q.opts.kvm)}
	}
	return []lab.Finding{computer.OK(id, "KVM is there")}
}

// pool looks at libvirt's storage pool: vagrant-libvirt puts boxes and disks
// into the one named default, makes it where there is none, and fails where it
// is not started.
func (q *inquiry) pool(ctx context.Context) []lab.Finding {
	const id = "libvirt-pool"
	if q.reachLibvirt(ctx) != nil {
		return nil
	}
	list, err := q.virsh(ctx, "pool-list", "--all")
	if err != nil {
		return computer.Unseen(id, err)
	}
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "default" {
			continue
		}
		if f[1] == "active" {
			return []lab.Finding{computer.OK(id, "the storage pool default is active")}
		}
		found := computer.Stop(id, "virsh -c "+q.uri()+" pool-start default", "libvirt's storage pool default is %s", f[1])
		found.RepairText = "start it: " + found.Advice
		found.Repair = func(ctx context.Context) error {
			_, err := q.virsh(ctx, "pool-start", "default")
			return err
		}
		return []lab.Finding{found}
	}
	return []lab.Finding{computer.Note(id, "", "libvirt has no storage pool default yet: vagrant-libvirt makes one in /var/lib/libvirt/images")}
}

// libvirtNets lists libvirt's networks, also those that are not started.
func (s *sight) libvirtNets(ctx context.Context) ([]hostNet, error) {
	return s.libvirt.get(func() ([]hostNet, error) {
		names, err := s.virsh(ctx, "net-list", "--all", "--name")
		if err != nil {
			return nil, err
		}
		var nets []hostNet
		for name := range strings.FieldsSeq(names) {
			text, err := s.virsh(ctx, "net-dumpxml", name)
			if err != nil {
				return nil, err
			}
			n, err := parseLibvirtNet([]byte(text))
			if errors.Is(err, errNoAddress) {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("network %s: %w", name, err)
			}
			nets = append(nets, n)
		}
		return nets, nil
	})
}

var errNoAddress = errors.New("no IPv4 address")

// parseLibvirtNet reads what virsh net-dumpxml prints.
func parseLibvirtNet(text []byte) (hostNet, error) {
	var doc struct {
		Name   string `xml:"name"`
		Bridge struct {
			Name string `xml:"name,attr"`
		} `xml:"bridge"`
		IPs []struct {
			Family  string `xml:"family,attr"`
			Address string `xml:"address,attr"`
			Netmask string `xml:"netmask,attr"`
			Prefix  int    `xml:"prefix,attr"`
		} `xml:"ip"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return hostNet{}, err
	}
	for _, ip := range doc.IPs {
		if ip.Family == "ipv6" {
			continue
		}
		p, err := prefixOf(ip.Address, ip.Netmask)
		if ip.Netmask == "" {
			p, err = prefixOf(ip.Address, fmt.Sprint(ip.Prefix))
		}
		if err != nil {
			return hostNet{}, err
		}
		return hostNet{name: doc.Name, device: doc.Bridge.Name, at: p, remove: "virsh net-destroy " + doc.Name + "; virsh net-undefine " + doc.Name}, nil
	}
	return hostNet{}, errNoAddress
}
