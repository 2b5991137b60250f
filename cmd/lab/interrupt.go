package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// killer ends the process at the second Ctrl-C, after what must not outlive
// it: Vagrant works in a process group of its own, which no terminal reaches.
type killer struct {
	stop context.CancelFunc

	mu    sync.Mutex
	kills []func()
}

// interruptible returns a context that the first SIGINT or SIGTERM cancels.
// The second one ends the process at once, with exit code 130.
func interruptible(parent context.Context) (context.Context, *killer) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	k := &killer{stop: sync.OnceFunc(func() {
		signal.Stop(signals)
		close(ended)
		cancel()
	})}
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-ended:
				return
			}
			if ctx.Err() == nil {
				cancel()
				continue
			}
			k.kill()
			os.Exit(130)
		}
	}()
	return ctx, k
}

// add names something that kill has to end.
func (k *killer) add(kill func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kills = append(k.kills, kill)
}

func (k *killer) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, kill := range k.kills {
		kill()
	}
}
