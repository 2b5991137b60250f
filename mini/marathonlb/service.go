package marathonlb

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// service is one service port of an app: a frontend and its backend.
type service struct {
	appID    string
	index    int
	port     int
	bindAddr string
	mode     proxy.Mode
	balance  proxy.Balance
	sticky   bool
	vhosts   []string
	path     string
	weight   int // order of virtual hosts, highest first
	weighted bool
	check    *proxy.Check
	servers  []taskServer
	said     // what of the app decided all this
}

// said is what an app says of how it wants to be served.
type said struct {
	labels map[string]string
	checks []healthCheck
}

func (a app) said() said { return said{a.Labels, a.HealthChecks} }

func (s said) equal(o said) bool {
	return maps.Equal(s.labels, o.labels) && slices.EqualFunc(s.checks, o.checks, func(x, y healthCheck) bool { return reflect.DeepEqual(x, y) })
}

// taskServer is a task as a server.
type taskServer struct {
	task     string
	host     string
	port     int
	disabled bool
}

// builder makes services out of apps. It remembers which tasks were healthy,
// because a new leader of Marathon knows no results (contracts 2.4), and by
// which labels apps were served.
type builder struct {
	groups   map[string]bool
	healthy  bool // --health-check
	strict   bool // --strict
	alive    map[string]bool
	good     map[portID]served
	reserved map[int]string // ports that are not for apps
}

// build returns the services of the apps in the order of haproxy.cfg. Strict,
// any invalid label makes the whole of it an error; else it is a problem of its
// app (settle). Refused is what could not be brought into force.
func (b *builder) build(apps []app, refused *refusals) ([]service, []problem, error) {
	wishes := b.wishes(b.mergeDeployments(apps))
	services, problems, err := []service(nil), []problem(nil), error(nil)
	if b.strict {
		services, err = strictly(wishes)
	} else {
		services, problems = b.settle(wishes, refused)
		b.forget(wishes)
	}
	slices.SortStableFunc(services, func(x, y service) int {
		return cmp.Or(cmp.Compare(x.appID, y.appID), cmp.Compare(x.port, y.port))
	})
	return services, problems, err
}

// wishes are the service ports of our groups, by app.
func (b *builder) wishes(apps []app) []wish {
	var wishes []wish
	alive := map[string]bool{}
	for _, a := range apps {
		for i := range a.servicePorts() {
			if !b.member(a, i) || hasOwnAddress(a) {
				continue
			}
			w := wish{app: a, index: i}
			w.service, w.err = newService(a, i)
			w.servers = b.servers(a, i, alive)
			wishes = append(wishes, w)
		}
	}
	b.alive = alive
	slices.SortStableFunc(wishes, func(x, y wish) int { return cmp.Compare(x.app.ID, y.app.ID) })
	return wishes
}

// newService reads what an app says of one of its service ports; servers are
// not yet there.
func newService(a app, index int) (service, error) {
	s := service{appID: a.ID, index: index, port: a.servicePorts()[index], bindAddr: "*", mode: proxy.TCP, balance: proxy.RoundRobin, said: a.said()}
	s.setCheck(a.check(index))
	if err := s.labelled(a, index); err != nil {
		return s, err
	}
	return s, s.valid()
}

// member says whether a service port belongs to one of our groups.
func (b *builder) member(a app, index int) bool {
	groups, ok := a.Labels[fmt.Sprintf("HAPROXY_%d_GROUP", index)]
	if !ok {
		groups = a.Labels["HAPROXY_GROUP"]
	}
	if b.groups["*"] {
		return true
	}
	for g := range strings.SplitSeq(groups, ",") {
		if g != "" && b.groups[g] {
			return true
		}
	}
	return false
}

func hasOwnAddress(a app) bool {
	return len(a.IPAddress) > 0 && !bytes.Equal(a.IPAddress, []byte("null"))
}

// valid refuses ids and ports that cannot stand in haproxy.cfg; Marathon has
// none.
func (s service) valid() error {
	strange := func(r rune) bool { return (!hostRune(r) || r == '*') && r != '/' && r != '_' }
	if len(s.appID) < 2 || s.appID[0] != '/' || strings.ContainsFunc(s.appID, strange) {
		return fmt.Errorf("app %q: not an app id", s.appID)
	}
	if s.port < 1 || s.port > 65535 {
		return fmt.Errorf("app %s: service port %d is not a port number", s.appID, s.port)
	}
	return nil
}

func (s *service) setCheck(c *healthCheck) {
	if c == nil {
		return
	}
	check := &proxy.Check{
		Interval: time.Duration(max(c.IntervalSeconds, 1)) * time.Second,
		Fall:     max(c.MaxConsecutiveFailures, 0) + 1,
	}
	switch c.Protocol {
	case "HTTP", "": // HTTP is Marathon's default
		s.mode = proxy.HTTP
		check.Timeout = time.Duration(max(c.TimeoutSeconds, 1)) * time.Second
		if check.Path = c.Path; !strings.HasPrefix(check.Path, "/") {
			check.Path = "/" + check.Path
		}
		check.Path = strings.Map(func(r rune) rune {
			if r <= ' ' || r > '~' || strings.ContainsRune(`"'#\`, r) {
				return -1
			}
			return r
		}, check.Path)
	case "TCP":
	default:
		return // COMMAND and HTTPS: HAProxy does not probe
	}
	s.check = check
}

// servers returns the usable tasks of a service port, by host and port, each
// name once.
func (b *builder) servers(a app, index int, alive map[string]bool) []taskServer {
	var servers []taskServer
	for _, t := range a.Tasks {
		if !b.usable(a, t, alive) || t.Host == "" || len(t.Ports) <= index || !validHost(t.Host) {
			continue
		}
		if p := t.Ports[index]; p > 0 && p < 65536 {
			servers = append(servers, taskServer{task: t.ID, host: t.Host, port: p, disabled: t.drained})
		}
	}
	byAddress := func(x, y taskServer) int { return cmp.Or(cmp.Compare(x.host, y.host), cmp.Compare(x.port, y.port)) }
	slices.SortStableFunc(servers, byAddress)
	names := map[string]bool{} // two hosts may have the same, as a-b and a.b
	return slices.DeleteFunc(servers, func(s taskServer) bool {
		twice := names[s.name()]
		names[s.name()] = true
		return twice
	})
}

func validHost(h string) bool {
	return !strings.ContainsFunc(h, func(r rune) bool { return !hostRune(r) && r != '_' || r == '*' })
}

// usable decides by --health-check: all results must be alive; a task without
// results counts as it did when it last had some. Alive collects what to
// remember.
func (b *builder) usable(a app, t task, alive map[string]bool) bool {
	if !b.healthy || len(a.HealthChecks) == 0 {
		return true
	}
	healthy := b.alive[t.ID]
	if len(t.HealthCheckResults) > 0 {
		healthy = true
		for _, r := range t.HealthCheckResults {
			healthy = healthy && r.Alive
		}
	}
	if healthy {
		alive[t.ID] = true
	}
	return healthy
}

// name is what frontend and backend are called.
func (s service) name() string {
	return strings.ReplaceAll(strings.TrimPrefix(s.appID, "/"), "/", "_") + "_" + strconv.Itoa(s.port)
}

func (s service) bind() string { return net.JoinHostPort(s.bindAddr, strconv.Itoa(s.port)) }

// name is the server's name in haproxy.cfg.
func (t taskServer) name() string {
	clean := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}
	return strings.Map(clean, t.host) + "_" + strconv.Itoa(t.port)
}

func (t taskServer) addr() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }

// cookie is the value that keeps a client with this server.
func (t taskServer) cookie() string {
	sum := sha1.Sum([]byte(t.name()))
	return hex.EncodeToString(sum[:])[:10]
}
