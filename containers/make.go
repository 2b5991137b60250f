package containers

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// make makes what is missing of a machine: card, disk, container; it starts
// nothing. A container whose card was taken away cannot be started any more
// and is made anew; its Docker data lie on the disk and stay.
func (p *Provider) make(ctx context.Context, s site, host size) error {
	card, machine, err := p.inspectBoth(ctx, s)
	if err != nil {
		return err
	}
	if joined(card, machine) {
		return nil
	}
	ref, err := image()
	if err != nil {
		return err
	}
	if machine != nil {
		if err := p.remove(ctx, machine.ID); err != nil {
			return fmt.Errorf("%s: %w", s.node.Name, err)
		}
	}
	cardID := ""
	if card != nil {
		cardID = card.ID
	} else if cardID, err = p.create(ctx, s, cardOptions(s, ref)); err != nil {
		return err
	}
	if _, err := p.engine.VolumeCreate(ctx, client.VolumeCreateOptions{Name: s.diskName(), Labels: s.labels(partDisk)}); err != nil {
		return fmt.Errorf("%s: make disk: %w", s.node.Name, err)
	}
	_, err = p.create(ctx, s, machineOptions(s, ref, cardID, host))
	return err
}

// restoreNames gives back their names to containers of the lab that somebody
// has renamed: one that is called otherwise would be made a second time, on
// the same disk.
func (p *Provider) restoreNames(ctx context.Context, plan lab.Plan, all []site) error {
	list, err := p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine(plan)})
	if err != nil {
		return fmt.Errorf("list the lab's containers: %w", err)
	}
	for _, c := range list.Items {
		i := slices.IndexFunc(all, func(s site) bool { return s.node.Name == c.Labels[labelNode] })
		name := ""
		if i >= 0 {
			name = map[string]string{partMachine: all[i].machineName(), partCard: all[i].cardName()}[c.Labels[labelPart]]
		}
		if name == "" || slices.Contains(c.Names, "/"+name) {
			continue
		}
		if _, err := p.engine.ContainerRename(ctx, c.ID, client.ContainerRenameOptions{NewName: name}); err != nil {
			return &lab.Error{ID: "machine-renamed", Op: "look at the engine", Machine: all[i].node.Name,
				Err:    fmt.Errorf("its container %s is called %v and cannot be called %s again: %w", c.ID[:min(12, len(c.ID))], c.Names, name, err),
				Advice: "two containers have the labels of this machine: remove one of them (docker rm -f)"}
		}
		all[i].mended(fmt.Sprintf("its container was called %s: renamed to %s", strings.TrimPrefix(strings.Join(c.Names, " "), "/"), name), "name of "+all[i].node.Name)
	}
	return nil
}

func (p *Provider) create(ctx context.Context, s site, o client.ContainerCreateOptions) (string, error) {
	made, err := p.engine.ContainerCreate(ctx, o)
	if err != nil {
		return "", fmt.Errorf("%s: make container %s: %w", s.node.Name, o.Name, err)
	}
	return made.ID, nil
}

// inspectBoth returns a machine's two containers, nil for what is missing.
func (p *Provider) inspectBoth(ctx context.Context, s site) (card, machine *container.InspectResponse, err error) {
	if card, err = p.inspect(ctx, s, s.cardName()); err != nil {
		return nil, nil, err
	}
	machine, err = p.inspect(ctx, s, s.machineName())
	return card, machine, err
}

func (p *Provider) inspect(ctx context.Context, s site, name string) (*container.InspectResponse, error) {
	found, err := p.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: look at container %s: %w", s.node.Name, name, err)
	}
	c := found.Container
	if c.Config == nil || c.Config.Labels[labelName] != s.labels("")[labelName] {
		return nil, nameTaken("container", name)
	}
	return &c, nil
}

func cardMode(id string) container.NetworkMode { return container.NetworkMode("container:" + id) }

// cardOptions is the network card: nothing but a network namespace with the
// machine's name and address.
func cardOptions(s site, image string) client.ContainerCreateOptions {
	return client.ContainerCreateOptions{
		Name: s.cardName(),
		Config: &container.Config{
			Image: image, Cmd: []string{"/bin/sleep", "infinity"}, Hostname: s.node.Name,
			Labels: s.labels(partCard), StopSignal: "SIGKILL",
		},
		HostConfig: &container.HostConfig{
			NetworkMode: container.NetworkMode(networkName(s.plan)), ReadonlyRootfs: true,
			CapDrop: []string{"ALL"}, CgroupnsMode: container.CgroupnsModePrivate,
		},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{networkName(s.plan): s.endpointSettings()}},
	}
}

// endpointSettings are the machine's addresses. The hardware address follows
// from the IP address, as older engines have it by themselves, so that peers
// know the machine again after a pause.
func (s site) endpointSettings() *network.EndpointSettings {
	b := s.node.IP.As4()
	return &network.EndpointSettings{
		IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: s.node.IP},
		MacAddress: network.HardwareAddr(net.HardwareAddr{0x02, 0x42, b[0], b[1], b[2], b[3]}),
	}
}

// stopSeconds is how long a clean shutdown may take before the plug is pulled.
const stopSeconds = 30

// machineOptions is the machine proper.
func machineOptions(s site, image, cardID string, engine size) client.ContainerCreateOptions {
	timeout := stopSeconds
	host := &container.HostConfig{
		NetworkMode: cardMode(cardID), CgroupnsMode: container.CgroupnsModePrivate,
		Tmpfs:  map[string]string{"/run": "exec", "/run/lock": "", "/tmp": "exec"},
		Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: s.diskName(), Target: "/var/lib/docker"}},
	}
	host.Memory = s.node.MemoryMiB << 20
	if engine.limits && s.node.CPUs > 0 && s.node.CPUs < engine.cpus {
		host.NanoCPUs = int64(s.node.CPUs) * 1e9
	}
	giveRights(host)
	return client.ContainerCreateOptions{
		Name:       s.machineName(),
		Config:     &container.Config{Image: image, Cmd: []string{initPath}, Labels: s.labels(partMachine), StopSignal: "SIGRTMIN+3", StopTimeout: &timeout},
		HostConfig: host,
	}
}
