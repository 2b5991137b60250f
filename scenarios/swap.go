package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// swap is one deployment in the way of zdd.py.
type swap struct {
	r          *run
	group      string
	port       int
	step       time.Duration
	old, fresh string // apps
	target     int
	said       string
	did        []string
}

// run is zdd.py's loop: kill what is drained, add half as many new ones, until
// the old app can be deleted.
func (s *swap) run(ctx context.Context) error {
	for {
		old, fresh, err := s.apps(ctx)
		if err == nil && fresh.Deploying {
			err = s.wait(ctx, fresh.ID+" is being deployed")
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		ids, err := s.drained(ctx, old, fresh)
		if err != nil {
			return err
		}
		if fresh.Instances == s.target && len(ids) == old.Instances {
			s.did = append(s.did, fmt.Sprintf("%s deleted with %s", old.ID, s.names(ids)))
			return s.r.cluster.Remove(ctx, old.ID)
		}
		if len(ids) > 0 {
			if err := s.r.cluster.Dismiss(ctx, ids); err != nil {
				return err
			}
			s.did = append(s.did, fmt.Sprintf("%s killed beside %d of %s", s.names(ids), fresh.Instances, fresh.ID))
		}
		if fresh.Instances < s.target {
			n := s.more(old, fresh)
			s.r.moment(fmt.Sprintf("⚡ Marathon is asked for %d instances of %s", n, fresh.ID))
			if err := s.r.cluster.Scale(ctx, fresh.ID, n, false); err != nil {
				return err
			}
		}
	}
}

// more is how many instances the new app gets next: half as many again, and
// all as soon as that is no fewer than the old ones.
func (s *swap) more(old, fresh GroupApp) int {
	n := fresh.Instances + (fresh.Instances+1)/2
	if n >= old.Instances {
		return s.target
	}
	return n
}

func (s *swap) apps(ctx context.Context) (old, fresh GroupApp, err error) {
	apps, err := s.r.cluster.Group(ctx, s.group)
	if err != nil {
		return old, fresh, err
	}
	i := slices.IndexFunc(apps, func(a GroupApp) bool { return a.ID == s.old })
	j := slices.IndexFunc(apps, func(a GroupApp) bool { return a.ID == s.fresh })
	if i < 0 || j < 0 {
		return old, fresh, fmt.Errorf("of %s and %s one is gone", s.old, s.fresh)
	}
	return apps[i], apps[j], nil
}

// drained waits until the load balancer has every instance of both apps, as
// many of them up as are wanted, and at least one old task without any request
// under way; it returns these.
func (s *swap) drained(ctx context.Context, old, fresh GroupApp) ([]string, error) {
	var why string
	for {
		if err := s.wait(ctx, why); err != nil {
			return nil, err
		}
		reloading, err := s.r.cluster.Reloading(ctx)
		if err != nil || reloading {
			why = "an old process of the load balancer still answers requests"
			continue
		}
		servers, err := s.r.cluster.Listeners(ctx, s.group, s.port)
		if err != nil {
			why = err.Error() // it may be reloading
			continue
		}
		up := 0
		var idle []string // addresses
		for _, b := range servers {
			switch {
			case b.Status == statusUp:
				up++
			case b.Status == statusMaint && b.Current+b.Queued == 0:
				idle = append(idle, b.Address)
			}
		}
		switch {
		case len(servers) != old.Instances+fresh.Instances:
			why = fmt.Sprintf("the load balancer has %d servers, Marathon %d instances", len(servers), old.Instances+fresh.Instances)
		case up < s.target:
			why = fmt.Sprintf("%d servers are up, %d are wanted", up, s.target)
		case len(idle) == 0:
			why = "the load balancer has drained no old task yet"
		default:
			var ids []string
			for _, t := range old.Tasks {
				if slices.Contains(idle, fmt.Sprintf("%s:%d", t.IP, t.Port)) {
					ids = append(ids, t.ID)
				}
			}
			return ids, nil
		}
	}
}

// wait is the pause between two looks. When time is up, its error says what the
// last look has found.
func (s *swap) wait(ctx context.Context, why string) error {
	if why != "" && why != s.said {
		s.said = why
		s.r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventWait, Step: s.r.line.Text, Text: why})
	}
	t := time.NewTimer(s.step)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		if why == "" {
			why = "it has hardly begun"
		}
		return fmt.Errorf("%s: %w", why, context.Cause(ctx))
	}
}

func (s *swap) names(ids []string) string {
	var out []string
	for _, id := range ids {
		out = append(out, s.r.history.NameOf(id))
	}
	return strings.Join(out, ", ")
}
