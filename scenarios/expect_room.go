package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// onRoom are expectations on launches that do not happen although they should.
func onRoom() []verb {
	app := []param{{name: "app", kind: kindApp}}
	changed := []fact{factBaseline, factChange}
	hold := []param{{"for", kindDuration, "5s"}, within("60s")}
	return []verb{
		{name: "crowded", summary: "Marathon waits for offers, and no slave has room for one more task, for a while",
			args: app, options: hold, after: changed, watched: true, do: expectRoom("crowded", false)},
		{name: "blocked", summary: "Marathon waits although a slave has room: a constraint forbids it, for a while",
			args: app, options: hold, after: changed, watched: true, do: expectRoom("blocked", true)},
		{name: "ignored", summary: "the load balancer does not take over a healthy task, for a while",
			args: app, options: hold, after: changed, watched: true, do: expectIgnored},
	}
}

// expectRoom looks at Marathon's queue and at what the slaves have left, by
// Mesos' own count.
func expectRoom(name string, room bool) func(context.Context, *run, arguments) error {
	return func(ctx context.Context, r *run, a arguments) error {
		length := a.duration("for")
		rule := "no slave has room for it"
		if room {
			rule = "a slave has room for it"
		}
		c := r.criterion(name, fmt.Sprintf("for %s a launch is queued and overdue, nothing is launched, and %s", seconds(length), rule))
		ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
		defer cancel()
		known := -1
		var app App
		var free []string
		err := r.hold(ctx, "Marathon to wait for offers", length, func(ctx context.Context) error {
			app = r.history.App()
			switch seen := len(r.history.Tasks()); {
			case app.Queued == 0:
				return errors.New("nothing is queued")
			case !app.Overdue:
				return fmt.Errorf("%d launches are queued, but Marathon still backs off", app.Queued)
			case known != seen:
				known = seen
				return errors.New("a task was launched just now")
			}
			agents, err := r.cluster.Agents(ctx)
			if err != nil {
				return err
			}
			fits := 0
			free = nil
			for _, s := range agents {
				if s.Active && s.FreeCPUs >= app.CPUs && s.FreeMem >= app.Mem {
					fits++
				}
				free = append(free, fmt.Sprintf("%s has %.2f cpus and %.0f MiB left", r.nodeOf(s.IP), s.FreeCPUs, s.FreeMem))
			}
			if room != (fits > 0) || len(agents) == 0 {
				return fmt.Errorf("%d of %d slaves have room", fits, len(agents))
			}
			return nil
		})
		if err != nil {
			return c.unseen(err)
		}
		return c.pass("%d of %d instances run, %d queued and overdue; one takes %.2f cpus and %.0f MiB; %s",
			len(app.Tasks), app.Instances, app.Queued, app.CPUs, app.Mem, strings.Join(free, ", "))
	}
}

// expectIgnored tells a load balancer that has stopped to follow from one that
// is only slow.
func expectIgnored(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("ignored", fmt.Sprintf("for %s a task is healthy by Marathon and not in the load balancer", seconds(length)))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var out []string
	err := r.hold(ctx, "the load balancer to stay as it is", length, func(context.Context) error {
		app, err := r.current(0)
		if err != nil {
			return err
		}
		out = nil
		for _, t := range app.Tasks {
			if h := r.history.Task(t.ID); h.InLB.IsZero() {
				out = append(out, h.Name+" on "+h.Node)
			}
		}
		if len(out) == 0 {
			return errors.New("it has every task")
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	slices.Sort(out)
	return c.pass("%s: healthy, and no client has ever come", strings.Join(out, ", "))
}
