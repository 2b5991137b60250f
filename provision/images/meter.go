package images

import (
	"fmt"
	"sync"
	"time"
)

// often is the least time between two words on one thing's progress.
const often = 200 * time.Millisecond

// meter counts bytes and says how many there were, not too often. It is safe
// for concurrent use.
type meter struct {
	doing string
	total int64 // 0 where it is not known
	said  func(string)

	mu   sync.Mutex
	done int64
	last time.Time
}

// Write counts and keeps nothing.
func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	m.done += int64(len(p))
	m.mu.Unlock()
	m.tell()
	return len(p), nil
}

// set says how far it is.
func (m *meter) set(done, total int64) {
	m.mu.Lock()
	m.done, m.total = done, total
	m.mu.Unlock()
	m.tell()
}

func (m *meter) tell() {
	if m.said == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); now.Sub(m.last) >= often || m.done == m.total {
		m.last = now
		m.said(m.doing + " " + progress(m.done, m.total))
	}
}

// progress is "3.2 of 9.8 MB", in the unit of the larger.
func progress(done, total int64) string {
	unit, name := 1e6, "MB"
	if max(done, total) >= 1e9 {
		unit, name = 1e9, "GB"
	}
	if total <= 0 {
		return fmt.Sprintf("%.1f %s", float64(done)/unit, name)
	}
	return fmt.Sprintf("%.1f of %.1f %s", float64(done)/unit, float64(total)/unit, name)
}

// megabytes is a size for people.
func megabytes(n int64) string { return progress(n, 0) }
