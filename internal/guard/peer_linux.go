package guard

import (
	"net"

	"github.com/vishvananda/netlink"
)

// peerUID asks the kernel who owns the other end of a TCP connection within
// this computer. known is false where there is no such socket here.
func peerUID(c net.Conn) (uid int, known bool) {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || !remote.IP.IsLoopback() {
		return 0, false
	}
	// The peer's own socket has our remote address as its local one.
	s, err := netlink.SocketGet(remote, c.LocalAddr())
	if err != nil {
		return 0, false
	}
	return int(s.UID), true
}
