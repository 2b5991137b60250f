package docker

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/spf13/pflag"
)

func createFlags(f *pflag.FlagSet) {
	f.BoolP("interactive", "i", false, "type into it")
	f.BoolP("tty", "t", false, "on a terminal")
	f.Bool("rm", false, "remove it when it has ended")
	f.String("name", "", "its name")
	f.StringP("hostname", "h", "", "its host name")
	f.StringArrayP("env", "e", nil, "set a variable")
	f.StringArrayP("publish", "p", nil, "[IP:][PORT:]CONTAINER_PORT")
	f.BoolP("publish-all", "P", false, "publish all exposed ports")
	f.StringArrayP("volume", "v", nil, "SOURCE:TARGET")
	f.StringArrayP("label", "l", nil, "KEY=VALUE")
	f.String("network", "", "bridge, host or none")
	f.String("net", "", "bridge, host or none")
	f.String("restart", "no", "no, always, unless-stopped or on-failure")
	f.StringP("user", "u", "", "as this user")
	f.StringP("workdir", "w", "", "in this directory")
	f.String("entrypoint", "", "instead of the image's")
	f.Bool("privileged", false, "")
	f.String("pid", "", "")
	f.String("detach-keys", "", "keys to detach with")
}

func runFlags(f *pflag.FlagSet) {
	createFlags(f)
	f.BoolP("detach", "d", false, "in the background")
}

func create(ctx context.Context, c *call) error {
	id, err := c.create(ctx)
	if err == nil {
		fmt.Fprintln(c.Stdout, id)
	}
	return err
}

func run(ctx context.Context, c *call) error {
	if !c.on("detach") {
		if err := c.onTerminal(c.on("interactive"), c.on("tty")); err != nil {
			return err
		}
	}
	id, err := c.create(ctx)
	if err != nil {
		fmt.Fprintf(c.Stderr, "docker: %s\n", c.words(err))
		return exitStatus(125)
	}
	if !c.on("detach") {
		return c.startAttached(ctx, id, c.on("interactive"), c.on("rm"))
	}
	if _, err := c.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		fmt.Fprintf(c.Stderr, "docker: %s\n", c.words(err))
		return exitStatus(125)
	}
	fmt.Fprintln(c.Stdout, id)
	return nil
}

// create makes the container that the flags describe.
func (c *call) create(ctx context.Context) (string, error) {
	list := func(name string) []string {
		v, err := c.f.GetStringArray(name)
		if err != nil {
			return nil
		}
		return v
	}
	exposed, bindings, err := published(list("publish"))
	if err != nil {
		return "", err
	}
	interactive, detached := c.on("interactive"), c.on("detach")
	config := &container.Config{
		Image: c.args[0], Cmd: c.args[1:], Tty: c.on("tty"), OpenStdin: interactive, StdinOnce: interactive && !detached,
		AttachStdin: interactive && !detached, AttachStdout: !detached, AttachStderr: !detached,
		Env: c.environment(list("env")), Hostname: c.text("hostname"), User: c.text("user"), WorkingDir: c.text("workdir"),
		ExposedPorts: exposed, Labels: map[string]string{},
	}
	for _, l := range list("label") {
		k, v, _ := strings.Cut(l, "=")
		config.Labels[k] = v
	}
	if e := c.text("entrypoint"); e != "" {
		config.Entrypoint = []string{e}
	}
	policy, count, _ := strings.Cut(c.text("restart"), ":")
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode(c.text("network") + c.text("net")), AutoRemove: c.on("rm"), Privileged: c.on("privileged"),
		PortBindings: bindings, PublishAllPorts: c.on("publish-all"), Binds: list("volume"), PidMode: container.PidMode(c.text("pid")),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(policy)},
	}
	if count != "" {
		if _, err := fmt.Sscanf(count, "%d", &host.RestartPolicy.MaximumRetryCount); err != nil {
			return "", usage("invalid restart policy %q: the maximum retry count must be a number", c.text("restart"))
		}
	}
	if config.Tty {
		if t := c.Keyboard(); t != nil {
			s := t.Size()
			host.ConsoleSize = [2]uint{uint(s.Rows), uint(s.Columns)}
		}
	}
	r, err := c.api.ContainerCreate(ctx, client.ContainerCreateOptions{Config: config, HostConfig: host, Name: c.text("name")})
	if err != nil {
		return "", err
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(c.Stderr, "WARNING: "+w)
	}
	return r.ID, nil
}

// published reads the values of -p: [ip:][host port:]port[/protocol].
func published(specs []string) (network.PortSet, network.PortMap, error) {
	exposed, bindings := network.PortSet{}, network.PortMap{}
	for _, spec := range specs {
		fail := func(err error) error { return usage("invalid port specification %q: %v", spec, err) }
		parts := strings.Split(spec, ":")
		port, err := network.ParsePort(parts[len(parts)-1])
		if err != nil {
			return nil, nil, fail(err)
		}
		var b network.PortBinding
		switch len(parts) {
		case 1:
		case 2:
			b.HostPort = parts[0]
		case 3:
			b.HostPort = parts[1]
			if b.HostIP, err = netip.ParseAddr(parts[0]); err != nil {
				return nil, nil, fail(err)
			}
		default:
			return nil, nil, usage("invalid port specification %q: it is [IP:][PORT:]CONTAINER_PORT", spec)
		}
		exposed[port] = struct{}{}
		bindings[port] = append(bindings[port], b)
	}
	return exposed, bindings, nil
}
