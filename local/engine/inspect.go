package engine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// state is the record's state as the API shows it.
func (c *container) state() api.State {
	r := c.rec
	s := api.State{
		Status: r.Status, Running: r.alive(), Paused: r.Status == paused, Restarting: r.Status == restarting,
		Dead: r.Status == dead, ExitCode: r.ExitCode, Error: r.Error,
		StartedAt: api.FormatTime(r.StartedAt), FinishedAt: api.FormatTime(r.FinishedAt),
	}
	if c.life != nil {
		s.Pid = c.life.proc.Pid()
	}
	return s
}

// inspect is the answer of GET /containers/{id}/json.
func (c *container) inspect(size bool) api.Inspect {
	c.mu.Lock()
	r, state := c.rec, c.state()
	name, ep := c.endpoint(r)
	execs := slices.Clone(c.execs)
	network := api.NetworkSettings{
		Ports: c.shownPorts(), Gateway: ep.Gateway, IPAddress: ep.IPAddress, IPPrefixLen: ep.IPPrefixLen,
		EndpointID: ep.EndpointID, Networks: map[string]api.Endpoint{name: ep},
	}
	c.mu.Unlock()
	config, host := r.Config, r.HostConfig
	folder := "/" + c.e.inMachine("containers", r.ID[:12])
	i := api.Inspect{
		ID: r.ID, Created: api.FormatTime(r.Created), Path: r.Argv[0], Args: append([]string{}, r.Argv[1:]...), State: state,
		Image: r.ImageID, ResolvConfPath: folder + "/rootfs/etc/resolv.conf", HostnamePath: folder + "/rootfs/etc/hostname",
		HostsPath: folder + "/rootfs/etc/hosts", LogPath: folder + "/log", Name: "/" + r.Name, RestartCount: r.RestartCount,
		Driver: "folder", Platform: "linux", ExecIDs: execs, HostConfig: &host, Config: &config,
		GraphDriver: api.GraphDriver{Name: "folder", Data: map[string]string{"MergedDir": folder + "/rootfs"}},
		Mounts:      append([]api.MountPoint{}, r.Mounts...), NetworkSettings: network,
	}
	if size {
		n := c.e.tree.Size(c.root())
		i.SizeRw, i.SizeRootFs = &n, &n
	}
	return i
}

// shownPorts are the exposed ports and what they are bound to now; mu is held.
func (c *container) shownPorts() api.PortMap {
	shown := api.PortMap{}
	if !c.rec.bridged() || c.life == nil {
		return shown
	}
	for p := range c.rec.Config.ExposedPorts {
		shown[p] = c.life.bound[p]
	}
	return shown
}

// summary is the container's element of GET /containers/json.
func (c *container) summary(size bool) api.Summary {
	c.mu.Lock()
	r := c.rec
	name, ep := c.endpoint(r)
	bound := c.shownPorts()
	c.mu.Unlock()
	s := api.Summary{
		ID: r.ID, Names: []string{"/" + r.Name}, Image: r.Config.Image, ImageID: r.ImageID, Command: quoteArgv(r.Argv),
		Created: r.Created.Unix(), Ports: listPorts(bound), Labels: r.Config.Labels, State: r.Status,
		Status: humanStatus(r, time.Now()), Mounts: append([]api.MountPoint{}, r.Mounts...),
	}
	s.HostConfig.NetworkMode = r.HostConfig.NetworkMode
	s.NetworkSettings.Networks = map[string]api.Endpoint{name: ep}
	if size {
		n := c.e.tree.Size(c.root())
		s.SizeRw, s.SizeRootFs = &n, &n
	}
	return s
}

// quoteArgv writes a command line as lists show it.
func quoteArgv(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		if out[i] = a; a == "" || strings.ContainsAny(a, " \t\n'\"\\") {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

func listPorts(bound api.PortMap) []api.Port {
	list := []api.Port{}
	for _, key := range slices.Sorted(maps.Keys(bound)) {
		number, proto, err := api.ParsePort(key)
		if err != nil {
			continue
		}
		if len(bound[key]) == 0 {
			list = append(list, api.Port{PrivatePort: uint16(number), Type: proto})
		}
		for _, b := range bound[key] {
			public, _ := strconv.ParseUint(b.HostPort, 10, 16)
			list = append(list, api.Port{IP: b.HostIP, PrivatePort: uint16(number), PublicPort: uint16(public), Type: proto})
		}
	}
	return list
}

// humanStatus is the text in the column STATUS of docker ps.
func humanStatus(r record, now time.Time) string {
	switch r.Status {
	case running:
		return "Up " + about(now.Sub(r.StartedAt))
	case paused:
		return "Up " + about(now.Sub(r.StartedAt)) + " (Paused)"
	case restarting:
		return fmt.Sprintf("Restarting (%d) %s ago", r.ExitCode, about(now.Sub(r.FinishedAt)))
	case removing:
		return "Removal In Progress"
	case dead:
		return "Dead"
	case created:
		return "Created"
	}
	if r.FinishedAt.IsZero() {
		return fmt.Sprintf("Exited (%d)", r.ExitCode)
	}
	return fmt.Sprintf("Exited (%d) %s ago", r.ExitCode, about(now.Sub(r.FinishedAt)))
}

// about writes a duration in docker's words.
func about(d time.Duration) string {
	switch {
	case d < time.Second:
		return "Less than a second"
	case d < 2*time.Second:
		return "1 second"
	case d < time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Minute:
		return "About a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 90*time.Minute:
		return "About an hour"
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()+0.5))
	case d < 14*24*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return fmt.Sprintf("%d weeks", int(d.Hours()/24/7))
}
