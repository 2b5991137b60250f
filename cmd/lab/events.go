package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/internal/ui"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow, offers bool
	var tail int
	cmd := &cobra.Command{
		Use: "events", Short: "print what commands have done to the lab, and what scenarios have seen", Args: argCount(cobra.NoArgs),
		Long: `Print what commands have done to the lab, and what scenarios have seen.

With --follow, go on, and tell also what happens in the cluster, whoever has
caused it: status updates, health, deployments, slaves that come and go, and
what enters and leaves the load balancer.

With --offers, print the offers that frameworks of lab's own got from Mesos
instead (scenario two-frameworks): what was offered, which were taken, which
refused, and why. Marathon tells nobody of its own.

-o jsonl prints the lines of the lab's events.jsonl as they are, and those of
the cluster in the same form.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if follow && a.output == "json" {
				return usage("--follow has no end, so it cannot be one document; -o jsonl prints lines")
			}
			if tail < -1 {
				return usage("--tail %d: must be a number of lines, or -1 for all", tail)
			}
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			p := &eventPrinter{app: a, offers: offers, all: []lab.Event{}}
			if follow && !offers {
				err = a.followEvents(cmd.Context(), l, tail, p)
			} else {
				err = l.Events(cmd.Context(), tail, follow, p.past)
			}
			if err == nil && a.output == "json" {
				enc := json.NewEncoder(a.out)
				enc.SetIndent("", "  ")
				err = enc.Encode(p.all)
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as more happens")
	cmd.Flags().BoolVar(&offers, "offers", false, "offers to frameworks of lab's own, taken and refused")
	cmd.Flags().IntVar(&tail, "tail", -1, "how many of the last ones; -1 = all")
	return cmd
}

// followEvents prints the lab's log and what happens in its cluster until ctx
// ends or the lab is gone.
func (a *app) followEvents(ctx context.Context, l *state.Lab, tail int, p *eventPrinter) error {
	return a.withFlow(func(f *flow.Flow, _ state.Store) error {
		ctx, stop := context.WithCancel(ctx)
		var live sync.WaitGroup
		live.Go(func() {
			if err := f.Happenings(ctx, l, p.live); err != nil && ctx.Err() == nil {
				p.live(lab.Event{Time: time.Now(), Kind: lab.EventFail, Step: "what happens in the cluster cannot be told", Err: err.Error()})
			}
		})
		err := l.Events(ctx, tail, true, p.past)
		stop()
		live.Wait()
		return err
	})
}

// eventPrinter prints events as -o says; for json it keeps them.
type eventPrinter struct {
	app    *app
	offers bool // those of offers, or all others
	all    []lab.Event

	mu sync.Mutex
}

// past takes an event of the lab's log.
func (p *eventPrinter) past(e state.PastEvent) error {
	if _, offer := e.Data["offer"]; e.Err == nil && offer != p.offers {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.app.output == "jsonl":
		fmt.Fprintf(p.app.out, "%s\n", e.Raw)
	case e.Err != nil:
		fmt.Fprintf(p.app.err, "lab: %v\n", e.Err)
	case p.app.output == "json":
		p.all = append(p.all, e.Event)
	default:
		fmt.Fprintln(p.app.out, ui.EventLine(e.Event))
	}
	return nil
}

// live takes an event of the cluster, which no log has.
func (p *eventPrinter) live(e lab.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.app.output == "jsonl" {
		_ = json.NewEncoder(p.app.out).Encode(e) // who does not read any more has gone
		return
	}
	fmt.Fprintln(p.app.out, ui.EventLine(e))
}
