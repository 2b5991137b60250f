//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// followWindow calls changed whenever the terminal's size changes, until ctx
// ends, and once at the beginning: it may have changed meanwhile.
func followWindow(ctx context.Context, changed func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	defer signal.Stop(signals)
	for {
		changed()
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
	}
}
