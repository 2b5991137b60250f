package marathonlb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mesoslab/lab/mini/marathonlb/haproxy"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// refusals are what could not be brought into force, with the reason.
type refusals struct {
	claims map[string]error // a port that cannot be bound, whatever is said of it
	texts  map[string]error // lines that HAProxy does not take
	lines  func(service) string
}

func (lb *balance) refusals() *refusals {
	return &refusals{claims: map[string]error{}, texts: map[string]error{}, lines: lb.lines}
}

// of is why a service cannot be brought into force, or nil.
func (r *refusals) of(s service) error {
	if r == nil {
		return nil
	}
	if err := r.claims[s.claim()]; err != nil || len(r.texts) == 0 {
		return err
	}
	return r.texts[r.lines(s)]
}

// add notes whom an error of the balancer is about; false if that is nobody, or
// nobody new.
func (r *refusals) add(ctx context.Context, c *configuration, err error, check func(context.Context, []service) error) bool {
	if claim := c.unbound(err); claim != "" {
		known := r.claims[claim] != nil
		r.claims[claim] = err
		return !known
	}
	var all *haproxy.RefusedError
	if !errors.As(err, &all) || check == nil {
		return false
	}
	found := named(c.services, all)
	if len(found) == 0 {
		found = tried(ctx, c.services, check)
	}
	news := false
	for s, why := range found {
		text := r.lines(c.services[s])
		news = news || r.texts[text] == nil
		r.texts[text] = why
	}
	return news
}

// lines are all that a configuration says of one service.
func (lb *balance) lines(s service) string { return sections([]service{s}, lb.open, lb.limits) }

// named are the services in whose lines HAProxy finds something wrong, by their
// index, and what.
func named(services []service, all *haproxy.RefusedError) map[int]error {
	found := map[int][]haproxy.Alert{}
	for _, a := range all.Alerts {
		if i := slices.IndexFunc(services, func(s service) bool { return concerns(a, s) }); i >= 0 {
			found[i] = append(found[i], a)
		}
	}
	out := map[int]error{}
	for i, alerts := range found {
		out[i] = &haproxy.RefusedError{Alerts: alerts}
	}
	return out
}

// concerns says whether an alert is about a line of a service: in its own
// sections, or in one that all share.
func concerns(a haproxy.Alert, s service) bool {
	switch a.Section {
	case "frontend " + s.name(), "backend " + s.name():
		return true
	case "frontend " + vhostFrontend, "frontend " + appFrontend:
		words := strings.Fields(a.Line)
		return slices.ContainsFunc([]string{"host_", "path_", "app_", ""}, func(kind string) bool { return len(words) > 1 && words[1] == kind+s.name() })
	}
	return false
}

// tried finds the first service, by its index, with which the ones before it are
// refused, and why. None, if it is not the services that are wrong.
func tried(ctx context.Context, services []service, check func(context.Context, []service) error) map[int]error {
	fails := func(n int) error {
		err := check(ctx, services[:n])
		var refused *haproxy.RefusedError
		if errors.As(err, &refused) {
			return refused
		}
		return nil
	}
	if fails(0) != nil || fails(len(services)) == nil {
		return nil
	}
	n := sort.Search(len(services), func(n int) bool { return fails(n) != nil })
	why := fails(n)
	if n == 0 || why == nil { // it has changed its mind
		return nil
	}
	return map[int]error{n - 1: why}
}

// checks lets the balancer look at services without bringing them into force;
// nil if it refuses nothing.
func (lb *balance) checks() func(context.Context, []service) error {
	c, ok := lb.balancer.(interface {
		Check(ctx context.Context, sections string) error
	})
	if !ok {
		return nil
	}
	return func(ctx context.Context, services []service) error {
		return c.Check(ctx, sections(services, lb.open, lb.limits))
	}
}

// unbound is the claim of the service whose port err says cannot be bound, or
// "".
func (c *configuration) unbound(err error) string {
	var e *proxy.BindError
	if !errors.As(err, &e) {
		return ""
	}
	for _, s := range c.services {
		if s.name() == e.Frontend {
			return s.claim()
		}
	}
	return ""
}

// follow brings what the apps ask for into force: all of it or, unless strict,
// as much as can be.
func (lb *balance) follow(ctx context.Context, apps []app) error {
	refused := lb.refusals()
	for {
		c, err := lb.configure(apps, refused)
		if err != nil {
			return err
		}
		err = lb.apply(ctx, c)
		if err == nil {
			lb.report(c.problems)
			return nil
		}
		if lb.options.strict || ctx.Err() != nil || !refused.add(ctx, c, err, lb.checks()) {
			return fmt.Errorf("bring it into force: %w", err)
		}
		// Again, without those.
	}
}
