package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios/watch"
)

func (a *app) watchCommand() *cobra.Command {
	var opt watch.Options
	cmd := &cobra.Command{
		Use: "watch", Short: "see machines, tasks, clients and events live", Args: argCount(cobra.NoArgs),
		Long: `See machines with their tasks, what clients get, and what happens, live.

On a terminal it takes the whole screen; q or Ctrl-C leaves. In a pipe it
prints a line whenever something changes, with -o jsonl a view each second,
with -o json one view. A few requests are sent through the load balancer.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opt.Rate < 0 || opt.Rate > 100 {
				return usage("--rate %d: must be 0 (none) to 100 requests a second", opt.Rate)
			}
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			return a.withFlow(func(f *flow.Flow, _ state.Store) error { return a.watch(cmd.Context(), f, l, opt) })
		},
	}
	cmd.Flags().StringVar(&opt.App, "app", "", "send requests to this app (default: the first behind the load balancer)")
	cmd.Flags().IntVar(&opt.Rate, "rate", 5, "how many requests a second; 0 = none")
	return cmd
}

// watch shows the board until somebody leaves. Leaving is how watching ends:
// Ctrl-C is no interruption.
func (a *app) watch(ctx context.Context, f *flow.Flow, l *state.Lab, opt watch.Options) error {
	board := watch.NewBoard("lab " + l.Spec.Name)
	looking, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- f.Watch(looking, l, board, opt)
		stop() // what cannot be watched need not be shown
	}()
	err := a.show(looking, board)
	stop()
	return errors.Join(err, <-ended)
}

func (a *app) show(ctx context.Context, board *watch.Board) error {
	if f, ok := a.out.(*os.File); ok && a.output == "text" && isatty.IsTerminal(f.Fd()) {
		return watch.Terminal(ctx, board.View)
	}
	const wholeLook = 2500 * time.Millisecond // every sampler has looked, and requests have come back
	every, once := 200*time.Millisecond, false
	enc := json.NewEncoder(a.out)
	print := watch.NewPrinter(a.out).Show
	switch a.output {
	case "jsonl":
		every, print = time.Second, func(v watch.View) error { return enc.Encode(v) }
	case "json":
		enc.SetIndent("", "  ")
		every, once, print = wholeLook, true, func(v watch.View) error { return enc.Encode(v) }
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := print(board.View(time.Now())); err != nil || once {
			return err
		}
	}
}
