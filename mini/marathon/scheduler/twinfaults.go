package scheduler

import (
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Faults are what goes wrong in a Twin. Its functions are called under the
// Twin's lock and must not call it; nil is never. Set them before Attach.
type Faults struct {
	// Lose drops a call on its way, without a word to anybody. An answer to
	// an offer is lost with its connection, and so are the offers it names.
	Lose func(*Call) bool
	// Vanish takes an offer back the moment it is made: it is rescinded, and
	// who accepts it is told TASK_LOST.
	Vanish func() bool
	// Skew is how wrong the clock is that stamps a status.
	Skew func() time.Duration
	// Acknowledged is told about an update the moment its acknowledgement
	// comes.
	Acknowledged func(mesos.TaskStatus)
}

// withdraw forgets the offers that a lost call has answered.
func (m *Twin) withdraw(c *Call) {
	for _, o := range append(c.GetAccept().GetOfferIDs(), c.GetDecline().GetOfferIDs()...) {
		delete(m.offers, o.Value)
	}
}
