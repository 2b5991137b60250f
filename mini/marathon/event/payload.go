package event

import "github.com/mesoslab/lab/mini/marathon/app"

// Kinds of events that others than their publisher need to know.
const (
	StatusUpdate        = "status_update_event"
	APIPost             = "api_post_event"
	HealthStatusChanged = "health_status_changed_event"
	StreamAttached      = "event_stream_attached"
	StreamDetached      = "event_stream_detached"
)

// IPAddress is an address of a task's own.
type IPAddress struct {
	IPAddress string `json:"ipAddress"`
	Protocol  string `json:"protocol"` // IPv4 or IPv6
}

// Status is a task's first TASK_RUNNING or its end.
type Status struct {
	SlaveID     string      `json:"slaveId"`
	TaskID      string      `json:"taskId"`
	TaskStatus  string      `json:"taskStatus"`
	Message     string      `json:"message"`
	AppID       string      `json:"appId"`
	Host        string      `json:"host"`
	IPAddresses []IPAddress `json:"ipAddresses,omitempty"`
	Ports       []int       `json:"ports"`
	Version     app.Time    `json:"version"`
}

// Post is a POST or PUT of one app.
type Post struct {
	ClientIP      string  `json:"clientIp"`
	URI           string  `json:"uri"`
	AppDefinition app.App `json:"appDefinition"`
}

// AddHealthCheck and RemoveHealthCheck tell when checks of an app begin and
// end.
type AddHealthCheck struct {
	AppID       string          `json:"appId"`
	Version     app.Time        `json:"version"`
	HealthCheck app.HealthCheck `json:"healthCheck"`
}

// RemoveHealthCheck has the app only.
type RemoveHealthCheck struct {
	AppID string `json:"appId"`
}

// FailedHealthCheck is one failed probe.
type FailedHealthCheck struct {
	AppID       string          `json:"appId"`
	TaskID      string          `json:"taskId"`
	HealthCheck app.HealthCheck `json:"healthCheck"`
}

// HealthChanged tells that a task became well or ill.
type HealthChanged struct {
	AppID   string   `json:"appId"`
	TaskID  string   `json:"taskId"`
	Version app.Time `json:"version"`
	Alive   bool     `json:"alive"`
}

// UnhealthyKill is a kill decided by a health check.
type UnhealthyKill struct {
	AppID   string   `json:"appId"`
	TaskID  string   `json:"taskId"`
	Version app.Time `json:"version"`
	Reason  string   `json:"reason"`
	Host    string   `json:"host"`
	SlaveID string   `json:"slaveId"`
}

// GroupChange is a change of apps or groups, accepted or refused.
type GroupChange struct {
	GroupID string   `json:"groupId"`
	Version app.Time `json:"version"`
	Reason  string   `json:"reason,omitempty"`
}

// AppTerminated tells that nothing of a destroyed app is left.
type AppTerminated struct {
	AppID string `json:"appId"`
}

// Deployed is the end of a deployment.
type Deployed struct {
	ID   string `json:"id"`
	Plan any    `json:"plan"`
}

// Step is a stage of a deployment.
type Step struct {
	Plan        any `json:"plan"`
	CurrentStep any `json:"currentStep"`
}

// Registered is the framework's first subscription of this leader.
type Registered struct {
	FrameworkID string `json:"frameworkId"`
	Master      string `json:"master"`
}

// Reregistered is a later one.
type Reregistered struct {
	Master string `json:"master"`
}

// FrameworkMessage is what an executor said: bytes, printed as 1.1.1 prints
// them, one signed number each.
type FrameworkMessage struct {
	ExecutorID string `json:"executorId"`
	SlaveID    string `json:"slaveId"`
	Message    []int  `json:"message"`
}

// Callback is an endpoint that asked for events, or asked for no more.
type Callback struct {
	ClientIP    string `json:"clientIp"`
	CallbackURL string `json:"callbackUrl"`
}

// Remote is a listener that came or went.
type Remote struct {
	RemoteAddress string `json:"remoteAddress"`
}
