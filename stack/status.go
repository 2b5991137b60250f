package stack

import (
	"fmt"
	"time"
)

// Status is the platform as it is seen at one moment. Parts that did not
// answer have Error set and are empty otherwise.
type Status struct {
	Machines  []MachineView `json:"machines"`
	ZooKeeper ZooKeeperView `json:"zookeeper"`
	Mesos     MesosView     `json:"mesos"`
	Marathon  MarathonView  `json:"marathon"`
	LB        LBView        `json:"lb"`
	Endpoints []Endpoint    `json:"endpoints"`
}

// Healthy reports whether everything answers, all slaves are active and all
// apps have their instances running.
func (s Status) Healthy() bool { return s.Lacks() == "" }

// Lacks says in a few words what first keeps the platform from being healthy;
// "" if nothing does.
func (s Status) Lacks() string {
	for _, m := range s.Machines {
		if m.Error != "" {
			return m.Node + ": " + m.Error
		}
		for _, c := range m.Containers {
			if c.Ours && c.State != "running" {
				return fmt.Sprintf("%s: %s is %s", m.Node, c.Name, c.State)
			}
		}
	}
	for _, part := range []struct{ name, err string }{
		{"ZooKeeper", s.ZooKeeper.Error}, {"Mesos", s.Mesos.Error}, {"Marathon", s.Marathon.Error}, {"load balancer", s.LB.Error},
	} {
		if part.err != "" {
			return part.name + ": " + part.err
		}
	}
	if want := len(s.Machines) - 1; s.Mesos.ActiveSlaves != want {
		return fmt.Sprintf("%d of %d slaves", s.Mesos.ActiveSlaves, want)
	}
	for _, a := range s.Marathon.Apps {
		if a.Running < a.Instances {
			return fmt.Sprintf("%s: %d of %d run", a.ID, a.Running, a.Instances)
		}
	}
	return ""
}

// Unsettled says what an app still waits for; "" if all are at rest and as
// healthy as their checks can tell.
func (s Status) Unsettled() string {
	for _, a := range s.Marathon.Apps {
		switch {
		case a.Deploying:
			return a.ID + " is being deployed"
		case a.Checked && a.Healthy < a.Instances:
			return fmt.Sprintf("%s: %d of %d healthy", a.ID, a.Healthy, a.Instances)
		}
	}
	return ""
}

// MachineView is one machine's engine.
type MachineView struct {
	Node       string          `json:"node"`
	Alias      string          `json:"alias"`
	IP         string          `json:"ip"`
	Error      string          `json:"error,omitempty"`
	Containers []ContainerView `json:"containers,omitempty"`
}

// ContainerView is one container of an engine, whoever made it.
type ContainerView struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Image  string `json:"image"`
	State  string `json:"state"`  // running, exited …
	Status string `json:"status"` // Up 3 minutes
	// Ours says that it belongs to the platform of this lab; Task that Mesos
	// made it.
	Ours bool `json:"ours,omitempty"`
	Task bool `json:"task,omitempty"`
	// Stale says that its definition is not the wanted one any more.
	Stale bool `json:"stale,omitempty"`
}

// ZooKeeperView is what srvr says.
type ZooKeeperView struct {
	Error string `json:"error,omitempty"`
	ServerInfo
}

// MesosView is the master and its slaves.
type MesosView struct {
	Error        string      `json:"error,omitempty"`
	Version      string      `json:"version,omitempty"`
	Leader       string      `json:"leader,omitempty"`
	Since        time.Time   `json:"since,omitzero"` // elected
	ActiveSlaves int         `json:"active_slaves"`
	Slaves       []SlaveView `json:"slaves,omitempty"`
}

// SlaveView is one slave as the master sees it.
type SlaveView struct {
	ID         string         `json:"id"`
	Node       string         `json:"node"`
	IP         string         `json:"ip"`
	Active     bool           `json:"active"`
	Since      time.Time      `json:"since,omitzero"` // registered, or registered again
	CPUs       float64        `json:"cpus"`
	Mem        float64        `json:"mem"`
	UsedCPUs   float64        `json:"used_cpus"`
	UsedMem    float64        `json:"used_mem"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// MarathonView is Marathon with its apps.
type MarathonView struct {
	Error       string        `json:"error,omitempty"`
	Version     string        `json:"version,omitempty"`
	Leader      string        `json:"leader,omitempty"`
	FrameworkID string        `json:"framework_id,omitempty"`
	Apps        []AppView     `json:"apps,omitempty"`
	Tasks       []TaskView    `json:"tasks,omitempty"`
	Deployments []Deployment  `json:"deployments,omitempty"`
	Waiting     []WaitingView `json:"waiting,omitempty"`
}

// AppView is one app in numbers.
type AppView struct {
	ID          string `json:"id"`
	Instances   int    `json:"instances"` // wanted
	Staged      int    `json:"staged"`
	Running     int    `json:"running"`
	Healthy     int    `json:"healthy"`
	Unhealthy   int    `json:"unhealthy"`
	Checked     bool   `json:"checked"` // has health checks
	ServicePort int    `json:"service_port,omitempty"`
	Deploying   bool   `json:"deploying,omitempty"`
	LastFailure string `json:"last_failure,omitempty"`
}

// TaskView is one task.
type TaskView struct {
	ID    string    `json:"id"`
	App   string    `json:"app"`
	Host  string    `json:"host"`
	Node  string    `json:"node,omitempty"` // the machine with that address
	Ports []int     `json:"ports,omitempty"`
	State string    `json:"state"`           // staging, running
	Since time.Time `json:"since,omitzero"`  // started, or staged
	Alive *bool     `json:"alive,omitempty"` // nil before the first check
	Slave string    `json:"slave,omitempty"` // its id
	LB    string    `json:"lb,omitempty"`    // its status in the load balancer
	Mesos string    `json:"mesos,omitempty"` // its state in Mesos
}

// WaitingView is an app that waits for offers or its back-off.
type WaitingView struct {
	App          string `json:"app"`
	Count        int    `json:"count"`
	DelaySeconds int    `json:"delay_seconds"`
	Overdue      bool   `json:"overdue"`
}

// LBView is the load balancer.
type LBView struct {
	Error   string       `json:"error,omitempty"`
	Servers []ServerView `json:"servers,omitempty"`
	Spoilt  []Spoilt     `json:"spoilt,omitempty"`
}

// ServerView is one server behind the load balancer.
type ServerView struct {
	Proxy    string `json:"proxy"`
	Name     string `json:"name"`
	Status   string `json:"status"`
	Requests int64  `json:"requests"` // sessions since the start
}
