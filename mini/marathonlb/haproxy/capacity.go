package haproxy

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
)

const (
	// frontendsFull is how many frontends can be full at once before HAProxy as
	// a whole is, if descriptors suffice: marathon-lb's 50,000 over 10,000.
	frontendsFull = 5
	// spare are descriptors for what is neither client nor server, listener or
	// check: HAProxy itself reckons with 25, and its older workers inherit some.
	spare = 64
	// fewest clients are taken however few descriptors there are: where they do
	// not suffice for that, HAProxy says so.
	fewest = 20
)

var (
	bindLines   = regexp.MustCompile(`(?m)^  bind `)
	serverLines = regexp.MustCompile(`(?m)^  server `)
	clientsLine = regexp.MustCompile(`(?m)^  maxconn ([0-9]+)$`)
)

// capacity is how many clients HAProxy takes at once, and how many one
// frontend, if that wants so many. Each client takes two descriptors, each
// listener and each server's check one (HAProxy's own reckoning, "Maxsock" of
// show info: more than the system allows, and it does not start). A crowd at one
// frontend leaves a quarter to the others.
func capacity(descriptors uint64, wanted, listeners, servers int) (all, each int) {
	all = frontendsFull * wanted
	if others := uint64(spare + listeners + servers); descriptors > 0 {
		left := uint64(0)
		if descriptors > others {
			left = (descriptors - others) / 2
		}
		all = int(min(uint64(all), max(left, fewest)))
	}
	return all, min(wanted, all-all/4)
}

// sized returns the whole text for sections: its head, and frontends that let no
// crowd have everything.
func (h *HAProxy) sized(sections string) string {
	all, each := capacity(descriptors(), h.options.Limits.MaxConnection, len(bindLines.FindAllString(sections, -1)), len(serverLines.FindAllString(sections, -1)))
	return h.head(all) + clientsLine.ReplaceAllStringFunc(sections, func(line string) string {
		wanted, err := strconv.Atoi(clientsLine.FindStringSubmatch(line)[1])
		if err != nil {
			wanted = each // more digits than a number has
		}
		return fmt.Sprintf("  maxconn %d", min(cmp.Or(wanted, each), each))
	})
}
