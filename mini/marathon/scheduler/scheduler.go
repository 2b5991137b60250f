// Package scheduler is Marathon's side of the Mesos v1 scheduler API.
//
// Nouns: Client (keeps one framework subscribed at the leading master),
// Handler (who is told what happens), Mesos (where calls go), Detector (who
// leads the masters), Twin (an in-memory Mesos with agents and tasks that
// plays the other side, directly or over HTTP).
//
// Words on the wire are protobuf, types are mesos-go's. Calls go out one
// after the other in the order of Send; a call that could not be delivered
// comes back through Handler.Undelivered, so that nothing is silently
// forgotten. Handler methods are called in the order of the stream, except
// Undelivered, which comes from a goroutine of its own; none is ever called
// from inside Send, so a handler may hold its lock while it sends.
//
// A stream without a heartbeat for five intervals counts as dead; between
// attempts the Client backs off exponentially (100 ms to 5 s). It speaks to
// Mesos 1.0 and later. Left out: inverse offers, operations other than
// LAUNCH, authentication.
package scheduler

import (
	"context"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Call is a message to the master.
type Call = scheduler.Call

// Mesos takes calls. Send never blocks; the framework id is filled in on the
// way.
type Mesos interface {
	Send(*Call)
}

// Handler is told what Mesos says.
type Handler interface {
	// Subscribed comes first on every new stream. master is host:port.
	Subscribed(ctx context.Context, frameworkID, master string)
	// Disconnected says that the stream has ended. Its offers are void.
	Disconnected()
	Offers([]mesos.Offer)
	Rescinded(mesos.OfferID)
	Update(context.Context, mesos.TaskStatus)
	// Message is what an executor sends to its framework.
	Message(agent mesos.AgentID, executor mesos.ExecutorID, data []byte)
	// AgentLost says that an agent was removed.
	AgentLost(mesos.AgentID)
	// Undelivered returns a call that did not reach a master, or of which
	// nobody knows whether it did.
	Undelivered(*Call)
	// Fatal is Mesos' ERROR event: this framework has no future as it is.
	Fatal(message string)
}

// Detector finds the leading master.
type Detector interface {
	// Next blocks until the leader is another than known and returns its
	// host:port; "" means that there is none.
	Next(ctx context.Context, known string) (string, error)
}

// Fixed is a master that is given by its address.
type Fixed string

// Next returns the address once and then only waits for ctx.
func (f Fixed) Next(ctx context.Context, known string) (string, error) {
	if known != string(f) {
		return string(f), nil
	}
	<-ctx.Done()
	return "", ctx.Err()
}
