package lab

import (
	"context"
	"time"
)

// Disturbance is something wrong with the network between two machines of a
// lab.
type Disturbance struct {
	Node, Peer string // names of two machines
	// Cut says that neither gets a packet from the other.
	Cut bool
	// What Node sends to Peer takes longer by Delay ± Jitter, and of its
	// packets the share Loss (0 … 1) never comes.
	Delay, Jitter time.Duration
	Loss          float64
}

// Networker is what a provider may have besides Provider, to disturb the
// network between its machines by itself. Where it has not, machines that are
// whole Linux systems (Features.Real) are disturbed from the inside.
type Networker interface {
	// CanDisturb says why a disturbance cannot be done exactly, or nil. It
	// changes nothing.
	CanDisturb(ctx context.Context, plan Plan, d Disturbance) error
	// Disturb brings the network between the plan's machines into exactly this
	// state; an empty list mends everything. Machines that do not run are left
	// out: a boot forgets what was wrong. It returns when that is in force, and
	// may be repeated.
	Disturb(ctx context.Context, plan Plan, all []Disturbance) error
}
