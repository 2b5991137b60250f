// Package election lets masters agree on which of them leads, and tells
// agents and masters who that is, the way Mesos does it in ZooKeeper.
//
// Nouns. A Master is one candidate, printed as Mesos' MasterInfo. A Group is
// where masters contend and everyone detects: ZooKeeper (Open), Memory (its
// in-memory twin for tests) or Fixed (one known master, no election).
//
// In ZooKeeper a candidate is an ephemeral sequential node
// <path>/json.info_%010d holding the Master as JSON; the lowest number leads
// (contracts, mesos-measured: ZooKeeper). A session counts as lost when the
// server says so or when no server was reachable for the session time-out;
// then every candidacy made in it is lost, and nobody is known to lead until
// a new session finds out. A master that loses its candidacy while leading
// must end; that is the caller's part.
//
// Groups are safe for concurrent use. They hold one connection and the
// goroutines that serve it, all gone soon after the context given to Open
// ends. The replicated log's nodes (log_replicas), which real masters keep
// beside theirs, are not made: mini masters have no replicated log.
package election

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Master describes a master as Mesos' MasterInfo does. The zero value is no
// master. The fields stand in the order in which Mesos prints them.
type Master struct {
	Address  Address `json:"address"`
	Hostname string  `json:"hostname"`
	// ID is the UUID of this run of the master.
	ID string `json:"id"`
	// IP is the IPv4 address as a number, first byte lowest: 127.0.0.1 is
	// 16777343.
	IP uint32 `json:"ip"`
	// PID is "master@ip:port".
	PID     string `json:"pid"`
	Port    int    `json:"port"`
	Version string `json:"version"`
}

// Address is where a Master listens.
type Address struct {
	Hostname string `json:"hostname"`
	IP       string `json:"ip"`
	Port     int    `json:"port"`
}

// NewMaster fills in a Master that listens on addr.
func NewMaster(id, hostname string, addr netip.AddrPort, version string) Master {
	ip := addr.Addr().Unmap()
	m := Master{
		Address:  Address{Hostname: hostname, IP: ip.String(), Port: int(addr.Port())},
		Hostname: hostname,
		ID:       id,
		PID:      "master@" + addr.String(),
		Port:     int(addr.Port()),
		Version:  version,
	}
	if ip.Is4() {
		b := ip.As4()
		m.IP = binary.LittleEndian.Uint32(b[:])
	}
	return m
}

// Addr is the "ip:port" to dial.
func (m Master) Addr() string {
	return net.JoinHostPort(m.Address.IP, strconv.Itoa(m.Address.Port))
}

// Group is where masters contend for leadership.
type Group interface {
	// Contend enters the election. It blocks, and tries again, until the
	// candidacy stands or ctx ends. lost is closed when the candidacy is
	// gone; ctx's end withdraws it.
	Contend(ctx context.Context, m Master) (lost <-chan struct{}, err error)
	// Detect blocks until the leader is another one than previous, and
	// returns it; the zero Master stands for "nobody known". The only error
	// is ctx's.
	Detect(ctx context.Context, previous Master) (Master, error)
}

// Fixed is a Group with one eternal leader: an agent's --master=ip:port, or a
// master without --zk.
type Fixed Master

var _ Group = Fixed{}

// Contend succeeds at once and is never lost.
func (Fixed) Contend(context.Context, Master) (<-chan struct{}, error) {
	return make(chan struct{}), nil
}

// Detect returns the leader once and then blocks.
func (f Fixed) Detect(ctx context.Context, previous Master) (Master, error) {
	if previous != Master(f) {
		return Master(f), nil
	}
	<-ctx.Done()
	return Master{}, context.Cause(ctx)
}

func parseMaster(data []byte) (Master, error) {
	var m Master
	if err := json.Unmarshal(data, &m); err != nil {
		return Master{}, fmt.Errorf("parse master info: %w", err)
	}
	if _, err := netip.ParseAddr(m.Address.IP); err != nil || m.Address.Port <= 0 || m.Address.Port > 65535 {
		return Master{}, fmt.Errorf("parse master info: no address in %.80q", data)
	}
	return m, nil
}
