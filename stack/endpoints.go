package stack

import (
	"net"
	"strconv"
)

// Endpoint is an address for people.
type Endpoint struct {
	Name string `json:"name"` // nginx, Marathon, Mesos, load balancer
	URL  string `json:"url"`
	// Article is the same place in the article, or "".
	Article string `json:"article,omitempty"`
}

// articleMaster is the master's address in the article.
const articleMaster = "192.168.59.1"

// Endpoints lists what people open, the application first.
func (p Platform) Endpoints() []Endpoint {
	ip := p.Master().IP.String()
	ports := p.Spec.Ports
	all := []struct {
		name, path string
		port       int
	}{
		{"nginx", "/", ports.App}, {"Marathon", "/", ports.Marathon}, {"Mesos", "/", ports.Mesos},
		{"load balancer", "/haproxy?stats", ports.LBStats},
	}
	switch p.Spec.App {
	case "nginx", "article":
	case "none":
		all = all[1:]
	default:
		all[0].name = "app" // of the spec's own file; its service port is its business
	}
	var out []Endpoint
	for _, e := range all {
		url := func(host string) string { return "http://" + net.JoinHostPort(host, strconv.Itoa(e.port)) + e.path }
		end := Endpoint{Name: e.name, URL: url(ip)}
		if ip != articleMaster {
			end.Article = url(articleMaster)
		}
		out = append(out, end)
	}
	return out
}
