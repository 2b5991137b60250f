// Package guard decides who may speak to lab's HTTP ports.
//
// A lab's control ports (Docker API, Mesos, Marathon, load balancer admin)
// start programs for whoever asks. On a developer's computer that must not be
// a web page in the browser (DNS rebinding, cross-origin POSTs) nor another
// user of the same computer. Policy holds the rules, Server applies them.
//
// The guard knows HTTP and sockets and nothing of the programs behind it.
// Ports that serve applications (nginx behind the load balancer) are not
// guarded: they are meant to be visited.
package guard

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// Policy says which requests pass.
type Policy struct {
	// Names are host names allowed in a Host header besides IP literals and
	// localhost. A page that rebinds its own name to a lab address sends its
	// own name there, and is refused.
	Names []string
	// SameUser refuses loopback peers of another uid (root excepted), and
	// those that have gone before their uid could be asked for, where the
	// system can tell (Linux).
	SameUser bool
}

type foreignKey struct{}

// nobodyKnown is no user's id: (uid_t)-1 (credentials(7)).
const nobodyKnown = -1

// Server returns an HTTP server that serves h to those whom the policy lets
// in. Others get 403 with one sentence why.
func (p Policy) Server(h http.Handler) *http.Server {
	s := &http.Server{Handler: p.Handler(h), ReadHeaderTimeout: 10 * time.Second}
	if p.SameUser {
		s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			if uid, known := peerUID(c); known && uid != 0 && uid != os.Getuid() {
				return context.WithValue(ctx, foreignKey{}, uid)
			}
			return ctx
		}
	}
	return s
}

// Handler applies the rules that need only the request: Host and Origin, and
// the peer's uid where Server put it into the context.
func (p Policy) Handler(h http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if uid, foreign := r.Context().Value(foreignKey{}).(int); foreign {
			who := fmt.Sprintf("you are uid %d", uid)
			if uid == nobodyKnown {
				who = "who you are could not be seen"
			}
			http.Error(w, "this lab belongs to another user ("+who+")", http.StatusForbidden)
			return
		}
		if !p.hostAllowed(r) {
			http.Error(w, fmt.Sprintf("host %q is not a name of this lab: use its IP address", r.Host), http.StatusForbidden)
			return
		}
		if err := cross.Check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// hostAllowed accepts IP literals, localhost, the listed names, and any name
// on a unix socket, which no web page can reach.
func (p Policy) hostAllowed(r *http.Request) bool {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && a.Network() == "unix" {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "" || strings.EqualFold(host, "localhost") {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.ContainsFunc(p.Names, func(n string) bool { return strings.EqualFold(n, host) })
}
