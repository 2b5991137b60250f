package lab

import (
	"context"
	"time"
)

// Plan is what a provider gets: the lab's folder, the spec, the wanted nodes
// and whom to tell. Dir exists and belongs to this lab alone.
type Plan struct {
	Dir    string
	ID     string // the lab's id, 8 hex digits
	Spec   Spec
	Nodes  []Node
	Report Report
	// Answers says whether the engine of a node is seen to answer, and waits
	// until that is known; nil where nobody looks. A machine whose engine
	// answers runs: Status can save itself a costlier proof.
	Answers func(ctx context.Context, node string) bool
}

// Provider makes machines. Every method is idempotent and may be called
// again after any interruption: each first looks, then acts.
type Provider interface {
	// Features says what this provider can do.
	Features() Features
	// Up makes and starts what is missing of plan.Nodes and returns them all,
	// in that order. Machines that run are left alone.
	Up(ctx context.Context, plan Plan) ([]Machine, error)
	// Status reports on plan.Nodes without changing anything.
	Status(ctx context.Context, plan Plan) ([]MachineStatus, error)
	// Power changes the power of the named machines and returns when the
	// change is in force.
	Power(ctx context.Context, plan Plan, names []string, power Power) error
	// Destroy removes plan.Nodes, running or not, and what else it made for
	// them. A machine that does not exist is no error.
	Destroy(ctx context.Context, plan Plan) error
}

// Features describes a provider as data, so that nobody tests for names.
type Features struct {
	Name string
	// Real says that machines are whole systems with a real Docker engine.
	Real bool
	// OwnKernel says that a machine has a kernel of its own, which tells who asks
	// of the machine's size, and loses in a power cut what was not flushed to its
	// disk. Processes and containers have this computer's: it tells of the whole
	// computer's size and keeps what they have written.
	OwnKernel bool
	// PowerModes are those that Power accepts.
	PowerModes []Power
	// Subnets is the pool of /24 networks to choose from when none is given.
	Subnets []string
	// PingTimeout and PingTimeouts are Mesos' failure detection by default.
	PingTimeout  time.Duration
	PingTimeouts int
	// Stack is what stack: auto means: seed or mini.
	Stack string
}

// Power is a change of power.
type Power string

// Cut and Crash are two ways to die: Cut is a power cut, silent to everyone
// (open connections hang, new ones time out); Crash ends processes and the
// kernel answers for them with resets and refusals.
const (
	PowerOn    Power = "on"    // start, or go on after Pause
	PowerOff   Power = "off"   // clean shutdown
	PowerCut   Power = "cut"   // silent power cut
	PowerCrash Power = "crash" // all processes end at once
	PowerPause Power = "pause" // frozen; PowerOn goes on where it stood
)

// MachineState is what Status sees.
type MachineState string

// The states of a machine.
const (
	StateRunning MachineState = "running"
	StatePaused  MachineState = "paused"
	StateCut     MachineState = "cut"
	StateOff     MachineState = "off"
	StateMissing MachineState = "missing"
)

// MachineStatus is one machine as its provider sees it. Machine.SSH is set
// once the machine has been up.
type MachineStatus struct {
	Machine Machine      `json:"machine"`
	State   MachineState `json:"state"`
	Since   time.Time    `json:"since,omitzero"`
	PID     int          `json:"pid,omitempty"`
}

// Pooler is what a provider may have besides Provider, where the subnets that
// it takes by itself depend on the spec. Where it has not, they are those of
// Features.
type Pooler interface {
	// Pool lists subnets for a lab whose spec names none, best first.
	Pool(spec Spec) []string
}

// Pool lists the subnets that a provider takes by itself for a spec.
func Pool(p Provider, spec Spec) []string {
	if pooler, ok := p.(Pooler); ok {
		return pooler.Pool(spec)
	}
	return p.Features().Subnets
}
