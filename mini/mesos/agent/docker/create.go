package docker

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// createOptions writes a Spec in the words of the Engine API. Published ports
// have no host address, which means all of them.
func createOptions(s Spec) (client.ContainerCreateOptions, error) {
	c := &container.Config{
		Image:        s.Image,
		Entrypoint:   s.Entrypoint,
		Cmd:          s.Cmd,
		Env:          s.Env,
		User:         s.User,
		WorkingDir:   s.WorkDir,
		Hostname:     s.Hostname,
		Labels:       s.Labels,
		ExposedPorts: network.PortSet{},
		Volumes:      map[string]struct{}{},
	}
	h := &container.HostConfig{
		Binds:        s.Binds,
		NetworkMode:  container.NetworkMode(s.Network),
		PortBindings: network.PortMap{},
		Privileged:   s.Privileged,
		VolumeDriver: s.VolumeDriver,
		ExtraHosts:   s.ExtraHosts,
		CapAdd:       s.CapAdd,
		CapDrop:      s.CapDrop,
		Resources:    container.Resources{CPUShares: s.CPUShares, Memory: s.MemoryBytes},
	}
	for _, v := range s.Volumes {
		c.Volumes[v] = struct{}{}
	}
	for _, p := range s.Ports {
		port, ok := network.PortFrom(p.Container, network.IPProtocol(p.Protocol))
		if !ok {
			return client.ContainerCreateOptions{}, fmt.Errorf("port %d has no protocol", p.Container)
		}
		c.ExposedPorts[port] = struct{}{}
		h.PortBindings[port] = append(h.PortBindings[port], network.PortBinding{HostPort: strconv.Itoa(int(p.Host))})
	}
	for _, text := range s.DNS {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return client.ContainerCreateOptions{}, fmt.Errorf("dns server: %w", err)
		}
		h.DNS = append(h.DNS, ip)
	}
	return client.ContainerCreateOptions{Name: s.Name, Config: c, HostConfig: h}, nil
}
