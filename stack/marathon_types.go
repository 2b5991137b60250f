package stack

import (
	"encoding/json"
	"time"
)

// App is an application as Marathon shows it. Absent, null and empty mean the
// same: 1.1.1 prints every key, 1.5 and newer leave empty ones out.
type App struct {
	ID              string            `json:"id"` // /nginx
	Instances       int               `json:"instances"`
	CPUs            float64           `json:"cpus"`
	Mem             float64           `json:"mem"`
	Cmd             string            `json:"cmd"`
	Labels          map[string]string `json:"labels"`
	Ports           []int             `json:"ports"` // service ports
	Container       *AppContainer     `json:"container"`
	Constraints     [][]string        `json:"constraints"`
	HealthChecks    []HealthCheck     `json:"healthChecks"`
	Version         string            `json:"version"`
	VersionInfo     VersionInfo       `json:"versionInfo"`
	TasksStaged     int               `json:"tasksStaged"`
	TasksRunning    int               `json:"tasksRunning"`
	TasksHealthy    int               `json:"tasksHealthy"`
	TasksUnhealthy  int               `json:"tasksUnhealthy"`
	Deployments     []DeploymentRef   `json:"deployments"`
	Tasks           []Task            `json:"tasks"`
	LastTaskFailure *TaskFailure      `json:"lastTaskFailure"`
	// Raw is the whole object.
	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the whole object in Raw.
func (a *App) UnmarshalJSON(data []byte) error {
	type plain App
	if err := json.Unmarshal(data, (*plain)(a)); err != nil {
		return err
	}
	a.Raw = json.RawMessage(append([]byte(nil), data...))
	return nil
}

// ServicePort is the port under which the load balancer offers the app, or 0.
func (a App) ServicePort() int {
	if a.Labels["HAPROXY_GROUP"] == "" && a.Labels["HAPROXY_0_GROUP"] == "" {
		return 0
	}
	if a.Container != nil && a.Container.Docker != nil {
		for _, m := range a.Container.Docker.PortMappings {
			return m.ServicePort
		}
	}
	if len(a.Ports) > 0 {
		return a.Ports[0]
	}
	return 0
}

// VersionInfo says when an app was scaled and when its configuration changed
// last: tasks of an older version than the latter are being replaced.
type VersionInfo struct {
	LastScalingAt      string `json:"lastScalingAt"`
	LastConfigChangeAt string `json:"lastConfigChangeAt"`
}

// AppContainer is the container part of an app.
type AppContainer struct {
	Type   string     `json:"type"`
	Docker *AppDocker `json:"docker"`
}

// AppDocker is the docker part of a container.
type AppDocker struct {
	Image        string        `json:"image"`
	Network      string        `json:"network"`
	PortMappings []PortMapping `json:"portMappings"`
}

// PortMapping connects a container's port with a host port and a service port.
type PortMapping struct {
	ContainerPort int    `json:"containerPort"`
	HostPort      int    `json:"hostPort"`
	ServicePort   int    `json:"servicePort"`
	Protocol      string `json:"protocol"`
}

// HealthCheck is Marathon's; times are in seconds.
type HealthCheck struct {
	Protocol               string `json:"protocol"`
	Path                   string `json:"path"`
	PortIndex              int    `json:"portIndex"`
	GracePeriodSeconds     int    `json:"gracePeriodSeconds"`
	IntervalSeconds        int    `json:"intervalSeconds"`
	TimeoutSeconds         int    `json:"timeoutSeconds"`
	MaxConsecutiveFailures int    `json:"maxConsecutiveFailures"`
}

// DeploymentRef names a deployment.
type DeploymentRef struct {
	ID string `json:"id"`
}

// Task is one instance of an app.
type Task struct {
	ID           string         `json:"id"`
	AppID        string         `json:"appId"`
	SlaveID      string         `json:"slaveId"`
	Host         string         `json:"host"`
	Ports        []int          `json:"ports"` // host ports
	ServicePorts []int          `json:"servicePorts"`
	StagedAt     time.Time      `json:"stagedAt"`
	StartedAt    time.Time      `json:"startedAt"` // zero while staging
	Version      string         `json:"version"`
	State        string         `json:"state"` // from Marathon 1.3 on
	Health       []HealthResult `json:"healthCheckResults"`
}

// Running reports whether the task has started and is not known to be gone:
// 1.1.1 says no more than that.
func (t Task) Running() bool {
	return !t.StartedAt.IsZero() && (t.State == "" || t.State == "TASK_RUNNING")
}

// Healthy says whether all checks pass; known is false before the first
// results.
func (t Task) Healthy() (healthy, known bool) {
	for _, r := range t.Health {
		if !r.Alive {
			return false, true
		}
	}
	return len(t.Health) > 0, len(t.Health) > 0
}

// HealthResult is the outcome of one health check of a task.
type HealthResult struct {
	Alive               bool      `json:"alive"`
	ConsecutiveFailures int       `json:"consecutiveFailures"`
	FirstSuccess        time.Time `json:"firstSuccess"`
	LastSuccess         time.Time `json:"lastSuccess"`
	LastFailure         time.Time `json:"lastFailure"`
	LastFailureCause    string    `json:"lastFailureCause"`
}

// TaskFailure is the last failure of an app.
type TaskFailure struct {
	AppID     string    `json:"appId"`
	Host      string    `json:"host"`
	Message   string    `json:"message"`
	State     string    `json:"state"`
	TaskID    string    `json:"taskId"`
	SlaveID   string    `json:"slaveId"`
	Timestamp time.Time `json:"timestamp"`
	Version   string    `json:"version"`
}

// Deployment is a change in progress.
type Deployment struct {
	ID             string             `json:"id"`
	Version        string             `json:"version"`
	AffectedApps   []string           `json:"affectedApps"`
	CurrentActions []DeploymentAction `json:"currentActions"`
	CurrentStep    int                `json:"currentStep"` // from 1
	TotalSteps     int                `json:"totalSteps"`
}

// DeploymentAction is one action of a step.
type DeploymentAction struct {
	Action string `json:"action"`
	App    string `json:"app"`
}

// QueueItem is an app that waits to be launched.
type QueueItem struct {
	App   App `json:"app"`
	Count int `json:"count"`
	Delay struct {
		TimeLeftSeconds int  `json:"timeLeftSeconds"`
		Overdue         bool `json:"overdue"`
	} `json:"delay"`
}

// MarathonInfo is Marathon about itself.
type MarathonInfo struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Elected     bool   `json:"elected"`
	Leader      string `json:"leader"`
	FrameworkID string `json:"frameworkId"` // "" until Mesos has registered it
}

// Change is Marathon's answer to a change.
type Change struct {
	Version      string `json:"version"`
	DeploymentID string `json:"deploymentId"`
}
