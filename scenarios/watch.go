package scenarios

import (
	"context"
	"slices"
	"sync"
	"time"
)

// sampleEvery is the pause between samples; with it, a phase's end is known
// to a twentieth of a second.
const sampleEvery = 50 * time.Millisecond

// watcher runs the samplers and the event stream of one app.
type watcher struct {
	cluster Cluster
	app     string
	history *History
	nodeOf  func(ip string) string
}

// run observes until ctx ends.
func (w *watcher) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { w.stream(ctx) })
	all.Go(func() {
		w.sample(ctx, func(ctx context.Context, now func() time.Time) error {
			asked := now()
			app, err := w.cluster.App(ctx, w.app)
			if err == nil {
				w.history.SawApp(asked, now(), app, w.nodeOf)
			}
			return err
		})
	})
	all.Go(func() {
		w.sample(ctx, func(ctx context.Context, now func() time.Time) error {
			agents, err := w.cluster.Agents(ctx)
			if err == nil {
				w.history.SawAgents(now(), agents, w.nodeOf)
			}
			return err
		})
	})
	all.Go(func() {
		w.sample(ctx, func(ctx context.Context, now func() time.Time) error {
			servers, older, err := w.balancer(ctx)
			if err == nil {
				w.history.SawBackends(now(), servers, older)
			}
			return err
		})
	})
	all.Wait()
}

// balancer asks for the servers and, where one of them is being drained, whether
// an older process of the load balancer may be answering requests that its
// statistics do not count. That comes second: one that has ended by then is none.
func (w *watcher) balancer(ctx context.Context) (servers []Backend, older bool, err error) {
	servers, err = w.cluster.Backends(ctx, w.app)
	if err == nil && slices.ContainsFunc(servers, func(b Backend) bool { return b.Status == statusMaint }) {
		older, err = w.cluster.Reloading(ctx)
	}
	return servers, older, err
}

// sample calls fn until ctx ends. A failed sample leaves a gap in the record,
// which is what the verdict looks at.
func (w *watcher) sample(ctx context.Context, fn func(context.Context, func() time.Time) error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		one, cancel := context.WithTimeout(ctx, 2*time.Second)
		fn(one, time.Now)
		cancel()
		timer.Reset(sampleEvery)
	}
}

// stream follows Marathon's events. A stream that broke is opened again: what
// came in between is lost, and stays so unless the run explains it.
func (w *watcher) stream(ctx context.Context) {
	for ctx.Err() == nil {
		w.cluster.Events(ctx, func(e StreamEvent) {
			if w.history.about(w.app, e.App) {
				w.history.SawEvent(time.Now(), e, w.nodeOf)
			}
		})
		if ctx.Err() == nil {
			w.history.StreamEnded(time.Now())
		}
		select {
		case <-ctx.Done():
		case <-time.After(sampleEvery):
		}
	}
}
