package marathonlb

import (
	"cmp"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// The frontends that all services share.
const (
	vhostFrontend = "marathon_http_in"
	appFrontend   = "marathon_http_appid_in"
	cookieName    = "mesosphere_server_id"
)

// shared says which of the shared frontends are open.
type shared struct {
	vhosts bool // port 80
	appIDs bool // port 9091
}

// model is what the proxy serves for services.
func model(services []service, open shared) proxy.Config {
	var c proxy.Config
	if open.vhosts {
		c.Frontends = append(c.Frontends, proxy.Frontend{Name: vhostFrontend, Bind: "*:80", Mode: proxy.HTTP, Rules: vhostRules(services)})
	}
	if open.appIDs {
		c.Frontends = append(c.Frontends, proxy.Frontend{Name: appFrontend, Bind: "*:9091", Mode: proxy.HTTP, Rules: appRules(services)})
	}
	for _, s := range services {
		c.Frontends = append(c.Frontends, proxy.Frontend{Name: s.name(), Bind: s.bind(), Mode: s.mode, Backend: s.name()})
		b := proxy.Backend{Name: s.name(), Mode: s.mode, Balance: s.balance, Check: s.check}
		if s.sticky && s.mode == proxy.HTTP {
			b.Cookie = cookieName
			if b.Check == nil {
				// "check cookie …" switches HAProxy's checks on, with its defaults.
				b.Check = &proxy.Check{Interval: 2 * time.Second, Fall: 3}
			}
		}
		for _, t := range s.servers {
			server := proxy.Server{Name: t.name(), Addr: t.addr(), Disabled: t.disabled}
			if b.Cookie != "" {
				server.Cookie = t.cookie()
			}
			b.Servers = append(b.Servers, server)
		}
		c.Backends = append(c.Backends, b)
	}
	return c
}

// hosted returns the services with virtual hosts, the heaviest first.
func hosted(services []service) []service {
	var out []service
	for _, s := range services {
		if len(s.vhosts) > 0 {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(x, y service) int { return cmp.Compare(y.weight, x.weight) })
	return out
}

func vhostRules(services []service) []proxy.Rule {
	var rules []proxy.Rule
	for _, s := range hosted(services) {
		rules = append(rules, proxy.Rule{Hosts: s.vhosts, Path: s.path, Backend: s.name()})
	}
	return rules
}

func appRules(services []service) []proxy.Rule {
	var rules []proxy.Rule
	for _, s := range services {
		if s.mode == proxy.HTTP {
			rules = append(rules, proxy.Rule{AppID: s.appID, Backend: s.name()})
		}
	}
	return rules
}
