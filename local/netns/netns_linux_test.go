package netns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/mesoslab/lab/internal/disturb"
	"github.com/mesoslab/lab/internal/labtest"
)

var (
	one = netip.MustParseAddr("192.168.59.1")
	two = netip.MustParseAddr("192.168.59.2")
)

// listen opens a port of a machine.
func listen(t *testing.T, n Net, node, address string) {
	t.Helper()
	var l net.Listener
	if err := n.Enter(node, func() (err error) { l, err = net.Listen("tcp4", address); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

// dial says how a machine fares, or with "" this computer.
func dial(n Net, node, address string) error {
	do := func() error {
		c, err := net.DialTimeout("tcp4", address, 300*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return err
	}
	if node == "" {
		return do()
	}
	return n.Enter(node, do)
}

func late(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func TestNamespaces(t *testing.T) {
	labtest.NeedProgram(t, "ip")
	labtest.NeedProgram(t, "iptables")
	if !labtest.Alone(t) {
		return
	}
	n := New("0badcafe", netip.MustParsePrefix("192.168.59.0/24"))
	if n.Exists("node1") || n.HasBridge() {
		t.Error("there is something already")
	}
	// What somebody left who was killed: a name that means nothing.
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, n.Name("node1")), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := n.EnsureBridge(); err != nil {
			t.Fatal(err)
		}
		for node, ip := range map[string]netip.Addr{"node1": one, "node2": two} {
			if err := n.Ensure(node, ip); err != nil {
				t.Fatal(err)
			}
		}
	}
	listen(t, n, "node1", "192.168.59.1:80")
	listen(t, n, "node2", "192.168.59.2:80")
	for _, c := range []struct{ from, to string }{{"", one.String()}, {"", two.String()}, {"node1", two.String()}, {"node2", one.String()}, {"node2", "192.168.59.2"}} {
		if err := dial(n, c.from, c.to+":80"); err != nil {
			t.Errorf("from %q to %s: %v", c.from, c.to, err)
		}
	}
	if err := dial(n, "node1", "192.168.59.2:81"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a closed port: %v", err)
	}

	if err := n.Plug(two, false); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"", "node1"} {
		if err := dial(n, from, "192.168.59.2:80"); !late(err) {
			t.Errorf("unplugged, from %q: %v", from, err)
		}
	}
	if err := n.Plug(two, true); err != nil {
		t.Fatal(err)
	}
	soon(t, func() error { return dial(n, "node1", "192.168.59.2:80") })

	if err := n.Run(t.Context(), "node2", disturb.Script([]disturb.Peer{{IP: one, Cut: true}})); err != nil {
		t.Fatal(err)
	}
	if err := dial(n, "node1", "192.168.59.2:80"); !late(err) {
		t.Errorf("cut off: %v", err)
	}
	if err := dial(n, "", "192.168.59.2:80"); err != nil {
		t.Errorf("not cut off: %v", err)
	}
	if err := n.Run(t.Context(), "node2", disturb.Script(nil)); err != nil {
		t.Fatal(err)
	}
	if err := dial(n, "node1", "192.168.59.2:80"); err != nil {
		t.Errorf("mended: %v", err)
	}
	if err := n.Run(t.Context(), "node2", "echo a word; exit 3"); err == nil || err.Error() != "exit status 3: a word" {
		t.Errorf("a script that fails: %v", err)
	}

	if err := n.RemoveBridge(); err != nil || !n.HasBridge() {
		t.Errorf("a bridge with machines: %v, there: %t", err, n.HasBridge())
	}
	for range 2 {
		for node, ip := range map[string]netip.Addr{"node1": one, "node2": two} {
			if err := n.Remove(node, ip); err != nil {
				t.Error(err)
			}
		}
		if err := n.RemoveBridge(); err != nil {
			t.Error(err)
		}
	}
	links, err := netlink.LinkList()
	if err != nil || len(links) != 1 {
		t.Errorf("interfaces %v, %v", links, err)
	}
	if names, err := os.ReadDir(folder); err != nil || len(names) > 0 {
		t.Errorf("names %v, %v", names, err)
	}
	if err := n.Enter("node1", func() error { return nil }); err == nil {
		t.Error("entered a namespace that is gone")
	}
}

func soon(t *testing.T, do func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		err := do()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestNames(t *testing.T) {
	n := New("0badcafe", netip.MustParsePrefix("192.168.59.7/24"))
	if got := n.Gateway().String(); got != "192.168.59.254" {
		t.Errorf("gateway %s", got)
	}
	// IFNAMSIZ is 16 with the zero at the end (linux/if.h).
	for _, name := range []string{n.bridge(), n.plug(netip.MustParseAddr("192.168.59.253"))} {
		if len(name) > 15 {
			t.Errorf("%s is too long for an interface", name)
		}
	}
}
