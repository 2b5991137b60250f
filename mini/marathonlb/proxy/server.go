package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// server is one server of a backend while any configuration lists it, and
// longer if exchanges with it are under way.
type server struct {
	conf     atomic.Pointer[Server]
	counters counters
	gone     atomic.Bool // no configuration in force lists it

	mu        sync.Mutex
	check     *Check
	stopCheck context.CancelFunc
	health    int // 0…Rise+Fall-1; at Rise and above the server is up
	seen      result
	failed    int64 // failed checks
	state     upDown
}

func newServer(conf Server, now time.Time) *server {
	s := &server{state: upDown{changed: now}}
	s.conf.Store(&conf)
	return s
}

// usable says whether new connections may go to it.
func (s *server) usable() bool {
	return !s.gone.Load() && !s.conf.Load().Disabled && s.up()
}

func (s *server) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.check == nil || s.health >= s.check.rise()
}

func (c *Check) rise() int {
	if c.Rise == 0 {
		return 2
	}
	return c.Rise
}

func (c *Check) full() int { return c.rise() + c.Fall - 1 }

// record takes the result of a check into account and reports whether the
// server went up or down by it.
func (s *server) record(r result, now time.Time) (changed, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.check == nil {
		return false, true
	}
	s.seen = r
	rise, was := s.check.rise(), s.health >= s.check.rise()
	switch {
	case r.ok:
		if s.health++; s.health >= rise {
			s.health = s.check.full()
		}
	case s.health > rise:
		s.health--
		s.failed++
	default:
		if was {
			s.failed++
		}
		s.health = 0
	}
	up = s.health >= rise
	s.state.set(!up, now)
	return up != was, up
}

// setCheck makes c the way s is probed; false means that it already is. Stop
// ends the probing that starts now. Health is kept where it makes sense.
func (s *server) setCheck(c *Check, stop context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil && s.check != nil && *c == *s.check {
		return false
	}
	if s.stopCheck != nil {
		s.stopCheck()
	}
	switch {
	case c == nil:
		s.seen = result{}
	case s.check == nil:
		s.health, s.seen = c.rise(), result{status: "INI"}
	case s.health >= s.check.rise():
		s.health = c.full()
	default:
		s.health = 0
	}
	s.check, s.stopCheck = c, stop
	return true
}

// upDown is how often and how long a server or backend was down.
type upDown struct {
	down    bool
	downs   int64
	changed time.Time
	before  time.Duration // spent down until changed
}

// set notes the state of a moment.
func (u *upDown) set(down bool, now time.Time) {
	if u.down == down {
		return
	}
	if down {
		u.downs++
	} else {
		u.before += now.Sub(u.changed)
	}
	u.down, u.changed = down, now
}

// downtime is all the time spent down.
func (u *upDown) downtime(now time.Time) time.Duration {
	if u.down {
		return u.before + now.Sub(u.changed)
	}
	return u.before
}
