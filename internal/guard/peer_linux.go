package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// peerUID asks the kernel who owns the other end of a TCP connection within
// this computer. known is false where the kernel cannot tell, and for peers
// that are not on loopback. A peer that has gone, or that nobody owns any more,
// is somebody else: what it has sent must not count as ours.
func peerUID(c net.Conn) (uid int, known bool) {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	local, isTCP := c.LocalAddr().(*net.TCPAddr)
	if !ok || !isTCP || !remote.IP.IsLoopback() {
		return 0, false
	}
	// The peer's own socket has our remote address as its local one.
	peer, err := findSocket(remote, local)
	if err == nil && peer.inode != 0 {
		return int(peer.uid), true
	}
	// Not found, or closed by its process: then the kernel may show root as the
	// owner. Whether it can tell at all, our own end shows.
	if _, err := findSocket(local, remote); err != nil {
		return 0, false
	}
	return nobodyKnown, true
}

// diagSocket is who has a socket.
type diagSocket struct{ uid, inode uint32 }

// findSocket looks up exactly one socket by both of its addresses
// (sock_diag(7), without NLM_F_DUMP). A dump would not do: there the kernel
// compares ports only, and loopback has millions of addresses.
func findSocket(local, remote *net.TCPAddr) (diagSocket, error) {
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, 0)
	req.AddData(diagRequest{local, remote})
	answers, err := req.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
	if err != nil {
		return diagSocket{}, fmt.Errorf("look for the socket %s → %s: %w", local, remote, err)
	}
	if len(answers) != 1 {
		return diagSocket{}, fmt.Errorf("look for the socket %s → %s: %d answers", local, remote, len(answers))
	}
	return parseDiag(answers[0], diagRequest{local, remote})
}

// diagRequest is struct inet_diag_req_v2 of linux/inet_diag.h.
type diagRequest struct{ local, remote *net.TCPAddr }

// Sizes and places in struct inet_diag_req_v2 and struct inet_diag_msg.
const (
	diagRequestLen = 56
	diagAnswerLen  = 72
	diagID         = 8 // of the request; of the answer it is 4
	diagIDLen      = 36
	diagUID        = 64
	diagInode      = 68
)

func (r diagRequest) Len() int { return diagRequestLen }

// family is IPv4 also for IPv6 sockets that speak it.
func (r diagRequest) family() byte {
	if r.local.IP.To4() != nil && r.remote.IP.To4() != nil {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// id is the addresses as the first 36 bytes of struct inet_diag_sockid have
// them: both ports and both addresses, in network order.
func (r diagRequest) id() []byte {
	b := make([]byte, diagIDLen)
	binary.BigEndian.PutUint16(b, uint16(r.local.Port))
	binary.BigEndian.PutUint16(b[2:], uint16(r.remote.Port))
	src, dst := r.local.IP.To16(), r.remote.IP.To16()
	if r.family() == unix.AF_INET {
		src, dst = r.local.IP.To4(), r.remote.IP.To4()
	}
	copy(b[4:], src)
	copy(b[20:], dst)
	return b
}

func (r diagRequest) Serialize() []byte {
	b := make([]byte, diagRequestLen)
	b[0], b[1] = r.family(), unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], 0xffffffff) // any state
	copy(b[diagID:], r.id())
	binary.NativeEndian.PutUint64(b[diagRequestLen-8:], ^uint64(0)) // INET_DIAG_NOCOOKIE
	return b
}

// errOtherSocket: the kernel gives a listener where it finds no connection.
var errOtherSocket = errors.New("the answer is about another socket")

func parseDiag(b []byte, asked diagRequest) (diagSocket, error) {
	if len(b) < diagAnswerLen {
		return diagSocket{}, fmt.Errorf("an answer of %d bytes, want %d", len(b), diagAnswerLen)
	}
	if !sameID(b[4:4+diagIDLen], asked) {
		return diagSocket{}, errOtherSocket
	}
	return diagSocket{uid: binary.NativeEndian.Uint32(b[diagUID:]), inode: binary.NativeEndian.Uint32(b[diagInode:])}, nil
}

// sameID compares ports and addresses: an IPv6 socket that speaks IPv4 is shown
// by its mapped addresses.
func sameID(b []byte, asked diagRequest) bool {
	at := func(i int, want net.IP) bool {
		four := net.IP(b[i : i+4])
		return net.IP(b[i:i+16]).Equal(want) || four.Equal(want)
	}
	return int(binary.BigEndian.Uint16(b)) == asked.local.Port && int(binary.BigEndian.Uint16(b[2:])) == asked.remote.Port &&
		at(4, asked.local.IP) && at(20, asked.remote.IP)
}
