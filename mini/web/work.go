package web

import (
	"context"
	"fmt"
	"io"
	"time"
)

// maxMemoryMiB bounds what the memory hog takes from a computer that it
// shares with others.
const maxMemoryMiB = 4096

// fillSteps is in how many steps the memory is filled, one each fillEvery: a
// curve that can be watched.
const (
	fillSteps = 50
	fillEvery = 100 * time.Millisecond
)

// fill takes memory step by step, touching every page so that it counts, and
// keeps it until ctx ends.
func fill(ctx context.Context, bytes int64, log io.Writer) {
	const page = 4096
	held := make([][]byte, 0, fillSteps)
	for range fillSteps {
		if !wait(ctx, fillEvery) {
			return
		}
		part := make([]byte, bytes/fillSteps)
		for i := 0; i < len(part); i += page {
			part[i] = 1
		}
		held = append(held, part)
	}
	fmt.Fprintf(log, "web: holds %d MiB\n", int64(len(held))*(bytes/fillSteps)>>20)
	<-ctx.Done()
	clear(held)
}

// work is the batch job: no server, ten lines of progress, 0 when it is done
// and 143 when it is told to end before, as a program that SIGTERM ends.
func work(ctx context.Context, length time.Duration, log io.Writer) int {
	const parts = 10
	for i := range parts {
		if !wait(ctx, length/parts) {
			fmt.Fprintln(log, "job: told to end, unfinished")
			return 143
		}
		fmt.Fprintf(log, "job: %d %%\n", 100*(i+1)/parts)
	}
	return 0
}
