// Package updates keeps the status updates of tasks until their scheduler has
// acknowledged them.
//
// A Stream holds the updates of one task in order. Only the first travels;
// the next goes when that one is acknowledged. Delay says when an
// unacknowledged one is sent again: after 10 s, then 20 s, doubling to 10 min
// (contracts, mesos-measured: "unacknowledged update resent").
//
// Streams are plain values for one goroutine; they send nothing and read no
// clock.
package updates

import (
	"bytes"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// The first and the longest wait for an acknowledgement.
const (
	FirstDelay = 10 * time.Second
	MaxDelay   = 10 * time.Minute
)

// Stream is the updates of one task that nobody has acknowledged yet, oldest
// first.
type Stream struct {
	Pending []mesos.TaskStatus
	sent    int // how often the first was sent
}

// Add appends an update, which must have a UUID.
func (s *Stream) Add(u mesos.TaskStatus) { s.Pending = append(s.Pending, u) }

// Next returns the update to send now and how long to wait for its
// acknowledgement before Next is due again; false if there is none.
func (s *Stream) Next() (mesos.TaskStatus, time.Duration, bool) {
	if len(s.Pending) == 0 {
		return mesos.TaskStatus{}, 0, false
	}
	d := Delay(s.sent)
	s.sent++
	return s.Pending[0], d, true
}

// Restart makes Next begin with the shortest wait again, as a new master does.
func (s *Stream) Restart() { s.sent = 0 }

// InFlight says that the first update was sent at least once.
func (s *Stream) InFlight() bool { return s.sent > 0 && len(s.Pending) > 0 }

// Ack removes the first update if its UUID is this one and it was sent, and
// returns it. Anything else is a repeated or stray acknowledgement and changes
// nothing.
func (s *Stream) Ack(uuid []byte) (mesos.TaskStatus, bool) {
	if !s.InFlight() || !bytes.Equal(s.Pending[0].UUID, uuid) {
		return mesos.TaskStatus{}, false
	}
	u := s.Pending[0]
	s.Pending = s.Pending[1:]
	s.sent = 0
	return u, true
}

// Delay is how long to wait for an acknowledgement after the update was sent
// for the n-th time, n from 0.
func Delay(n int) time.Duration {
	if n > 6 {
		return MaxDelay
	}
	return min(FirstDelay<<n, MaxDelay)
}

// Terminal says that no update can follow one of this state.
func Terminal(s mesos.TaskState) bool {
	switch s {
	case mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED, mesos.TASK_ERROR, mesos.TASK_LOST,
		mesos.TASK_DROPPED, mesos.TASK_GONE, mesos.TASK_GONE_BY_OPERATOR:
		return true
	}
	return false
}
