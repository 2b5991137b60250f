package scenarios

import (
	"context"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// Lab is what a scenario may do to a lab. Break writes the journal before
// it acts, Mend strikes it afterwards; both return when the change is in
// force.
type Lab interface {
	Processes
	Machines() []lab.Machine
	// Components lists the platform's containers.
	Components() []Component
	// Can says why this lab cannot do a fault exactly, or nil. Of the fault no
	// more than verb, part, delay, jitter and loss need be known.
	Can(ctx context.Context, f Fault) error
	// Settings are the figures that rule how fast the platform heals.
	Settings() Settings
	Break(ctx context.Context, f Fault) error
	Mend(ctx context.Context, f Fault) error
	// Reach asks the machine from to open a TCP connection to the machine to,
	// and returns how that went: nil, or what the peer saw.
	Reach(ctx context.Context, from, to string) error
	// Containers counts out of band: what the machine's own engine says.
	Containers(ctx context.Context, node string) ([]Container, error)
	// Logged counts the lines with a word that a task's container has logged:
	// a web server's access log names the client of each request.
	Logged(ctx context.Context, node, taskID, word string) (int, error)
	Inside
}

// Settings are the figures that rule the phases of healing.
type Settings struct {
	PingTimeout  time.Duration `json:"ping_timeout"`  // Mesos' slave_ping_timeout, T
	PingTimeouts int           `json:"ping_timeouts"` // Mesos' max_slave_ping_timeouts, N
	AppURL       string        `json:"app_url"`       // where traffic goes
	SameClock    bool          `json:"-"`             // the platform's times can be compared with ours
	// Of the app that traffic goes to, as Marathon shows it; zero before.
	Backoff    time.Duration `json:"backoff"`     // backoffSeconds
	CheckEvery time.Duration `json:"check_every"` // intervalSeconds of its first check
}

// Law returns between which times after a silent death Mesos loses a slave:
// N·T and (N+1)·T, measured on real masters 0.26.2 and 1.3.2.
func (s Settings) Law() (earliest, latest time.Duration) {
	earliest = time.Duration(s.PingTimeouts) * s.PingTimeout
	return earliest, earliest + s.PingTimeout
}

// Component is one of the platform's containers.
type Component struct {
	Name string // mesos_slave1
	Node string
}

// Container is one task container as an engine reports it.
type Container struct {
	ID      string
	TaskID  string
	Started time.Time // by the engine's clock
}

// Cluster is what a scenario sees of, and asks from, the platform. Changes
// wait while another deployment holds the app, unless they are forced.
type Cluster interface {
	Leaders
	// Leader is the address of the leading Mesos master's machine.
	Leader(ctx context.Context) (string, error)
	// Agents lists the slaves that the leading Mesos master knows.
	Agents(ctx context.Context) ([]Agent, error)
	// App is Marathon's view of one app. One that is not there wraps
	// lab.ErrNotFound.
	App(ctx context.Context, id string) (App, error)
	// Backends lists the load balancer's servers for the app.
	Backends(ctx context.Context, app string) ([]Backend, error)
	// BalancerConfig is the configuration that the load balancer runs with: the
	// text of haproxy.cfg.
	BalancerConfig(ctx context.Context) (string, error)
	// Events calls fn for every event of Marathon's stream until it ends.
	Events(ctx context.Context, fn func(StreamEvent)) error
	Scale(ctx context.Context, app string, instances int, force bool) error
	Restart(ctx context.Context, app string) error
	Deploy(ctx context.Context, app AppFile) error
	// Rollback brings an old version of an app back, over any deployment.
	Rollback(ctx context.Context, app, version string) error
	Remove(ctx context.Context, app string) error
	// KillTasks kills tasks and scales the app down by their number.
	KillTasks(ctx context.Context, ids []string) error
	Releases
	Sharing
}

// Agent is one Mesos slave.
type Agent struct {
	ID         string
	IP         string
	Active     bool // connected, too
	Registered time.Time
	FreeCPUs   float64
	FreeMem    float64 // MiB
}

// App is one Marathon app with its tasks.
type App struct {
	ID          string
	Members     []string // the apps that it stands for, where it is a deployment group
	URL         string   // behind the load balancer, or ""
	Version     string   // an id
	CPUs        float64  // of one instance
	Mem         float64  // MiB
	Instances   int
	MaxFailures int // maxConsecutiveFailures of its first check
	HasChecks   bool
	Deployments int
	Queued      int  // launches that Marathon still owes
	Overdue     bool // it backs off no longer, it waits for offers that fit
	Backoff     time.Duration
	CheckEvery  time.Duration
	Tasks       []Task
}

// Task is one task as Marathon lists it.
type Task struct {
	ID      string
	IP      string
	Port    int
	Staged  time.Time
	Started time.Time // zero while staging
	Healthy bool
	Version string // of the app that it was started as
}

// Backend is one server of the load balancer.
type Backend struct {
	Service  string // the load balancer's name of the backend that it is a server of
	Address  string // host:port
	Requests int    // that it has got; the load balancer may begin anew
	Current  int    // of these, those under way
	Queued   int    // that wait for it
	Status   string // HAProxy's word: UP, DOWN, MAINT, no check
}

// down says whether the load balancer's own check has taken the server out.
func (b Backend) down() bool { return strings.HasPrefix(b.Status, statusDown) }

// StreamEvent is one event of Marathon's stream.
type StreamEvent struct {
	Type       string
	App        string
	TaskID     string
	TaskStatus string
	IP         string // of the task's machine, where the event says so
	Port       int    // the task's first host port, or 0
	Alive      bool
}
