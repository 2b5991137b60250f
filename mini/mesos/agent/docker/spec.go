package docker

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

const (
	sharesPerCPU = 1024
	minShares    = 2
	minMemory    = 4 << 20 // what Mesos' containerizer asks at least
)

// Placement is what a task's container gets from its agent.
type Placement struct {
	Name      string // of the container
	AgentID   string
	Framework string // its id
	// Sandbox is the task's directory as the engine's host sees it, Mapped
	// where it appears in the container.
	Sandbox, Mapped string
	// Volumes are the persistent volumes that the task uses.
	Volumes []Mount
}

// Mount is a persistent volume: a folder as the engine's host sees it, and where
// the task wants it, in its sandbox unless that is an absolute path.
type Mount struct{ Source, Target string }

// SpecOf translates a task into a container, as Mesos' docker containerizer
// translates it into `docker run`. The error says what the task asks that
// cannot be done.
func SpecOf(task mesos.TaskInfo, p Placement) (Spec, error) {
	c, d := task.Container, task.GetContainer().GetDocker()
	if d == nil {
		return Spec{}, errors.New("the task has no docker container")
	}
	if d.Image == "" {
		return Spec{}, errors.New("the task names no docker image")
	}
	cpus, mem := scalar(task.Resources, "cpus"), scalar(task.Resources, "mem")
	s := Spec{
		Name:         p.Name,
		Image:        d.Image,
		Privileged:   d.GetPrivileged(),
		Hostname:     c.GetHostname(),
		VolumeDriver: d.GetVolumeDriver(),
		CPUShares:    max(int64(sharesPerCPU*cpus), minShares),
		MemoryBytes:  max(int64(mem*(1<<20)), minMemory),
		Labels: map[string]string{
			"MESOS_TASK_ID":      task.TaskID.Value,
			"MESOS_FRAMEWORK_ID": p.Framework,
			"MESOS_AGENT_ID":     p.AgentID,
		},
		User: task.GetCommand().GetUser(),
	}
	s.Env = environment(task, p)
	s.Binds = []string{p.Sandbox + ":" + p.Mapped}
	for _, m := range p.Volumes {
		if m.Target == "" || strings.Contains(m.Target, ":") {
			return Spec{}, fmt.Errorf("persistent volume: %q cannot be a container path", m.Target)
		}
		s.Binds = append(s.Binds, m.Source+":"+inContainer(m.Target, p)+":rw")
	}
	for _, fill := range []func(*Spec, mesos.TaskInfo, Placement) error{command, networking, ports, volumes, parameters} {
		if err := fill(&s, task, p); err != nil {
			return Spec{}, err
		}
	}
	if s.Hostname != "" && s.Network == "host" {
		return Spec{}, errors.New("a hostname cannot be set with network mode HOST")
	}
	return s, nil
}

func scalar(rs []mesos.Resource, name string) (sum float64) {
	for _, r := range rs {
		if r.Name == name {
			sum += r.GetScalar().GetValue()
		}
	}
	return sum
}

// environment is Mesos' own variables and then the task's, which win.
func environment(task mesos.TaskInfo, p Placement) []string {
	env := []string{
		"MESOS_SANDBOX=" + p.Mapped,
		"MESOS_CONTAINER_NAME=" + p.Name,
		"MESOS_TASK_ID=" + task.TaskID.Value,
	}
	for _, v := range task.GetCommand().GetEnvironment().GetVariables() {
		env = setEnv(env, v.Name, v.GetValue())
	}
	return env
}

func setEnv(env []string, name, value string) []string {
	for i, kv := range env {
		if strings.HasPrefix(kv, name+"=") {
			env[i] = name + "=" + value
			return env
		}
	}
	return append(env, name+"="+value)
}

// command: a shell command replaces the image's entry point, otherwise value
// and arguments follow it.
func command(s *Spec, task mesos.TaskInfo, _ Placement) error {
	c := task.Command
	switch {
	case c == nil:
	case c.GetShell():
		if c.Value == nil {
			return errors.New("a shell command was asked for, but it has no value")
		}
		s.Entrypoint, s.Cmd = []string{"/bin/sh"}, []string{"-c", c.GetValue()}
	default:
		if c.Value != nil {
			s.Cmd = append(s.Cmd, c.GetValue())
		}
		s.Cmd = append(s.Cmd, c.Arguments...)
	}
	return nil
}

func networking(s *Spec, task mesos.TaskInfo, _ Placement) error {
	switch n := task.Container.Docker.GetNetwork(); n {
	case mesos.ContainerInfo_DockerInfo_USER:
		infos := task.Container.NetworkInfos
		if len(infos) != 1 || infos[0].GetName() == "" {
			return errors.New("network mode USER needs one network with a name")
		}
		s.Network = infos[0].GetName()
	default:
		s.Network = strings.ToLower(n.String())
	}
	return nil
}

func ports(s *Spec, task mesos.TaskInfo, _ Placement) error {
	d := task.Container.Docker
	if len(d.PortMappings) > 0 && (s.Network == "host" || s.Network == "none") {
		return errors.New("port mappings are only supported for bridge and user-defined networks")
	}
	for _, m := range d.PortMappings {
		protocol := strings.ToLower(m.GetProtocol())
		if protocol == "" {
			protocol = "tcp"
		}
		if protocol != "tcp" && protocol != "udp" {
			return fmt.Errorf("port mapping %d: unknown protocol %q", m.HostPort, m.GetProtocol())
		}
		if m.HostPort > 65535 || m.ContainerPort == 0 || m.ContainerPort > 65535 {
			return fmt.Errorf("port mapping %d to %d is out of range", m.HostPort, m.ContainerPort)
		}
		if !ownsPort(task.Resources, uint64(m.HostPort)) {
			return fmt.Errorf("port %d is not included in the task's resources", m.HostPort)
		}
		s.Ports = append(s.Ports, Port{uint16(m.HostPort), uint16(m.ContainerPort), protocol})
	}
	return nil
}

func ownsPort(rs []mesos.Resource, port uint64) bool {
	return slices.ContainsFunc(rs, func(r mesos.Resource) bool {
		return r.Name == "ports" && slices.ContainsFunc(r.GetRanges().GetRange(), func(x mesos.Value_Range) bool {
			return x.Begin <= port && port <= x.End
		})
	})
}

// inContainer is where a container path leads.
func inContainer(name string, p Placement) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(p.Mapped, name)
}

func volumes(s *Spec, task mesos.TaskInfo, p Placement) error {
	for _, v := range task.Container.Volumes {
		if v.Image != nil || v.Source != nil {
			return fmt.Errorf("volume %s: images and sources are not supported, only host paths", v.ContainerPath)
		}
		target := inContainer(v.ContainerPath, p)
		if v.HostPath == nil {
			s.Volumes = append(s.Volumes, target)
			continue
		}
		source := v.GetHostPath()
		if source == "" {
			return fmt.Errorf("volume %s: the host path is empty", v.ContainerPath)
		}
		if s.VolumeDriver == "" && !path.IsAbs(source) {
			source = path.Join(p.Sandbox, source)
		}
		s.Binds = append(s.Binds, source+":"+target+":"+strings.ToLower(v.GetMode().String()))
	}
	return nil
}

// parameters are words for `docker run`; those that mean something in the
// Engine API are understood, the others refused.
func parameters(s *Spec, task mesos.TaskInfo, _ Placement) error {
	for _, kv := range task.Container.Docker.Parameters {
		switch kv.Key {
		case "env", "e":
			name, value, ok := strings.Cut(kv.Value, "=")
			if !ok || name == "" {
				return fmt.Errorf("docker parameter env=%q: want NAME=value", kv.Value)
			}
			s.Env = setEnv(s.Env, name, value)
		case "label", "l":
			name, value, _ := strings.Cut(kv.Value, "=")
			s.Labels[name] = value
		case "hostname", "h":
			s.Hostname = kv.Value
		case "volume", "v":
			if strings.Contains(kv.Value, ":") {
				s.Binds = append(s.Binds, kv.Value)
			} else {
				s.Volumes = append(s.Volumes, kv.Value)
			}
		case "user", "u":
			s.User = kv.Value
		case "workdir", "w":
			s.WorkDir = kv.Value
		case "entrypoint":
			s.Entrypoint = []string{kv.Value}
		case "dns":
			if _, err := netip.ParseAddr(kv.Value); err != nil {
				return fmt.Errorf("docker parameter dns: %w", err)
			}
			s.DNS = append(s.DNS, kv.Value)
		case "add-host":
			s.ExtraHosts = append(s.ExtraHosts, kv.Value)
		case "cap-add":
			s.CapAdd = append(s.CapAdd, kv.Value)
		case "cap-drop":
			s.CapDrop = append(s.CapDrop, kv.Value)
		default:
			return fmt.Errorf("docker parameter %q is not understood by this agent (it knows add-host, cap-add, cap-drop, dns, entrypoint, env, hostname, label, user, volume and workdir)", kv.Key)
		}
	}
	return nil
}
