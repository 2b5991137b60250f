// Package store keeps what Marathon must not forget, and says which Marathon
// leads.
//
// Nouns: Store (flat keys with small values), Election (who leads), Memory
// (the in-memory twin of both), ZooKeeper (the real ones, one session for
// state and leadership, so that who loses one loses the other).
//
// Everything lies under the path of --zk: <zk>/state/<key> holds the values
// (gzip above 64 KiB; *TooLargeError beyond --zk_max_node_size), <zk>/leader/member_<seq>
// are ephemeral candidates whose data is host:port; the lowest leads.
// A call returns within its time-out; while there is no session it fails at
// once with ErrUnavailable. Leadership ends when the session has expired or
// has been without a connection for the session time-out. In a silent cut
// the old leader may notice some seconds after the new one was elected;
// Mesos' own rule (one stream a framework) settles that.
package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// ErrUnavailable says that the store cannot be reached now.
var ErrUnavailable = errors.New("the state store is not available")

// ErrNotFound says that there is no such key.
var ErrNotFound = errors.New("no such key")

// TooLargeError says that a value is more than the store takes.
type TooLargeError struct{ Size, Max int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the value has %d bytes, a node of the state store holds %d", e.Size, e.Max)
}

// Store is a flat map that outlives the process. Keys hold no slash. Calls take
// effect in their order, also one that failed and does so later: after
// ErrUnavailable nobody knows. One whose context has ended before it does
// nothing.
type Store interface {
	Keys(ctx context.Context) ([]string, error)
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte) error
	// Delete of a missing key is no error.
	Delete(ctx context.Context, key string) error
}

// Election decides which Marathon leads.
type Election interface {
	// Run offers candidacy until ctx ends and calls lead each time this
	// process is elected. The context it gets ends with the leadership; the
	// next candidacy starts when lead has returned. A lead that returns by
	// itself steps down.
	Run(ctx context.Context, lead func(ctx context.Context)) error
	// Leader is host:port of whoever leads, or "" while nobody is known.
	Leader() string
	// Abdicate ends the current leadership, if it is ours.
	Abdicate()
}

// Memory is a Store, and the Election of a single candidate, in memory.
type Memory struct {
	// Address is what Leader returns while this candidate leads.
	Address string

	mu      sync.Mutex
	values  map[string][]byte
	down    bool
	leading bool
	depose  context.CancelFunc
	up      chan struct{} // closed when the store is available
}

var (
	_ Store    = (*Memory)(nil)
	_ Election = (*Memory)(nil)
)

// NewMemory returns an empty twin that is available.
func NewMemory(address string) *Memory {
	up := make(chan struct{})
	close(up)
	return &Memory{Address: address, values: map[string][]byte{}, up: up}
}

// SetAvailable plays the loss (false) and return (true) of the store. The
// loss deposes the leader, as an expired session would.
func (m *Memory) SetAvailable(ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == !ok {
		return
	}
	m.down = !ok
	if ok {
		close(m.up)
		return
	}
	m.up = make(chan struct{})
	if m.depose != nil {
		m.depose()
	}
}

// Keys lists the keys, sorted.
func (m *Memory) Keys(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, ErrUnavailable
	}
	return slices.Sorted(maps.Keys(m.values)), nil
}

// Get reads one value.
func (m *Memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, ErrUnavailable
	}
	v, ok := m.values[key]
	if !ok {
		return nil, ErrNotFound
	}
	return slices.Clone(v), nil
}

// Put writes one value.
func (m *Memory) Put(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return ErrUnavailable
	}
	m.values[key] = slices.Clone(value)
	return nil
}

// Delete removes one value.
func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return ErrUnavailable
	}
	delete(m.values, key)
	return nil
}

// Run elects this candidate whenever the store is available.
func (m *Memory) Run(ctx context.Context, lead func(context.Context)) error {
	for {
		m.mu.Lock()
		up := m.up
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-up:
		}
		if ctx.Err() != nil { // both were ready
			return ctx.Err()
		}
		term, cancel := context.WithCancel(ctx)
		m.setLeading(true, cancel)
		lead(term)
		cancel()
		m.setLeading(false, nil)
	}
}

func (m *Memory) setLeading(on bool, depose context.CancelFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leading, m.depose = on, depose
	if on && m.down {
		depose()
	}
}

// Peek reads a value also while the store plays dead: what a test may see and
// nobody else.
func (m *Memory) Peek(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	return v, ok
}

// Leader is Address while this candidate leads.
func (m *Memory) Leader() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.leading {
		return ""
	}
	return m.Address
}

// Abdicate ends the current term; the next begins at once.
func (m *Memory) Abdicate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.depose != nil {
		m.depose()
	}
}
