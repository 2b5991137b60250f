package computer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// Check is one question about this computer.
type Check struct {
	ID    string    // stable; the name of its step in events, and of most of its findings
	Depth lab.Depth // lab.CheckFull is left out of quick surveys
	// Look returns what it found; nothing at all means that the question does
	// not arise here.
	Look func(ctx context.Context) []lab.Finding
}

// quickTime and fullTime bound a check: a quick one must not delay a create, a
// full one may start Vagrant, which takes seconds on a slow computer.
const (
	quickTime = 900 * time.Millisecond
	fullTime  = 30 * time.Second
)

// Survey asks all checks of this depth at the same time and returns what they
// found, in the order of the checks. Each is a step of report whose end people
// need not hear of.
func Survey(ctx context.Context, report lab.Report, depth lab.Depth, checks []Check) []lab.Finding {
	limit := fullTime
	if depth == lab.CheckQuick {
		limit = quickTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("no answer in "+limit.String()))
	defer cancel()
	found := make([][]lab.Finding, len(checks))
	var group sync.WaitGroup
	for i, c := range checks {
		if c.Depth > depth {
			continue
		}
		group.Go(func() {
			_ = quiet(report).Step("doctor", "", c.ID, func(func(string)) error {
				found[i] = c.Look(ctx)
				return nil
			})
		})
	}
	group.Wait()
	var out []lab.Finding
	for _, f := range found {
		out = append(out, f...)
	}
	return out
}

// quiet marks the ends of steps as nothing that people need to hear of.
func quiet(report lab.Report) lab.Report {
	return func(e lab.Event) {
		if e.Kind == lab.EventDone {
			e.Data["quiet"] = true
		}
		report.Emit(e)
	}
}
