package marathonlb

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// labelled reads the HAPROXY_* labels of one service port into s. All errors
// are returned at once; each names its label.
func (s *service) labelled(a app, index int) error {
	var errs []error
	read := func(word string, set func(value string) error) {
		name := fmt.Sprintf("HAPROXY_%d_%s", index, word)
		value, ok := a.Labels[name]
		if !ok {
			return
		}
		if err := set(value); err != nil {
			errs = append(errs, fmt.Errorf("app %s: label %s=%q: %w", a.ID, name, value, err))
		}
	}
	read("PORT", func(v string) (err error) { s.port, err = port(v); return err })
	read("BIND_ADDR", func(v string) (err error) { s.bindAddr, err = bindAddr(v); return err })
	read("MODE", func(v string) (err error) { s.mode, err = proxy.ParseMode(v); return err })
	read("BALANCE", func(v string) (err error) { s.balance, err = proxy.ParseBalance(v); return err })
	read("STICKY", func(v string) error { s.sticky = boolean(v); return nil })
	read("VHOST", func(v string) (err error) { s.vhosts, err = vhosts(v); return err })
	read("PATH", func(v string) (err error) { s.path, err = path(v); return err })
	read("BACKEND_WEIGHT", func(v string) (err error) {
		s.weighted = true
		s.weight, err = integer(v)
		return err
	})
	if len(s.vhosts) > 0 {
		s.mode = proxy.HTTP
	}
	if s.path != "" && !s.weighted {
		s.weight = 1
	}
	return errors.Join(errs...)
}

// ignored returns the HAPROXY_* labels of an app that mean something to
// marathon-lb and nothing here, sorted.
func ignored(a app) []string {
	var names []string
	for name := range a.Labels {
		if word, ours := strings.CutPrefix(name, "HAPROXY_"); ours && !known(word) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// known says whether the rest of a label's name, behind HAPROXY_, has an
// effect.
func known(word string) bool {
	if word == "GROUP" || word == "APP_ID" || strings.HasPrefix(word, "DEPLOYMENT_") {
		return true
	}
	index, word, _ := strings.Cut(word, "_")
	if _, err := strconv.Atoi(index); err != nil {
		return false
	}
	switch word {
	case "GROUP", "VHOST", "PATH", "STICKY", "MODE", "BALANCE", "PORT", "BIND_ADDR", "BACKEND_WEIGHT":
		return true
	}
	return false
}

// integer reads a number as Python's int() does, in decimal.
func integer(v string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil {
		return 0, errors.New("not an integer")
	}
	return n, nil
}

func port(v string) (int, error) {
	n, err := integer(v)
	if err == nil && (n < 1 || n > 65535) {
		err = errors.New("not a port number")
	}
	return n, err
}

// bindAddr accepts * and IP addresses; HAProxy would resolve names, too.
func bindAddr(v string) (string, error) {
	if v != "*" && net.ParseIP(v) == nil {
		return "", errors.New("not an IP address or *")
	}
	return v, nil
}

// boolean knows marathon-lb's words for yes; everything else means no.
func boolean(v string) bool {
	switch strings.ToLower(v) {
	case "true", "t", "yes", "y":
		return true
	}
	return false
}

// vhosts reads a comma list of host names.
func vhosts(v string) ([]string, error) {
	var hosts []string
	for h := range strings.SplitSeq(v, ",") {
		h = strings.TrimSpace(h)
		if h == "" {
			return nil, errors.New("empty host name")
		}
		if strings.ContainsFunc(h, func(r rune) bool { return !hostRune(r) }) {
			return nil, errors.New("not a host name")
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

func hostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._*:", r)
}

// path accepts what can stand as one word in haproxy.cfg.
func path(v string) (string, error) {
	if !strings.HasPrefix(v, "/") {
		return "", errors.New("does not begin with /")
	}
	if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'#\`, r) }) {
		return "", errors.New("not one word of haproxy.cfg")
	}
	return v, nil
}
