package lab

import "context"

// Severity says how much a finding matters.
type Severity string

// The severities, mildest first. Only Stop keeps a lab from being made.
const (
	SeverityOK   Severity = "ok"
	SeverityNote Severity = "note" // worth knowing
	SeverityWarn Severity = "warn" // works, but will hurt
	SeverityStop Severity = "stop" // a lab cannot be made like this
)

// Finding is what one check of this computer has found, for lab doctor.
type Finding struct {
	ID       string   `json:"id"` // stable word of the check: vagrant-version, subnet-taken
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`             // what was found
	Advice   string   `json:"advice,omitempty"` // what to do about it
	// Err, where it is not nil, is the failure that this would become: whoever
	// stops because of the finding returns it.
	Err error `json:"-"`
	// Repair, where it is not nil, mends what was found and is safe to do
	// without asking; RepairText says in advance what it does.
	Repair     func(context.Context) error `json:"-"`
	RepairText string                      `json:"repair,omitempty"`
}

// Depth says how long a check may take.
type Depth int

// CheckQuick is for what create looks at before it begins: a second at most,
// no other program that takes longer. CheckFull is lab doctor's.
const (
	CheckQuick Depth = iota
	CheckFull
)

// Checker is what a provider may have besides Provider: it looks for what
// would break the lab of a plan before anything is made, and changes nothing.
// plan.Nodes is what the lab wants, plan.Dir need not exist.
type Checker interface {
	Check(ctx context.Context, plan Plan, depth Depth) []Finding
}

// Readier is what a provider may have besides Provider, to be chosen by
// provider: auto. Ready returns nil if machines like the plan's can be made
// with what is here already, with nothing downloaded, built or installed; else
// an error that says in a few words what is missing. It takes a second at
// most.
type Readier interface {
	Ready(ctx context.Context, plan Plan) error
}

// Foreseen is what is known of machines before they exist. Zero fields are not
// known.
type Foreseen struct {
	Arch   string // as Go calls it
	Cgroup int    // version 1 or 2
	// SharedKernel says that machines have this computer's kernel: its cgroup
	// version cannot be changed for them.
	SharedKernel bool
	// Engine is the version of the Docker engine inside, API and MinAPI the
	// range of API versions that it speaks.
	Engine, API, MinAPI string
}

// Foreseer is what a provider may have besides Provider: it tells what a
// plan's machines will be like. It takes a second at most and changes nothing.
type Foreseer interface {
	Foresee(ctx context.Context, plan Plan) Foreseen
}
