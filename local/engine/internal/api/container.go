package api

import "encoding/json"

// Config is the part of a container's settings that does not depend on the
// host.
type Config struct {
	Hostname        string
	Domainname      string
	User            string
	AttachStdin     bool
	AttachStdout    bool
	AttachStderr    bool
	ExposedPorts    Set `json:",omitempty"`
	Tty             bool
	OpenStdin       bool
	StdinOnce       bool
	Env             []string
	Cmd             Strings
	Healthcheck     json.RawMessage `json:",omitempty"`
	Image           string
	Volumes         Set
	WorkingDir      string
	Entrypoint      Strings
	NetworkDisabled bool `json:",omitempty"`
	OnBuild         []string
	Labels          map[string]string
	StopSignal      string `json:",omitempty"`
	StopTimeout     *int   `json:",omitempty"`
}

// PortBinding is one published address; HostPort may be empty, "0", a number
// or a range.
type PortBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

// PortMap maps "80/tcp" to what it is published as.
type PortMap map[string][]PortBinding

// RestartPolicy is "", "no", "always", "unless-stopped" or "on-failure".
type RestartPolicy struct {
	Name              string
	MaximumRetryCount int
}

// LogConfig is accepted and shown; the engine has one log driver.
type LogConfig struct {
	Type   string
	Config map[string]string
}

// Mount is a mount as --mount gives it. Types: bind, volume, tmpfs.
type Mount struct {
	Type     string
	Source   string `json:",omitempty"`
	Target   string
	ReadOnly bool `json:",omitempty"`
}

// HostConfig is the part of a container's settings that concerns the host.
type HostConfig struct {
	Binds           []string
	ContainerIDFile string
	LogConfig       LogConfig
	NetworkMode     string
	PortBindings    PortMap
	RestartPolicy   RestartPolicy
	AutoRemove      bool
	VolumeDriver    string
	VolumesFrom     []string
	ConsoleSize     [2]uint
	CapAdd, CapDrop []string
	CgroupnsMode    string
	DNS             []string `json:"Dns"`
	DNSOptions      []string `json:"DnsOptions"`
	DNSSearch       []string `json:"DnsSearch"`
	ExtraHosts      []string
	GroupAdd        []string
	IpcMode         string
	Cgroup          string
	Links           []string
	OomScoreAdj     int
	PidMode         string
	Privileged      bool
	PublishAllPorts bool
	ReadonlyRootfs  bool
	SecurityOpt     []string
	Tmpfs           map[string]string `json:",omitempty"`
	UTSMode         string
	UsernsMode      string
	ShmSize         int64
	Runtime         string
	Isolation       string
	Mounts          []Mount `json:",omitempty"`
	Init            *bool   `json:",omitempty"`
	Resources
}

// Resources are recorded and shown, not enforced.
type Resources struct {
	CPUShares         int64 `json:"CpuShares"`
	Memory            int64
	NanoCPUs          int64 `json:"NanoCpus"`
	CgroupParent      string
	BlkioWeight       uint16
	CPUPeriod         int64 `json:"CpuPeriod"`
	CPUQuota          int64 `json:"CpuQuota"`
	CpusetCpus        string
	CpusetMems        string
	Devices           []json.RawMessage
	MemoryReservation int64
	MemorySwap        int64
	MemorySwappiness  *int64
	OomKillDisable    *bool
	PidsLimit         *int64
	Ulimits           []json.RawMessage
}

// CreateRequest is the body of POST /containers/create.
type CreateRequest struct {
	Config
	HostConfig       *HostConfig
	NetworkingConfig *struct {
		EndpointsConfig map[string]json.RawMessage
	}
}

// UpdateRequest is the body of POST /containers/{id}/update. Only what is
// given changes.
type UpdateRequest struct {
	RestartPolicy     *RestartPolicy
	CPUShares         *int64 `json:"CpuShares"`
	Memory            *int64
	MemorySwap        *int64
	MemoryReservation *int64
	NanoCPUs          *int64 `json:"NanoCpus"`
	PidsLimit         *int64
}

// State is a container's state. Times are RFC 3339 with nanoseconds; the
// zero time is 0001-01-01T00:00:00Z.
type State struct {
	Status     string
	Running    bool
	Paused     bool
	Restarting bool
	OOMKilled  bool
	Dead       bool
	Pid        int
	ExitCode   int
	Error      string
	StartedAt  string
	FinishedAt string
}

// MountPoint is a mount as inspect shows it.
type MountPoint struct {
	Type        string
	Name        string `json:",omitempty"`
	Source      string
	Destination string
	Driver      string `json:",omitempty"`
	Mode        string
	RW          bool
	Propagation string
}

// Endpoint is a container's place in a network.
type Endpoint struct {
	IPAMConfig          *struct{}
	Links               []string
	Aliases             []string
	MacAddress          string
	DriverOpts          map[string]string
	NetworkID           string
	EndpointID          string
	Gateway             string
	IPAddress           string
	IPPrefixLen         int
	IPv6Gateway         string
	GlobalIPv6Address   string
	GlobalIPv6PrefixLen int
	DNSNames            []string
}

// NetworkSettings is the network part of inspect.
type NetworkSettings struct {
	Bridge      string
	SandboxID   string
	SandboxKey  string
	Ports       PortMap
	EndpointID  string
	Gateway     string
	IPAddress   string
	IPPrefixLen int
	MacAddress  string
	Networks    map[string]Endpoint
}

// Inspect is the answer of GET /containers/{id}/json.
type Inspect struct {
	ID              string `json:"Id"`
	Created         string
	Path            string
	Args            []string
	State           State
	Image           string
	ResolvConfPath  string
	HostnamePath    string
	HostsPath       string
	LogPath         string
	Name            string
	RestartCount    int
	Driver          string
	Platform        string
	MountLabel      string
	ProcessLabel    string
	AppArmorProfile string
	ExecIDs         []string
	HostConfig      *HostConfig
	GraphDriver     GraphDriver
	SizeRw          *int64 `json:",omitempty"`
	SizeRootFs      *int64 `json:",omitempty"`
	Mounts          []MountPoint
	Config          *Config
	NetworkSettings NetworkSettings
}

// GraphDriver names the storage of a container or an image.
type GraphDriver struct {
	Name string
	Data map[string]string
}

// Port is a port in a list of containers.
type Port struct {
	IP          string `json:",omitempty"`
	PrivatePort uint16
	PublicPort  uint16 `json:",omitempty"`
	Type        string
}

// Summary is one element of GET /containers/json.
type Summary struct {
	ID         string `json:"Id"`
	Names      []string
	Image      string
	ImageID    string
	Command    string
	Created    int64
	Ports      []Port
	SizeRw     *int64 `json:",omitempty"`
	SizeRootFs *int64 `json:",omitempty"`
	Labels     map[string]string
	State      string
	Status     string
	HostConfig struct {
		NetworkMode string
	}
	NetworkSettings struct {
		Networks map[string]Endpoint
	}
	Mounts []MountPoint
}
