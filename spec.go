package lab

import "time"

// Spec is everything that describes a lab. Its zero value, defaulted, is the
// article's lab. Fields that matter only to one provider or one stack are
// ignored by the others.
type Spec struct {
	Name     string       `yaml:"name" json:"name"`
	Provider string       `yaml:"provider" json:"provider"` // auto | local | docker | vagrant
	Stack    string       `yaml:"stack" json:"stack"`       // auto | seed | mini
	Subnet   string       `yaml:"subnet" json:"subnet"`     // a /24; "" = the next free one of the provider's pool
	IPs      []string     `yaml:"ips" json:"ips,omitempty"` // one by one instead of a subnet; the first is the master
	Slaves   int          `yaml:"slaves" json:"slaves"`
	Machine  MachineSpec  `yaml:"machine" json:"machine"`
	Vagrant  VagrantSpec  `yaml:"vagrant" json:"vagrant,omitzero"`
	Docker   DockerSpec   `yaml:"docker" json:"docker"`
	Local    LocalSpec    `yaml:"local" json:"local"`
	Images   ImagesSpec   `yaml:"images" json:"images,omitzero"`
	Mesos    MesosSpec    `yaml:"mesos" json:"mesos"`
	Marathon MarathonSpec `yaml:"marathon" json:"marathon,omitzero"`
	// LB is the load balancer's.
	LB    MarathonLBSpec `yaml:"marathon-lb" json:"marathon-lb,omitzero"`
	Ports PortsSpec      `yaml:"ports" json:"ports"`
	App   string         `yaml:"app" json:"app"` // nginx, article (the same, word for word), none, or a Marathon JSON file
}

// MachineSpec is the size of each machine.
type MachineSpec struct {
	CPUs   int  `yaml:"cpus" json:"cpus"`
	Memory Size `yaml:"memory" json:"memory"`
	Disk   Size `yaml:"disk" json:"disk"`
}

// VagrantSpec chooses the VM provider and the box; empty values are the
// provider's choice. Emulate asks libvirt for software emulation, for computers
// without KVM: ten times slower, and never chosen by itself.
type VagrantSpec struct {
	Provider    string `yaml:"provider" json:"provider,omitempty"`
	Box         string `yaml:"box" json:"box,omitempty"`
	BoxURL      string `yaml:"box_url" json:"box_url,omitempty"`
	BoxVersion  string `yaml:"box_version" json:"box_version,omitempty"`
	BoxChecksum string `yaml:"box_checksum" json:"box_checksum,omitempty"`
	Emulate     bool   `yaml:"emulate" json:"emulate,omitempty"`
}

// DockerSpec is about the engine on each machine.
type DockerSpec struct {
	Opts    string `yaml:"opts" json:"opts"`       // DOCKER_OPTS, the article's by default
	Install *bool  `yaml:"install" json:"install"` // install Docker where it is missing
	TCP     string `yaml:"tcp" json:"tcp"`         // open | local | off
}

// LocalSpec is about embedded machines.
type LocalSpec struct {
	AllowOtherUsers bool   `yaml:"allow_other_users" json:"allow_other_users"`
	AllowRootCmd    bool   `yaml:"allow_root_cmd" json:"allow_root_cmd"`
	Network         string `yaml:"network" json:"network"` // loopback | netns
}

// ImagesSpec names other images than the stack's own.
type ImagesSpec struct {
	ZooKeeper  string `yaml:"zookeeper" json:"zookeeper,omitempty"`
	Mesos      string `yaml:"mesos" json:"mesos,omitempty"`
	Marathon   string `yaml:"marathon" json:"marathon,omitempty"`
	MarathonLB string `yaml:"marathon-lb" json:"marathon-lb,omitempty"`
	Nginx      string `yaml:"nginx" json:"nginx,omitempty"`
}

// MesosSpec tunes Mesos. SlavePingTimeout × MaxSlavePingTimeouts rules how
// long a dead slave goes unnoticed: between N·T and (N+1)·T; zero means the
// provider's default (2 s × 3 on embedded machines, 3 s × 5 elsewhere).
type MesosSpec struct {
	SlavePingTimeout     time.Duration     `yaml:"slave_ping_timeout" json:"slave_ping_timeout"`
	MaxSlavePingTimeouts int               `yaml:"max_slave_ping_timeouts" json:"max_slave_ping_timeouts"`
	Resources            string            `yaml:"resources" json:"resources,omitempty"`
	Attributes           string            `yaml:"attributes" json:"attributes,omitempty"`
	Env                  map[string]string `yaml:"env" json:"env,omitempty"`
}

// MarathonSpec adds arguments to Marathon's command line.
type MarathonSpec struct {
	Args []string `yaml:"args" json:"args,omitempty"`
}

// MarathonLBSpec adds arguments to marathon-lb's command line: --health-check
// and others that marathon_lb.py 1.3.0 knows, and the mini stack's own. The article's image passes none on, so they need the mini stack.
type MarathonLBSpec struct {
	Args []string `yaml:"args" json:"args,omitempty"`
}

// PortsSpec holds every port the lab listens on. SSH is for embedded
// machines only; Docker must agree with docker.opts.
type PortsSpec struct {
	SSH       int `yaml:"ssh" json:"ssh"`
	Docker    int `yaml:"docker" json:"docker"`
	ZooKeeper int `yaml:"zookeeper" json:"zookeeper"`
	Mesos     int `yaml:"mesos" json:"mesos"`
	Marathon  int `yaml:"marathon" json:"marathon"`
	LBStats   int `yaml:"lb_stats" json:"lb_stats"`
	App       int `yaml:"app" json:"app"`
}

// Limits of a lab.
const (
	MaxSlaves     = 50
	DefaultOpts   = "-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock"
	FastPing      = time.Second // --fast
	FastPings     = 2
	PatientPing   = 15 * time.Second // --patient: Mesos' own defaults
	PatientPings  = 5
	ArticleSubnet = "192.168.59.0/24"
)

// WithDefaults fills in what is not set. What depends on the provider
// (subnet, pings, stack) stays open.
func (s Spec) WithDefaults() Spec {
	set(&s.Name, "lab")
	set(&s.Provider, "auto")
	set(&s.Stack, "auto")
	set(&s.Slaves, 2)
	if len(s.IPs) > 0 {
		s.Slaves = len(s.IPs) - 1
	}
	set(&s.Machine.CPUs, 1)
	set(&s.Machine.Memory, GiB)
	set(&s.Machine.Disk, 10*GiB)
	set(&s.Docker.Opts, DefaultOpts)
	if s.Docker.Install == nil {
		install := true
		s.Docker.Install = &install
	}
	set(&s.Docker.TCP, "open")
	set(&s.Local.Network, "loopback")
	set(&s.Ports.SSH, 2222)
	set(&s.Ports.Docker, 2375)
	set(&s.Ports.ZooKeeper, 2181)
	set(&s.Ports.Mesos, 5050)
	set(&s.Ports.Marathon, 8080)
	set(&s.Ports.LBStats, 9090)
	set(&s.Ports.App, 10000)
	set(&s.App, "nginx")
	return s
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
