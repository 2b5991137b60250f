package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Mesos asks a master over its classic JSON endpoints (0.26 and later). All
// numbers are float64: Mesos prints 2.0, and 0 where something is missing.
type Mesos struct {
	Base string // http://192.168.59.1:5050
	HTTP *http.Client
}

// MesosState is a master's /state, as far as it is used here (contracts 6.2).
type MesosState struct {
	Version             string            `json:"version"`
	ID                  string            `json:"id"` // new with each master process
	PID                 string            `json:"pid"`
	Leader              string            `json:"leader"` // pid of the leader, "" while there is none
	Hostname            string            `json:"hostname"`
	StartTime           float64           `json:"start_time"`
	ElectedTime         float64           `json:"elected_time"`
	ActivatedSlaves     float64           `json:"activated_slaves"`
	DeactivatedSlaves   float64           `json:"deactivated_slaves"`
	Flags               map[string]string `json:"flags"`
	Slaves              []Slave           `json:"slaves"`
	Frameworks          []Framework       `json:"frameworks"`
	CompletedFrameworks []Framework       `json:"completed_frameworks"`
}

// Slave is a registered slave. A dead one stays listed, inactive or even
// active, until the pings have run out.
type Slave struct {
	ID               string         `json:"id"`
	PID              string         `json:"pid"` // slave(1)@ip:5051
	Hostname         string         `json:"hostname"`
	RegisteredTime   float64        `json:"registered_time"`
	ReregisteredTime float64        `json:"reregistered_time"`
	Resources        Resources      `json:"resources"`
	UsedResources    Resources      `json:"used_resources"`
	OfferedResources Resources      `json:"offered_resources"`
	Attributes       map[string]any `json:"attributes"`
	Active           bool           `json:"active"`
	Version          string         `json:"version"`
}

// IP is the slave's address, from its pid.
func (s Slave) IP() string { return pidHost(s.PID) }

// Resources are scalars, and ports as Mesos writes ranges: [31000-32000].
type Resources struct {
	CPUs  float64 `json:"cpus"`
	Mem   float64 `json:"mem"`  // MiB
	Disk  float64 `json:"disk"` // MiB
	Ports string  `json:"ports"`
}

// Framework is a scheduler known to the master.
type Framework struct {
	ID             string      `json:"id"`
	Name           string      `json:"name"`
	Role           string      `json:"role"`
	UsedResources  Resources   `json:"used_resources"`
	Active         bool        `json:"active"`
	Hostname       string      `json:"hostname"`
	WebuiURL       string      `json:"webui_url"`
	RegisteredTime float64     `json:"registered_time"`
	Tasks          []MesosTask `json:"tasks"`
	CompletedTasks []MesosTask `json:"completed_tasks"`
}

// MesosTask is a task as the master sees it.
type MesosTask struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	FrameworkID string        `json:"framework_id"`
	ExecutorID  string        `json:"executor_id"`
	SlaveID     string        `json:"slave_id"`
	State       string        `json:"state"` // TASK_RUNNING …
	Resources   Resources     `json:"resources"`
	Statuses    []MesosStatus `json:"statuses"` // oldest first
}

// MesosStatus is one change of a task's state.
type MesosStatus struct {
	State     string  `json:"state"`
	Timestamp float64 `json:"timestamp"`
}

// Leads reports whether the master that answered is the elected one: 0.26
// answers its own empty state when it is not.
func (s MesosState) Leads() bool { return s.Leader != "" && s.Leader == s.PID }

// Framework returns the first framework of that name, active ones first.
func (s MesosState) Framework(name string) (Framework, bool) {
	found, ok := Framework{}, false
	for _, f := range s.Frameworks {
		if f.Name == name && (!ok || f.Active && !found.Active) {
			found, ok = f, true
		}
	}
	return found, ok
}

// State reads the master's whole state. /state is the one path that works for
// 0.26 to 1.11; newer masters that do not lead redirect to the one that does.
func (m *Mesos) State(ctx context.Context) (MesosState, error) {
	var s MesosState
	err := getJSON(ctx, m.HTTP, m.Base+"/state", &s)
	if errors.Is(err, errCircle) {
		// The leader is told by its address: one that was killed and started
		// again sends people to itself until ZooKeeper forgets the one before.
		return MesosState{}, errors.New("mesos state: ZooKeeper still counts an earlier master at this address as the leader, until its session ends")
	}
	if err != nil {
		return MesosState{}, fmt.Errorf("mesos state: %w", err)
	}
	return s, nil
}

// Slaves reads the registered slaves.
func (m *Mesos) Slaves(ctx context.Context) ([]Slave, error) {
	var s struct{ Slaves []Slave }
	if err := getJSON(ctx, m.HTTP, m.Base+"/slaves", &s); err != nil {
		return nil, fmt.Errorf("mesos slaves: %w", err)
	}
	return s.Slaves, nil
}

// Leader returns the pid of the elected master; errNoLeader while there is
// none.
func (m *Mesos) Leader(ctx context.Context) (string, error) {
	s, err := m.State(ctx)
	if err != nil {
		return "", err
	}
	if s.Leader == "" {
		return "", errNoLeader
	}
	return s.Leader, nil
}

var errNoLeader = errors.New("no master is elected")

// Metrics reads /metrics/snapshot.
func (m *Mesos) Metrics(ctx context.Context) (map[string]float64, error) {
	out := map[string]float64{}
	if err := getJSON(ctx, m.HTTP, m.Base+"/metrics/snapshot", &out); err != nil {
		return nil, fmt.Errorf("mesos metrics: %w", err)
	}
	return out, nil
}

// pidHost is the address in a libprocess id: name@host:port.
func pidHost(pid string) string {
	_, addr, _ := strings.Cut(pid, "@")
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return addr
	}
	return addr[:i]
}

// epoch turns Mesos' seconds with a fraction into a time; 0 is the zero time.
func epoch(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6))
}
