// Package silence lets sockets hear nothing from certain addresses, as if the
// network to them were cut: packets from there are dropped by the kernel
// before TCP sees them, so connections hang, newcomers time out, and what was
// sent meanwhile is sent again when the network is back.
//
// It works by a filter on each socket (SO_ATTACH_FILTER), for which nobody
// need be root. A socket that is accepted inherits the filter of its listener.
// On a cut both sides' sockets get one: each drops what comes from the other.
// Sockets of other processes are reached through copies of their descriptors
// (pidfd_getfd), which the system allows to their ancestors of the same user.
// Deafen does the same to listening sockets alone, towards everybody.
//
// Only plain TCP over IPv4 is touched: a socket of multipath TCP, which is what
// Go listens on unless told otherwise, takes no filter and is an error. Linux
// only: elsewhere everything is errors.ErrUnsupported.
package silence

import "net/netip"

// List is a set of addresses from which nothing shall be heard.
type List []netip.Addr
