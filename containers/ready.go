package containers

import (
	"context"
	"errors"
	"time"

	"github.com/mesoslab/lab"
)

var _ lab.Readier = (*Provider)(nil)

// readyWait bounds what a dead engine may cost whoever asks.
const readyWait = 900 * time.Millisecond

// Ready implements lab.Readier: the engine answers, its containers can be
// machines, and it has the machine image.
func (p *Provider) Ready(ctx context.Context, plan lab.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	q := &inquiry{Provider: p, plan: plan}
	switch lab.ErrorID(q.ask(ctx)) {
	case "":
	case "engine-unsuitable":
		return errors.New("a Docker that cannot make machines")
	case "engine-too-old":
		return errors.New("a Docker that is too old")
	default:
		return errors.New("no Docker engine")
	}
	if found, err := p.ImageReady(ctx); err != nil || !found {
		return errors.New("no machine image for Docker yet")
	}
	return nil
}
