package labtest

import (
	"errors"
	"sync"
	"time"
)

// ErrDiskFull is what a SlowDisk says that has no room.
var ErrDiskFull = errors.New("no space left on device")

// SlowDisk is a disk that takes its time, or has no room, as a test says. It
// belongs into a synctest bubble, where waiting for it costs nothing.
type SlowDisk struct {
	mu    sync.Mutex
	takes func() time.Duration
	full  func() bool
	count DiskCount
}

// DiskCount is what a disk has done.
type DiskCount struct {
	Writes  int // since Set
	Waited  int // of all writes those that took time
	Refused int // of all writes those for which there was no room
}

// Set says anew how long a write takes and for which there is no room; nil is
// never.
func (d *SlowDisk) Set(takes func() time.Duration, full func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.takes, d.full, d.count.Writes = takes, full, 0
}

// Count says what it has done.
func (d *SlowDisk) Count() DiskCount {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Before is what comes before a write: it takes the write's time, and returns
// its error.
func (d *SlowDisk) Before() error {
	wait, err := d.next()
	time.Sleep(wait)
	return err
}

func (d *SlowDisk) next() (wait time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count.Writes++
	if d.takes != nil {
		wait = d.takes()
	}
	if wait > 0 {
		d.count.Waited++
	}
	if d.full != nil && d.full() {
		d.count.Refused++
		err = ErrDiskFull
	}
	return wait, err
}

// Steady is a disk that always takes that long.
func Steady(d time.Duration) func() time.Duration { return func() time.Duration { return d } }
