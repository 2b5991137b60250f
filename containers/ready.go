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

// Ready implements lab.Readier: the engine answers and has the machine image.
func (p *Provider) Ready(ctx context.Context, _ lab.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	found, err := p.ImageReady(ctx)
	switch {
	case err != nil:
		return errors.New("no engine answers")
	case !found:
		return errors.New("its machine image is not built yet")
	}
	return nil
}
