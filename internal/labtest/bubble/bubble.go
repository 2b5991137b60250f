// Package bubble runs tests on a clock of their own: testing/synctest's
// bubbles, and what the race detector needs beside them.
//
// It owns nothing else, and imports nothing of lab's, so that any package's
// tests can use it.
package bubble

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// Test is synctest.Test. With the race detector the process has one processor
// meanwhile: there all timers of a bubble share one of the detector's threads,
// and two that fire at once, each in a goroutine on a processor of its own, end
// the process by a signal in __tsan::SlotLock or a failed CHECK in tsan_rtl.cpp
// (Go 1.26.8: (*timer).unlockAndRun takes bubble.timers.raceCtx without a lock;
// twenty lines of goroutines that wait for time.After(0) show it). Goroutines
// still take turns anywhere, so races are found as before.
func Test(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if Race {
		alone.enter()
		defer alone.leave()
	}
	synctest.Test(t, f)
}

// alone holds the process to one processor while a bubble stands. Tests that
// run in parallel share it: processors are the process's.
var alone processors

type processors struct {
	mu      sync.Mutex
	bubbles int
	before  int
}

func (p *processors) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bubbles++; p.bubbles == 1 {
		p.before = runtime.GOMAXPROCS(1)
	}
}

func (p *processors) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bubbles--; p.bubbles == 0 {
		runtime.GOMAXPROCS(p.before)
	}
}
