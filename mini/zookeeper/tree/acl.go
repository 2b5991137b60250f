package tree

import (
	"crypto/sha1"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// Identity is who a connection is: its address under the scheme "ip", and
// what it authenticated as under "digest".
type Identity struct{ Scheme, ID string }

// IP returns the identity every connection from a host has.
func IP(host string) Identity { return Identity{"ip", host} }

// Digest returns the identity that the credentials "user:password" prove:
// the user and the base64 of the SHA-1 of both, as ZooKeeper's
// DigestAuthenticationProvider forms it.
func Digest(credentials string) Identity {
	user, _, _ := strings.Cut(credentials, ":")
	sum := sha1.Sum([]byte(credentials))
	return Identity{"digest", user + ":" + base64.StdEncoding.EncodeToString(sum[:])}
}

// OpenACL returns the ACL that allows everything to everybody.
func OpenACL() []jute.ACL {
	return []jute.ACL{{Perms: jute.PermAll, Scheme: "world", ID: "anyone"}}
}

// allowed tells whether ids have one of the permissions perm. A nil ACL, that
// of the nodes every tree has, allows everything.
func allowed(acl []jute.ACL, perm int32, ids []Identity) bool {
	if len(acl) == 0 {
		return true
	}
	for _, a := range acl {
		if a.Perms&perm == 0 {
			continue
		}
		if a.Scheme == "world" && a.ID == "anyone" {
			return true
		}
		for _, id := range ids {
			if id.Scheme == a.Scheme && matches(a, id.ID) {
				return true
			}
		}
	}
	return false
}

func matches(a jute.ACL, id string) bool {
	if a.Scheme != "ip" {
		return a.ID == id
	}
	net, err := prefix(a.ID)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(id)
	return err == nil && net.Contains(addr.Unmap())
}

// prefix reads the id of an "ip" entry: an address, or address/bits.
func prefix(id string) (netip.Prefix, error) {
	if strings.Contains(id, "/") {
		p, err := netip.ParsePrefix(id)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(id)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Prefix(a.BitLen())
}

// fixACL returns the ACL to store for one that a client sent: duplicates are
// dropped and "auth" entries become the identities the client has proven.
// Error: InvalidACL.
func fixACL(acl []jute.ACL, ids []Identity) ([]jute.ACL, error) {
	var fixed, own []jute.ACL
	for _, a := range acl {
		switch a.Scheme {
		case "world":
			if a.ID != "anyone" {
				return nil, jute.InvalidACL
			}
		case "auth":
			proven := false
			for _, id := range ids {
				if id.Scheme == "digest" {
					proven = true
					own = append(own, jute.ACL{Perms: a.Perms, Scheme: id.Scheme, ID: id.ID})
				}
			}
			if !proven {
				return nil, jute.InvalidACL
			}
			continue
		case "digest":
			if strings.Count(a.ID, ":") != 1 {
				return nil, jute.InvalidACL
			}
		case "ip":
			if _, err := prefix(a.ID); err != nil {
				return nil, jute.InvalidACL
			}
		default:
			return nil, jute.InvalidACL
		}
		fixed = append(fixed, a)
	}
	unique := make([]jute.ACL, 0, len(fixed)+len(own))
	for _, a := range append(fixed, own...) {
		if !slices.Contains(unique, a) {
			unique = append(unique, a)
		}
	}
	if len(unique) == 0 {
		return nil, jute.InvalidACL
	}
	return unique, nil
}

// masked returns a copy of acl with the secrets of digest entries replaced.
func masked(acl []jute.ACL) []jute.ACL {
	out := slices.Clone(acl)
	for i, a := range out {
		if user, _, ok := strings.Cut(a.ID, ":"); ok && a.Scheme == "digest" {
			out[i].ID = user + ":x"
		}
	}
	return out
}
