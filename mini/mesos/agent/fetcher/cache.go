package fetcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

// Cache is a folder with files that were fetched once. Safe for concurrent use;
// one process uses a folder.
type Cache struct {
	dir  string
	size int64

	mu      sync.Mutex
	serial  int
	used    int64
	entries map[string]*entry
	order   []*entry // least recently used first
}

// entry is one URI for one user.
type entry struct {
	key, name string
	ready     chan struct{} // closed when it is there, or err is set
	err       error
	size      int64
	users     int // jobs that have it
}

// ErrNoRoom says that something is larger than what the cache may hold, or than
// what can be thrown out of it.
var ErrNoRoom = errors.New("not enough space in the cache")

// NewCache returns an empty cache in dir, which it empties: what an earlier run
// has left is not used again (Mesos: Fetcher::recover). It holds size bytes.
func NewCache(dir string, size int64) (*Cache, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("clear fetcher cache: %w", err)
	}
	return &Cache{dir: dir, size: size, entries: map[string]*entry{}}, nil
}

// get returns what a URI brought, which bring fetches into a file of dir if it is
// not there. Whoever else wants it meanwhile waits. The entry must be released.
func (c *Cache) get(ctx context.Context, user, uri string, bring func(dir *os.Root, name string) error) (*entry, error) {
	key := user + "@" + uri
	c.mu.Lock()
	e := c.entries[key]
	mine := e == nil
	if mine {
		base, err := basename(uri)
		if err != nil {
			c.mu.Unlock()
			return nil, err
		}
		if len(base) > 20 { // both ends: the ending says what it is
			base = base[:10] + "_" + base[len(base)-10:]
		}
		c.serial++
		e = &entry{key: key, name: "c" + strconv.Itoa(c.serial) + "-" + base, ready: make(chan struct{})}
		c.entries[key] = e
	}
	c.order = append(slices.DeleteFunc(c.order, func(o *entry) bool { return o == e }), e)
	e.users++
	c.mu.Unlock()
	if mine {
		c.fill(e, bring)
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		c.release(e)
		return nil, context.Cause(ctx)
	}
	if e.err != nil {
		c.release(e)
		return nil, e.err
	}
	return e, nil
}

// fill fetches an entry and makes room for it.
func (c *Cache) fill(e *entry, bring func(dir *os.Root, name string) error) {
	defer close(e.ready)
	size, err := c.download(e.name, bring)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = c.reserve(size)
	}
	if err != nil {
		e.err = err
		c.forget(e)
		return
	}
	e.size = size
	c.used += size
}

func (c *Cache) download(name string, bring func(dir *os.Root, name string) error) (int64, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return 0, err
	}
	dir, err := os.OpenRoot(c.dir)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	if err := bring(dir, name); err != nil {
		return 0, err
	}
	i, err := dir.Stat(name)
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

// reserve throws out what nobody uses until there is room. The lock is held.
func (c *Cache) reserve(size int64) error {
	for c.used+size > c.size {
		i := slices.IndexFunc(c.order, func(e *entry) bool { return e.users == 0 })
		if i < 0 {
			return fmt.Errorf("%w: %d bytes wanted, %d of %d used", ErrNoRoom, size, c.used, c.size)
		}
		c.forget(c.order[i])
	}
	return nil
}

// forget removes an entry with its file. The lock is held.
func (c *Cache) forget(e *entry) {
	if c.entries[e.key] == e {
		delete(c.entries, e.key)
	}
	c.order = slices.DeleteFunc(c.order, func(o *entry) bool { return o == e })
	c.used -= e.size
	e.size = 0
	os.Remove(filepath.Join(c.dir, e.name)) // what stays is nobody's until the next start
}

func (c *Cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.users--
}

// open opens an entry's file.
func (c *Cache) open(e *entry) (*os.File, error) { return os.Open(filepath.Join(c.dir, e.name)) }
