package provision

import (
	"context"
	"net"
	"time"
)

// remembering makes an attempt that is cut off by the end of the whole wait
// report what the attempt before it saw: "refused" says more than "deadline
// exceeded".
func remembering(fn func(context.Context) error) func(context.Context) error {
	var last error
	return func(ctx context.Context) error {
		err := fn(ctx)
		if err != nil && ctx.Err() != nil && last != nil {
			return last
		}
		last = err
		return err
	}
}

// bounded gives each dial its own time-out: http.Transport goes on dialling
// for the next request when the one that asked has given up, and a machine
// without power would keep it busy for minutes.
func bounded(dial DialFunc, limit time.Duration) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return dial(ctx, network, addr)
	}
}
