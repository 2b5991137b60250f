package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// expectMoved shows service discovery at work: every address is another one,
// and clients, who know only the service port, need not know.
func expectMoved(ctx context.Context, r *run, a arguments) error {
	want := a.count("requests")
	c := r.criterion("moved", fmt.Sprintf("old addresses are refused, the load balancer has only new ones, %d requests in a row succeed", want))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var start time.Time
	var added []string
	failed := ""
	err := r.await(ctx, "every task to be elsewhere", func(ctx context.Context) error {
		if start.IsZero() {
			if err := r.taken(); err != nil {
				return err
			}
			var err error
			if added, err = r.elsewhere(ctx); err != nil {
				return err
			}
			start = time.Now()
		}
		answers := r.probe.Since(start)
		for _, w := range answers {
			if w.Err != "" {
				failed = w.Err
				return nil
			}
		}
		if len(answers) < want {
			return fmt.Errorf("%d requests answered", len(answers))
		}
		return nil
	})
	switch {
	case err != nil:
		return c.unseen(err)
	case failed != "":
		return c.broken("a request failed after the load balancer had every new address: %s", failed)
	}
	var words []string
	for _, t := range r.before {
		r.note("    - server " + t.Address)
		words = append(words, t.Address)
	}
	for _, address := range added {
		r.note("    + server " + address)
	}
	return c.pass("%s refused; haproxy.cfg has %s instead; %d requests in a row, 0 failed", strings.Join(words, ", "), strings.Join(added, ", "), want)
}

// elsewhere says which old address is still of use to anybody, or nil with the
// new ones.
func (r *run) elsewhere(ctx context.Context) ([]string, error) {
	config, err := r.cluster.BalancerConfig(ctx)
	if err != nil {
		return nil, err
	}
	servers := serversIn(config)
	var added []string
	for _, t := range r.history.App().Tasks {
		h := r.history.Task(t.ID)
		if !slices.Contains(servers, h.Address) {
			return nil, fmt.Errorf("haproxy.cfg has no server %s", h.Address)
		}
		if !slices.ContainsFunc(r.before, func(b TaskHistory) bool { return b.ID == t.ID }) {
			added = append(added, h.Address)
		}
	}
	for _, t := range r.before {
		switch now := r.history.Task(t.ID); {
		case now.Ended.IsZero():
			return nil, fmt.Errorf("%s has not ended", t.Name)
		case slices.Contains(added, t.Address):
			return nil, fmt.Errorf("a new task has the old address %s, by chance: run it again", t.Address)
		case slices.Contains(servers, t.Address):
			return nil, fmt.Errorf("haproxy.cfg still has server %s", t.Address)
		}
		if err := r.refused(ctx, t.Address); err != nil {
			return nil, err
		}
	}
	return added, nil
}

// refused asks an address itself.
func (r *run) refused(ctx context.Context, address string) error {
	dial := r.opt.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("%s still answers", address)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s does not refuse: %v", address, err)
	}
	return nil
}

// serversIn lists the addresses of the servers in a haproxy.cfg.
func serversIn(config string) []string {
	var out []string
	for _, line := range strings.Split(config, "\n") {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "server" {
			out = append(out, f[2])
		}
	}
	return out
}
