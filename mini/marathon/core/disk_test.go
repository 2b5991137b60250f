package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathon/store"
)

// patience is --zk_timeout: nobody waits longer for the store.
const patience = 10 * time.Second

// disk is a store in memory on a disk that is slow or full. As in ZooKeeper,
// what is asked happens in the order in which it was asked, what a session
// asked before its end too, and who loses patience knows nothing: a write may
// happen after all.
type disk struct {
	*store.Memory
	// slow is how long the next write takes, full whether there is no room
	// for it; nil is never.
	slow func(key string) time.Duration
	full func(key string) bool

	mu      sync.Mutex
	last    chan struct{} // closed when what was asked last has happened
	waited  int           // writes that took time
	late    int           // of these, those that happened when nobody waited any more
	refused int           // for want of room
	doubt   map[string]bool
}

var _ store.Store = (*disk)(nil)

func newDisk(m *store.Memory) *disk {
	d := &disk{Memory: m, last: make(chan struct{}), doubt: map[string]bool{}}
	close(d.last)
	return d
}

// set says anew what goes wrong.
func (d *disk) set(slow func(string) time.Duration, full func(string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow, d.full = slow, full
}

// ask has something happen after all that was asked before.
func (d *disk) ask(ctx context.Context, key string, takes time.Duration, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d.mu.Lock()
	before, mine := d.last, make(chan struct{})
	d.last = mine
	d.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		<-before
		time.Sleep(takes)
		err := do()
		close(mine)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("ask for %s: %w: %w", key, store.ErrUnavailable, ctx.Err())
	}
}

func (d *disk) write(ctx context.Context, key string, do func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write %s: %w: %w", key, store.ErrUnavailable, err)
	}
	d.mu.Lock()
	var takes time.Duration
	if d.slow != nil {
		takes = d.slow(key)
	}
	if takes > 0 {
		d.waited++
	}
	if d.full != nil && d.full(key) {
		d.refused++
		do = func() error { return fmt.Errorf("write %s: %w", key, labtest.ErrDiskFull) }
	}
	d.mu.Unlock()
	err := d.ask(ctx, key, takes, do)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubt[key] = errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if d.doubt[key] {
		d.late++
	}
	return err
}

func (d *disk) Put(ctx context.Context, key string, value []byte) error {
	return d.write(ctx, key, func() error { return d.Memory.Put(ctx, key, value) })
}

func (d *disk) Delete(ctx context.Context, key string) error {
	return d.write(ctx, key, func() error { return d.Memory.Delete(ctx, key) })
}

func (d *disk) Get(ctx context.Context, key string) (value []byte, err error) {
	var got []byte
	err = d.ask(ctx, key, 0, func() (err error) { got, err = d.Memory.Get(ctx, key); return err })
	if err != nil {
		return nil, err
	}
	return got, nil
}

func (d *disk) Keys(ctx context.Context) ([]string, error) {
	var got []string
	err := d.ask(ctx, "all keys", 0, func() (err error) { got, err = d.Memory.Keys(ctx); return err })
	if err != nil {
		return nil, err
	}
	return got, nil
}

// counts are how often what happened.
func (d *disk) counts() (waited, late, refused int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waited, d.late, d.refused
}

// inDoubt says that nobody knows whether what was last written under a key is
// there.
func (d *disk) inDoubt(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.doubt[key]
}
