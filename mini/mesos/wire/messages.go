package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Kind names a message on the wire.
type Kind string

// The kinds, in the order of the types below.
const (
	KindRegister          Kind = "register"
	KindReregister        Kind = "reregister"
	KindPong              Kind = "pong"
	KindStatusUpdate      Kind = "status_update"
	KindUnregister        Kind = "unregister"
	KindRegistered        Kind = "registered"
	KindReregistered      Kind = "reregistered"
	KindShutdown          Kind = "shutdown"
	KindPing              Kind = "ping"
	KindRunTask           Kind = "run_task"
	KindKillTask          Kind = "kill_task"
	KindAck               Kind = "ack"
	KindShutdownFramework Kind = "shutdown_framework"
	KindReconcile         Kind = "reconcile"
	KindUpdateFramework   Kind = "update_framework"
	KindCheckpoint        Kind = "checkpoint_resources"
)

// Message is one of the pointer types of this file.
type Message interface{ Kind() Kind }

// Register is the first message of an agent without an id. PID is where it
// listens, "slave(1)@ip:port". Version is its Mesos version ("1.3.2").
// Checkpoint says that it can recover tasks after a restart. Reserved is what
// it was last told by a CheckpointResources.
type Register struct {
	Agent      AgentInfo  `json:"agent"`
	PID        string     `json:"pid"`
	Version    string     `json:"version"`
	Checkpoint bool       `json:"checkpoint"`
	Reserved   []Resource `json:"reserved,omitempty"`
}

// Reregister is the first message of an agent that has an id, in Agent.ID.
// Tasks are all that have not ended or whose last update is unacknowledged,
// with State the latest state the agent knows, StatusUpdateState and
// StatusUpdateUUID those of the update last sent, and Statuses, oldest first.
// Completed are ended and acknowledged ones it still remembers. Frameworks
// holds the FrameworkInfo of every framework named in either.
type Reregister struct {
	Agent      AgentInfo       `json:"agent"`
	PID        string          `json:"pid"`
	Version    string          `json:"version"`
	Checkpoint bool            `json:"checkpoint"`
	Reserved   []Resource      `json:"reserved,omitempty"` // as in Register
	Tasks      []Task          `json:"tasks,omitempty"`
	Completed  []Task          `json:"completed,omitempty"`
	Frameworks []FrameworkInfo `json:"frameworks,omitempty"`
}

// Pong answers the Ping of the same Seq, at once.
type Pong struct {
	Seq uint64 `json:"seq"`
}

// StatusUpdate carries one update of a task. Status.UUID is set and identifies
// it; the agent sends it again after 10 s, then 20 s and so on (doubling, at
// most 10 min) until an Ack with that UUID comes. LatestState is the newest
// state of the task the agent knows, which may be ahead of Status.State.
type StatusUpdate struct {
	FrameworkID string          `json:"framework_id"`
	Status      TaskStatus      `json:"status"`
	LatestState mesos.TaskState `json:"latest_state"`
}

// Unregister says the agent leaves for good (SIGUSR1 in the real one).
type Unregister struct{}

// Registered answers Register. TotalPingTimeout is how long an agent may miss
// pings before it must take the master for gone and connect anew.
type Registered struct {
	AgentID          string        `json:"agent_id"`
	TotalPingTimeout time.Duration `json:"total_ping_timeout_ns"`
}

// Reregistered answers Reregister. Reconcile lists the tasks that the master
// believes on this agent and the agent did not list: it answers each with a
// TASK_LOST update. Frameworks that must not run here any more are shut down
// with ShutdownFramework messages after this one.
type Reregistered struct {
	AgentID          string        `json:"agent_id"`
	TotalPingTimeout time.Duration `json:"total_ping_timeout_ns"`
	Reconcile        []TaskRef     `json:"reconcile,omitempty"`
}

// Shutdown tells the agent to kill everything it runs and to end (exit code
// 0, next start under a new id): it was removed.
type Shutdown struct {
	Message string `json:"message"`
}

// Ping asks for a Pong. Connected false means that the master takes this
// agent for disconnected: it should register again.
type Ping struct {
	Seq       uint64 `json:"seq"`
	Connected bool   `json:"connected"`
}

// RunTask starts a task.
type RunTask struct {
	Framework FrameworkInfo `json:"framework"`
	Task      TaskInfo      `json:"task"`
}

// KillTask ends a task. GracePeriod is the scheduler's kill policy for this
// kill; nil means the task's own policy.
type KillTask struct {
	FrameworkID string         `json:"framework_id"`
	TaskID      string         `json:"task_id"`
	GracePeriod *time.Duration `json:"grace_period_ns,omitempty"`
}

// Ack says the scheduler has seen the update UUID of the task.
type Ack struct {
	FrameworkID string `json:"framework_id"`
	TaskID      string `json:"task_id"`
	UUID        []byte `json:"uuid"`
}

// ShutdownFramework ends every task of the framework and forgets it,
// unacknowledged updates included.
type ShutdownFramework struct {
	FrameworkID string `json:"framework_id"`
}

// Reconcile asks for the agent's word on tasks: for each one it does not know
// it answers with a TASK_LOST update (REASON_RECONCILIATION).
type Reconcile struct {
	Tasks []TaskRef `json:"tasks"`
}

// UpdateFramework says that a framework has a scheduler again: what that has
// not acknowledged is sent again at once (UpdateFrameworkMessage in the real
// one).
type UpdateFramework struct {
	FrameworkID string `json:"framework_id"`
}

// CheckpointResources tells all dynamic reservations on the agent, none for an
// empty list: it keeps them on its disk, whatever id it has, and tells them to
// every master (CheckpointResourcesMessage in the real one).
type CheckpointResources struct {
	Resources []Resource `json:"resources,omitempty"`
}

// TaskRef names one task.
type TaskRef struct {
	FrameworkID string `json:"framework_id"`
	TaskID      string `json:"task_id"`
}

// Kind implements Message.
func (*Register) Kind() Kind { return KindRegister }

// Kind implements Message.
func (*Reregister) Kind() Kind { return KindReregister }

// Kind implements Message.
func (*Pong) Kind() Kind { return KindPong }

// Kind implements Message.
func (*StatusUpdate) Kind() Kind { return KindStatusUpdate }

// Kind implements Message.
func (*Unregister) Kind() Kind { return KindUnregister }

// Kind implements Message.
func (*Registered) Kind() Kind { return KindRegistered }

// Kind implements Message.
func (*Reregistered) Kind() Kind { return KindReregistered }

// Kind implements Message.
func (*Shutdown) Kind() Kind { return KindShutdown }

// Kind implements Message.
func (*Ping) Kind() Kind { return KindPing }

// Kind implements Message.
func (*RunTask) Kind() Kind { return KindRunTask }

// Kind implements Message.
func (*KillTask) Kind() Kind { return KindKillTask }

// Kind implements Message.
func (*Ack) Kind() Kind { return KindAck }

// Kind implements Message.
func (*ShutdownFramework) Kind() Kind { return KindShutdownFramework }

// Kind implements Message.
func (*Reconcile) Kind() Kind { return KindReconcile }

// Kind implements Message.
func (*UpdateFramework) Kind() Kind { return KindUpdateFramework }

// Kind implements Message.
func (*CheckpointResources) Kind() Kind { return KindCheckpoint }

func newMessage(k Kind) Message {
	switch k {
	case KindRegister:
		return new(Register)
	case KindReregister:
		return new(Reregister)
	case KindPong:
		return new(Pong)
	case KindStatusUpdate:
		return new(StatusUpdate)
	case KindUnregister:
		return new(Unregister)
	case KindRegistered:
		return new(Registered)
	case KindReregistered:
		return new(Reregistered)
	case KindShutdown:
		return new(Shutdown)
	case KindPing:
		return new(Ping)
	case KindRunTask:
		return new(RunTask)
	case KindKillTask:
		return new(KillTask)
	case KindAck:
		return new(Ack)
	case KindShutdownFramework:
		return new(ShutdownFramework)
	case KindReconcile:
		return new(Reconcile)
	case KindUpdateFramework:
		return new(UpdateFramework)
	case KindCheckpoint:
		return new(CheckpointResources)
	}
	return nil
}

type envelope struct {
	Kind Kind            `json:"kind"`
	Body json.RawMessage `json:"body"`
}

// Marshal returns the payload of m.
func Marshal(m Message) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.Kind(), err)
	}
	return json.Marshal(envelope{m.Kind(), body})
}

// Unmarshal reads a payload. Unknown kinds and fields are errors: what both
// sides understand is told by the version byte alone.
func Unmarshal(payload []byte) (Message, error) {
	var e envelope
	if err := strict(payload, &e); err != nil {
		return nil, fmt.Errorf("decode envelope: %w", err)
	}
	m := newMessage(e.Kind)
	if m == nil {
		return nil, fmt.Errorf("decode envelope: unknown kind %q", e.Kind)
	}
	if err := strict(e.Body, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Kind, err)
	}
	return m, nil
}

func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
