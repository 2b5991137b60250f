package wire

import (
	"encoding/json"
	"fmt"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/mesos/mesos-go/api/v1/lib/quota"
)

// protobuf is what every mesos-go message can do.
type protobuf[T any] interface {
	*T
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// Object is a mesos-go message, V, that travels as its protobuf bytes inside
// the JSON of a Message. Make one with Of.
type Object[T any, P protobuf[T]] struct{ V T }

// The objects that the messages carry.
type (
	AgentInfo     = Object[mesos.AgentInfo, *mesos.AgentInfo]
	FrameworkInfo = Object[mesos.FrameworkInfo, *mesos.FrameworkInfo]
	TaskInfo      = Object[mesos.TaskInfo, *mesos.TaskInfo]
	TaskStatus    = Object[mesos.TaskStatus, *mesos.TaskStatus]
	Task          = Object[mesos.Task, *mesos.Task]
	Resource      = Object[mesos.Resource, *mesos.Resource]
)

// Objects that a master writes into its registry.
type (
	QuotaInfo = Object[quota.QuotaInfo, *quota.QuotaInfo]
	MachineID = Object[mesos.MachineID, *mesos.MachineID]
	Schedule  = Object[maintenance.Schedule, *maintenance.Schedule]
)

// Of wraps v for a Message: Register{Agent: wire.Of(info)}.
func Of[T any, P protobuf[T]](v T) Object[T, P] { return Object[T, P]{v} }

// All is Of for each of a list.
func All[T any, P protobuf[T]](list []T) []Object[T, P] {
	var out []Object[T, P]
	for _, v := range list {
		out = append(out, Of[T, P](v))
	}
	return out
}

// Values are what a list of objects carries.
func Values[T any, P protobuf[T]](list []Object[T, P]) []T {
	var out []T
	for _, o := range list {
		out = append(out, o.V)
	}
	return out
}

// MarshalJSON writes the protobuf bytes in base64.
func (o Object[T, P]) MarshalJSON() ([]byte, error) {
	b, err := P(&o.V).Marshal()
	if err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Object[T, P]) UnmarshalJSON(data []byte) (err error) {
	var b []byte
	if err := json.Unmarshal(data, &b); err != nil {
		return err
	}
	defer func() { // the generated decoders may index past hostile input
		if r := recover(); r != nil {
			err = fmt.Errorf("protobuf: %v", r)
		}
	}()
	return P(&o.V).Unmarshal(b)
}
