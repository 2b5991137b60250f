//go:build unix

package machine

import (
	"context"
	"errors"
	"net"
	"time"
)

// The pause between two attempts to accept, where no connection ends
// meanwhile: it doubles.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// acceptEach serves every connection by itself until the listener is closed or
// ctx ends. An accept that fails (no descriptor is left) is reported, and
// tried again when one of the connections has ended, or after a while: the
// descriptors may belong to others.
func acceptEach(ctx context.Context, l net.Listener, serve func(net.Conn), failed func(error)) {
	vacancy := make(chan struct{}, 1) // one has ended since the last look
	pause := firstPause
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return
		}
		if err == nil {
			pause = firstPause
			go func() {
				serve(c)
				select {
				case vacancy <- struct{}{}:
				default:
				}
			}()
			continue
		}
		failed(err)
		wait := time.NewTimer(pause)
		select {
		case <-vacancy:
		case <-wait.C:
			pause = min(2*pause, lastPause)
		case <-ctx.Done():
		}
		wait.Stop()
	}
}
