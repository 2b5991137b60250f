package computer

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/mesoslab/lab"
)

// CheckProxy tells of proxy variables that send requests to a lab's addresses
// elsewhere. Lab itself takes no proxy to its machines; curl, browsers and
// programs of people's own do.
func (c Computer) CheckProxy(nodes []lab.Node) []lab.Finding {
	const id = "proxy"
	if len(nodes) == 0 {
		return nil
	}
	either := func(a, b string) string { return cmp.Or(c.Env(a), c.Env(b)) }
	config := httpproxy.Config{
		HTTPProxy: either("http_proxy", "HTTP_PROXY"), HTTPSProxy: either("https_proxy", "HTTPS_PROXY"),
		NoProxy: either("no_proxy", "NO_PROXY"),
	}
	if config.HTTPProxy == "" && config.HTTPSProxy == "" {
		return []lab.Finding{OK(id, "no proxy is set")}
	}
	ask := config.ProxyFunc()
	for _, n := range nodes {
		proxy, err := ask(&url.URL{Scheme: "http", Host: n.IP.String() + ":8080"})
		if n.IP.IsLoopback() && !listed(config.NoProxy, n.IP) {
			// Go's programs take no proxy to this computer itself, curl does.
			proxy, err = url.Parse(config.HTTPProxy)
		}
		if err != nil {
			return []lab.Finding{Note(id, "set http_proxy to a URL, or unset it", "http_proxy is no URL: %s", Brief(err.Error()))}
		}
		if proxy != nil && proxy.Host != "" {
			return []lab.Finding{Note(id, "export no_proxy="+suggestion(config.NoProxy, nodes)+" (and NO_PROXY)",
				"http_proxy sends requests to %s to %s: curl and browsers will not reach the lab", n.IP, proxy.Host)}
		}
	}
	return []lab.Finding{OK(id, "the proxy is not used for the lab's addresses")}
}

// suggestion is no_proxy with the lab's network or addresses. Only some
// programs understand networks: for few machines addresses are better.
func suggestion(have string, nodes []lab.Node) string {
	want := ""
	for _, n := range nodes {
		want += "," + n.IP.String()
	}
	if len(nodes) > 6 {
		if p, err := nodes[0].IP.Prefix(24); err == nil {
			want = fmt.Sprintf(",%s", p)
		}
	}
	if have == "" {
		return want[1:]
	}
	return have + want
}

// listed reports whether no_proxy names the address, or a network around it.
func listed(noProxy string, ip netip.Addr) bool {
	for entry := range strings.SplitSeq(noProxy, ",") {
		entry = strings.TrimSpace(entry)
		if p, err := netip.ParsePrefix(entry); err == nil && p.Contains(ip) {
			return true
		}
		if entry == "*" || entry == ip.String() {
			return true
		}
	}
	return false
}
