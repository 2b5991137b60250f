package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// folder is where ip netns keeps names.
const folder = "/run/netns"

// card is the name of a machine's network interface.
const card = "eth0"

// Supported says why there can be no namespaces here, or nil.
func Supported() error {
	if os.Geteuid() != 0 {
		return errors.New("only root makes network namespaces")
	}
	own, err := netns.Get()
	if err != nil {
		return fmt.Errorf("this system has no network namespaces: %w", err)
	}
	return own.Close()
}

// Net is the network of one lab. The zero value is of no use: see New.
type Net struct {
	id      string
	gateway netip.Prefix
}

// New describes the network of a lab with this id (eight characters) and
// subnet (a /24). It makes nothing.
func New(id string, subnet netip.Prefix) Net {
	b := subnet.Masked().Addr().As4()
	b[3] = 254
	return Net{id: id, gateway: netip.PrefixFrom(netip.AddrFrom4(b), subnet.Bits())}
}

// Gateway is this computer's address in the network.
func (n Net) Gateway() netip.Addr { return n.gateway.Addr() }

func (n Net) bridge() string { return "lab-" + n.id }

// Name is that of a machine's namespace, as ip netns shows it.
func (n Net) Name(node string) string { return "lab-" + n.id + "-" + node }

func (n Net) path(node string) string { return filepath.Join(folder, n.Name(node)) }

// plug is the name of the bridge's end of a machine's cable: interfaces have
// at most 15 characters.
func (n Net) plug(ip netip.Addr) string { return fmt.Sprintf("v%s-%d", n.id, ip.As4()[3]) }

// EnsureBridge makes this computer's part of the network.
func (n Net) EnsureBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = n.bridge()
	err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	if err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("make bridge %s: %w", n.bridge(), err)
	}
	link, err := netlink.LinkByName(n.bridge())
	if err == nil && link.Type() != "bridge" {
		err = fmt.Errorf("%s is no bridge but a %s", n.bridge(), link.Type())
	}
	if err == nil {
		err = ensureAddress(link, n.gateway)
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("bridge %s: %w", n.bridge(), err)
	}
	return nil
}

func ensureAddress(link netlink.Link, at netip.Prefix) error {
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: at.Addr().AsSlice(), Mask: net.CIDRMask(at.Bits(), 32)}}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("give it %s: %w", at, err)
	}
	return nil
}

// Ensure makes a machine's namespace with its card, cable and address, and
// plugs the cable in. The bridge must be there.
func (n Net) Ensure(node string, ip netip.Addr) error {
	if err := n.ensure(node, ip); err != nil {
		return fmt.Errorf("network namespace of %s: %w", node, err)
	}
	return nil
}

func (n Net) ensure(node string, ip netip.Addr) error {
	if err := n.ensureNamespace(node); err != nil {
		return err
	}
	if _, err := netlink.LinkByName(n.plug(ip)); errors.As(err, &netlink.LinkNotFoundError{}) {
		if err := n.lay(node, ip); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := n.Enter(node, func() error { return n.configure(ip) }); err != nil {
		return err
	}
	return n.Plug(ip, true)
}

// ensureNamespace makes the namespace itself, and gives it a name that lives
// on.
func (n Net) ensureNamespace(node string) error {
	if n.Exists(node) {
		return nil
	}
	// What is left of a name that means no namespace any more.
	_ = syscall.Unmount(n.path(node), syscall.MNT_DETACH)
	if err := os.Remove(n.path(node)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return onThread(func() error {
		made, err := netns.NewNamed(n.Name(node))
		if err != nil {
			return err
		}
		return made.Close()
	})
}

// lay connects a namespace with the bridge. The cable is made with one end on
// either side, so that there is no moment in which half of it is there.
func (n Net) lay(node string, ip netip.Addr) error {
	bridge, err := netlink.LinkByName(n.bridge())
	if err != nil {
		return fmt.Errorf("bridge %s: %w", n.bridge(), err)
	}
	inside, err := netns.GetFromPath(n.path(node))
	if err != nil {
		return err
	}
	defer inside.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = n.plug(ip), bridge.Attrs().Index
	cable := &netlink.Veth{LinkAttrs: attrs, PeerName: card, PeerHardwareAddr: hardware(ip), PeerNamespace: netlink.NsFd(inside)}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("lay cable %s: %w", n.plug(ip), err)
	}
	return nil
}

// hardware is the card's address, which follows from the machine's: peers know
// a machine again that was made anew.
func hardware(ip netip.Addr) net.HardwareAddr {
	b := ip.As4()
	return net.HardwareAddr{0x02, 0x42, b[0], b[1], b[2], b[3]}
}

// configure runs in the namespace.
func (n Net) configure(ip netip.Addr) error {
	h, err := netlink.NewHandle() // of this thread's namespace
	if err != nil {
		return err
	}
	defer h.Close()
	for _, name := range []string{"lo", card} {
		link, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		if name == card {
			addr := &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(n.gateway.Bits(), 32)}}
			if err := h.AddrReplace(link, addr); err != nil {
				return fmt.Errorf("give %s to %s: %w", ip, name, err)
			}
		}
		if err := h.LinkSetUp(link); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
	}
	return nil
}

// Plug plugs a machine's cable in or out. What the machine has open stays
// open; packets find no way.
func (n Net) Plug(ip netip.Addr, in bool) error {
	link, err := netlink.LinkByName(n.plug(ip))
	if err == nil && in {
		err = netlink.LinkSetUp(link)
	} else if err == nil {
		err = netlink.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("cable %s: %w", n.plug(ip), err)
	}
	return nil
}

// Exists reports whether a machine has its namespace: a name alone is a plain
// file.
func (n Net) Exists(node string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(n.path(node), &fs) == nil && fs.Type == unix.NSFS_MAGIC
}

// HasBridge reports whether this computer's part of the network is there.
func (n Net) HasBridge() bool {
	_, err := netlink.LinkByName(n.bridge())
	return err == nil
}

// Enter runs something in a machine's namespace: sockets that it opens are
// there, and so are processes that it starts. It must not start goroutines that
// do either.
func (n Net) Enter(node string, do func() error) error {
	return onThread(func() error {
		inside, err := netns.GetFromPath(n.path(node))
		if err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.Name(node), err)
		}
		defer inside.Close()
		if err := netns.Set(inside); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.Name(node), err)
		}
		return do()
	})
}

// onThread runs something on a thread whose namespace it may change: the
// thread is back in its own one afterwards, or ends.
func onThread(do func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		own, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
		defer own.Close()
		err = do()
		if netns.Set(own) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// Run runs a shell script in a machine's namespace, and returns what it said
// where it failed.
func (n Net) Run(ctx context.Context, node, script string) error {
	return n.Enter(node, func() error {
		out, err := exec.CommandContext(ctx, "/bin/sh", "-c", script).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// Remove removes a machine's namespace, and its cable with it. Processes in it
// keep it alive, without a name, until they end.
func (n Net) Remove(node string, ip netip.Addr) error {
	if link, err := netlink.LinkByName(n.plug(ip)); err == nil {
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("remove cable %s: %w", n.plug(ip), err)
		}
	}
	err := syscall.Unmount(n.path(node), syscall.MNT_DETACH)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT) {
		err = nil // it is none, or gone
	}
	if gone := os.Remove(n.path(node)); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err != nil {
		return fmt.Errorf("remove network namespace %s: %w", n.Name(node), err)
	}
	return nil
}

// RemoveBridge removes this computer's part, if no machine is on it any more.
func (n Net) RemoveBridge() error {
	bridge, err := netlink.LinkByName(n.bridge())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	} else if err != nil {
		return fmt.Errorf("bridge %s: %w", n.bridge(), err)
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		if l.Attrs().MasterIndex == bridge.Attrs().Index {
			return nil
		}
	}
	if err := netlink.LinkDel(bridge); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("remove bridge %s: %w", n.bridge(), err)
	}
	return nil
}
