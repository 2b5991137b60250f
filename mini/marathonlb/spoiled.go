package marathonlb

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// wish is a service port as its app asks for it: a service, or why it cannot
// be one.
type wish struct {
	app   app
	index int
	service
	err error
}

// portID names a service port of an app, whatever its labels make of it.
type portID struct {
	app   string
	index int
}

func (w wish) id() portID { return portID{w.app.ID, w.index} }

// served is a service port that was in force: what the app said by which it was.
type served struct {
	said
	claim   string
	serving bool // it is in force now
}

// problem is a service port that is not served as its labels say.
type problem struct {
	appID   string
	version string // of the app, in which it was found
	index   int
	err     error
	earlier string // by what of before it is served, "" for not at all
}

func (p problem) String() string {
	how := "it is left out"
	if p.earlier != "" {
		how = "it is served by its earlier " + p.earlier
	}
	return fmt.Sprintf("%s; %s, all other apps are served", p.words(), how)
}

// words say what is wrong, in one line.
func (p problem) words() string { return strings.ReplaceAll(p.err.Error(), "\n", "; ") }

// claim is what only one service can have: its name and its port.
func (s service) claim() string { return s.name() + " " + s.bind() }

// settle decides which wishes come true where one app must not spoil another:
// a wrong label costs its app the change that came with it. The app is served
// by the labels that it was served by before, towards its tasks of now; one
// that never was is left out. Of several apps that claim a port, who has it
// keeps it; else it is the first one's by id. Refused is what could not be
// brought into force.
func (b *builder) settle(wishes []wish, refused *refusals) ([]service, []problem) {
	order := slices.Clone(wishes)
	slices.SortStableFunc(order, func(x, y wish) int { return cmp.Compare(b.rank(x), b.rank(y)) })
	t := taken{names: map[string]string{}, ports: map[int][]service{}, reserved: b.reserved, refused: refused}
	var services []service
	var problems []problem
	for _, w := range order {
		err := w.err
		if err == nil {
			if len(w.servers) == 0 {
				continue
			}
			err = t.take(w.service)
		}
		if err == nil {
			services = append(services, w.service)
			continue
		}
		earlier, by := b.earlier(w)
		if by != "" && t.take(earlier) != nil {
			by = ""
		}
		if by != "" && len(earlier.servers) > 0 {
			services = append(services, earlier)
		}
		problems = append(problems, problem{w.app.ID, w.app.Version, w.index, err, by})
	}
	slices.SortStableFunc(problems, func(x, y problem) int { return cmp.Or(cmp.Compare(x.appID, y.appID), cmp.Compare(x.index, y.index)) })
	return services, problems
}

// rank orders wishes: who goes on as it is, who is served and wants a change,
// who is new.
func (b *builder) rank(w wish) int {
	switch before := b.good[w.id()]; {
	case !before.serving:
		return 2
	case w.err != nil || before.claim != w.claim():
		return 1
	}
	return 0
}

// earlier is the service by what the app said when it was last served, if that
// was something else, and what of it was: "" if there is none.
func (b *builder) earlier(w wish) (service, string) {
	before, known := b.good[w.id()]
	if !known || before.said.equal(w.app.said()) {
		return service{}, ""
	}
	by := "labels"
	if maps.Equal(before.labels, w.app.Labels) {
		by = "health checks"
	}
	a := w.app
	a.Labels, a.HealthChecks = before.labels, before.checks
	s, err := newService(a, w.index)
	if err != nil {
		return service{}, ""
	}
	s.servers = w.servers
	return s, by
}

// remember notes what has come into force.
func (b *builder) remember(services []service) {
	if b.good == nil {
		b.good = map[portID]served{}
	}
	for id, s := range b.good {
		s.serving = false
		b.good[id] = s
	}
	for _, s := range services {
		b.good[portID{s.appID, s.index}] = served{said: s.said, claim: s.claim(), serving: true}
	}
}

// forget drops what it knows of service ports that Marathon has no more.
func (b *builder) forget(wishes []wish) {
	there := map[portID]bool{}
	for _, w := range wishes {
		there[w.id()] = true
	}
	maps.DeleteFunc(b.good, func(id portID, _ served) bool { return !there[id] })
}

// taken is what services have claimed already.
type taken struct {
	names    map[string]string // to the app
	ports    map[int][]service
	reserved map[int]string // ports to what has them
	refused  *refusals
}

// take claims name and port of s, or says who has them.
func (t taken) take(s service) error {
	if err := t.refused.of(s); err != nil {
		return fmt.Errorf("app %s: %w", s.appID, err)
	}
	if who, ok := t.reserved[s.port]; ok {
		return fmt.Errorf("app %s: service port %d belongs to %s", s.appID, s.port, who)
	}
	if other, ok := t.names[s.name()]; ok {
		return fmt.Errorf("app %s: service port %d belongs to app %s already, by the name %s", s.appID, s.port, other, s.name())
	}
	for _, o := range t.ports[s.port] {
		if o.bindAddr == s.bindAddr || o.bindAddr == "*" || s.bindAddr == "*" {
			return fmt.Errorf("app %s: service port %d belongs to app %s already", s.appID, s.port, o.appID)
		}
	}
	t.names[s.name()] = s.appID
	t.ports[s.port] = append(t.ports[s.port], s)
	return nil
}

// reserve notes the ports that are not for apps.
func (b *builder) reserve(open shared, statsPort string) {
	b.reserved = map[int]string{}
	if open.vhosts {
		b.reserved[80] = vhostFrontend
	}
	if open.appIDs {
		b.reserved[9091] = appFrontend
	}
	if n, err := strconv.Atoi(statsPort); err == nil {
		b.reserved[n] = "the statistics"
	}
}

// strictly is all or nothing: the errors of all wishes, if there are any.
func strictly(wishes []wish) ([]service, error) {
	var services []service
	var errs []error
	for _, w := range wishes {
		switch {
		case w.err != nil:
			errs = append(errs, w.err)
		case len(w.servers) > 0:
			services = append(services, w.service)
		}
	}
	return services, errors.Join(errs...)
}
