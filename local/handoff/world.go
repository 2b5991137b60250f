package handoff

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// Names of the variables that a machine sets for its processes.
const (
	EnvFD    = "LAB_HANDOFF_FD"
	EnvIP    = "LAB_IP"
	EnvHosts = "LAB_HOSTS"
)

// World is the network as a program of a machine sees it; its functions have
// the signatures of mini.Env's.
type World struct {
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// Programs is the machine's; nil outside of machines.
	Programs Programs
	// Close gives back the connection to the machine. Never nil.
	Close func() error
}

// FromEnviron makes the World that the variables describe. Without LAB_IP it
// is the process's own network.
func FromEnviron(getenv func(string) string) (World, error) {
	ip := getenv(EnvIP)
	if ip == "" {
		var l net.ListenConfig
		var d net.Dialer
		return World{Listen: l.Listen, Dial: d.DialContext, Close: func() error { return nil }}, nil
	}
	fd, err := strconv.ParseUint(getenv(EnvFD), 10, 31)
	if err != nil {
		return World{}, fmt.Errorf("%s=%q: must be a descriptor's number", EnvFD, getenv(EnvFD))
	}
	c, err := NewClient(uintptr(fd))
	if err != nil {
		return World{}, err
	}
	return World{Listen: c.Listen, Dial: Dialer(ip, ParseHosts(getenv(EnvHosts))), Programs: c, Close: c.Close}, nil
}
