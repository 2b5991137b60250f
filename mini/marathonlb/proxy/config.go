package proxy

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Mode is what a frontend and its backend understand of the traffic.
type Mode string

// The modes of HAProxy that can be served.
const (
	HTTP Mode = "http"
	TCP  Mode = "tcp"
)

// ParseMode knows the two modes.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case HTTP, TCP:
		return m, nil
	}
	return "", fmt.Errorf("mode %q is not http or tcp", s)
}

// Balance is the word behind "balance" in a backend.
type Balance string

// The balancing algorithms that do as they say; ParseBalance accepts more.
const (
	RoundRobin Balance = "roundrobin"
	LeastConn  Balance = "leastconn"
	Source     Balance = "source"
	First      Balance = "first"
)

// ParseBalance accepts what HAProxy 1.6 accepts. Static-rr, uri, url_param,
// hdr(…) and rdp-cookie are legal and are served round robin.
func ParseBalance(s string) (Balance, error) {
	strange := func(r rune) bool {
		return r != ' ' && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.()", r)
	}
	if strings.ContainsFunc(s, strange) {
		return "", fmt.Errorf("balance %q is not an algorithm of HAProxy", s)
	}
	word, _, _ := strings.Cut(s, " ")
	name, _, _ := strings.Cut(word, "(")
	switch name {
	case "roundrobin", "leastconn", "source", "first", "static-rr", "uri":
		if s == name {
			return Balance(s), nil
		}
	case "url_param":
		if word == name && len(s) > len(name)+1 {
			return Balance(s), nil
		}
	case "hdr", "rdp-cookie":
		if strings.HasSuffix(s, ")") && len(s) > len(name)+2 || s == "rdp-cookie" {
			return Balance(s), nil
		}
	}
	return "", fmt.Errorf("balance %q is not an algorithm of HAProxy", s)
}

// hashes says whether the algorithm ties a client or a request to a server;
// for the others one server is as good as another.
func (b Balance) hashes() bool {
	switch b {
	case RoundRobin, LeastConn, First, "static-rr":
		return false
	}
	return true
}

// Config is everything a Proxy serves. It is read-only once given to Apply.
type Config struct {
	Frontends []Frontend
	Backends  []Backend
}

// Frontend is one open port.
type Frontend struct {
	Name string
	Bind string // host:port; an empty host or * is every address
	Mode Mode
	// Rules are tried in order (HTTP only), Backend is where the rest goes;
	// empty means nowhere, 503.
	Rules   []Rule
	Backend string
}

// Rule sends the requests for which all its non-empty conditions hold to a
// backend.
type Rule struct {
	Hosts   []string // Host header, without regard to case
	Path    string   // prefix of the path
	AppID   string   // header X-Marathon-App-Id, without regard to case
	Backend string
}

// Backend is a list of servers that do the same.
type Backend struct {
	Name    string
	Mode    Mode
	Balance Balance
	// Cookie is the name of the cookie that keeps a client with its server;
	// empty means none.
	Cookie  string
	Check   *Check // nil: servers are never probed
	Servers []Server
}

// Server is one address that answers.
type Server struct {
	Name   string
	Addr   string // host:port
	Cookie string // the value that means this server
	// Disabled servers finish what they have and get nothing new (MAINT).
	Disabled bool
}

// Check says how servers are probed.
type Check struct {
	// Path is asked with GET; empty means that a connection suffices.
	Path     string
	Interval time.Duration
	// Timeout is for the answer after the connection stands; without it the
	// interval limits the connection alone.
	Timeout    time.Duration
	Fall, Rise int // failures to go down, successes to come back; Rise 0 means 2
}

// Limits are the times and counts of HAProxy's "defaults" section.
type Limits struct {
	Retries       int           // connection attempts after the first
	Connect       time.Duration // one attempt
	Client        time.Duration // silence of a client during a request
	Server        time.Duration // silence of a server during an answer
	Tunnel        time.Duration // silence of both in TCP mode
	Request       time.Duration // a request's headers
	KeepAlive     time.Duration // between two requests of a connection
	RetryPause    time.Duration // before trying a refusing server again
	MaxConnection int           // clients of one frontend at once; more wait to be accepted
}

// DefaultLimits are those of marathon-lb 1.3.0.
func DefaultLimits() Limits {
	return Limits{
		Retries: 3, Connect: 3 * time.Second, Client: 30 * time.Second, Server: 30 * time.Second,
		Tunnel: time.Hour, Request: 15 * time.Second, KeepAlive: time.Second,
		RetryPause: time.Second, MaxConnection: 10000,
	}
}

// Validate returns everything that contradicts itself: names and ports used
// twice, unknown backends and modes.
func (c Config) Validate() error {
	var errs []error
	backends := map[string]Mode{}
	for _, b := range c.Backends {
		if _, twice := backends[b.Name]; twice {
			errs = append(errs, fmt.Errorf("backend %s: defined twice", b.Name))
		}
		backends[b.Name] = b.Mode
		errs = append(errs, b.validate()...)
	}
	names, binds := map[string]bool{}, map[string]string{}
	for _, f := range c.Frontends {
		if names[f.Name] {
			errs = append(errs, fmt.Errorf("frontend %s: defined twice", f.Name))
		}
		names[f.Name] = true
		if other, twice := binds[f.Bind]; twice {
			errs = append(errs, fmt.Errorf("frontend %s: bind %s belongs to frontend %s already", f.Name, f.Bind, other))
		}
		binds[f.Bind] = f.Name
		errs = append(errs, f.validate(backends)...)
	}
	return errors.Join(errs...)
}

func (b Backend) validate() (errs []error) {
	if _, err := ParseMode(string(b.Mode)); err != nil {
		errs = append(errs, fmt.Errorf("backend %s: %w", b.Name, err))
	}
	if c := b.Check; c != nil && (c.Interval <= 0 || c.Fall < 1 || c.Rise < 0 || c.Timeout < 0) {
		errs = append(errs, fmt.Errorf("backend %s: check: interval %v, timeout %v, fall %d, rise %d: out of range", b.Name, c.Interval, c.Timeout, c.Fall, c.Rise))
	}
	names := map[string]bool{}
	for _, s := range b.Servers {
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("backend %s: server %s: defined twice", b.Name, s.Name))
		}
		names[s.Name] = true
		if _, _, err := net.SplitHostPort(s.Addr); err != nil {
			errs = append(errs, fmt.Errorf("backend %s: server %s: %w", b.Name, s.Name, err))
		}
	}
	return errs
}

func (f Frontend) validate(backends map[string]Mode) (errs []error) {
	if _, err := ParseMode(string(f.Mode)); err != nil {
		errs = append(errs, fmt.Errorf("frontend %s: %w", f.Name, err))
	}
	targets := make([]string, 0, len(f.Rules)+1)
	for _, r := range f.Rules {
		targets = append(targets, r.Backend)
	}
	if f.Backend != "" {
		targets = append(targets, f.Backend)
	}
	for _, t := range targets {
		if mode, known := backends[t]; !known {
			errs = append(errs, fmt.Errorf("frontend %s: no backend %q", f.Name, t))
		} else if mode != f.Mode {
			errs = append(errs, fmt.Errorf("frontend %s: mode %s cannot use backend %s of mode %s", f.Name, f.Mode, t, mode))
		}
	}
	return errs
}
