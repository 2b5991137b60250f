package watch

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab/scenarios"
)

const (
	// window is over how many seconds requests are summed up.
	window = 10
	// recent is how many requests are shown one by one.
	recent = 60
	// kept is how many requests the probe remembers.
	kept = 5000
)

// client sends a few requests, so that a watcher sees what clients see.
type client struct {
	board   *Board
	opt     Options
	started bool
}

// start begins as soon as there is an app to ask.
func (c *client) start(ctx context.Context, all *sync.WaitGroup, apps []AppState) {
	if c.started || c.opt.Rate <= 0 {
		return
	}
	for _, a := range apps {
		if a.URL == "" || c.opt.App != "" && a.ID != c.opt.App {
			continue
		}
		probe, err := scenarios.NewProbe(a.URL, c.opt.Rate, scenarios.ConnectionsNew, c.opt.Dial)
		if err != nil {
			continue // others can be asked
		}
		c.started = true
		probe.Keep(kept)
		all.Go(func() { probe.Run(ctx, nil) })
		c.board.mu.Lock()
		c.board.traffic = func(now time.Time) *Traffic { return summary(probe, a.ID, a.URL, now) }
		c.board.mu.Unlock()
		return
	}
}

func summary(probe *scenarios.Probe, app, url string, now time.Time) *Traffic {
	t := probe.Between(now.Add(-window*time.Second), now)
	out := &Traffic{App: app, URL: url, Seconds: window, Sent: t.Sent, Failed: t.Failed, Slow: t.Slow, Worst: t.Worst.Seconds(), ByTask: t.ByTask, Errors: t.Errors}
	var signs strings.Builder
	for _, a := range probe.Recent(recent) {
		signs.WriteRune(sign(a, now))
	}
	out.Recent = signs.String()
	return out
}

func sign(a scenarios.Answer, now time.Time) rune {
	switch {
	case a.Pending && now.Sub(a.Due) > time.Second:
		return SignWaiting
	case a.Pending:
		return SignFresh
	case a.Err != "":
		return SignFailed
	case a.Slow():
		return SignSlow
	}
	return SignGood
}
