package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	sysinfo "github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
)

// Engine is what the provider needs of this computer's Docker;
// *client.Client has it.
type Engine interface {
	Ping(ctx context.Context, o client.PingOptions) (client.PingResult, error)
	Info(ctx context.Context, o client.InfoOptions) (client.SystemInfoResult, error)

	ImageInspect(ctx context.Context, ref string, o ...client.ImageInspectOption) (client.ImageInspectResult, error)
	ImageImport(ctx context.Context, src client.ImageImportSource, ref string, o client.ImageImportOptions) (client.ImageImportResult, error)
	ImageBuild(ctx context.Context, build io.Reader, o client.ImageBuildOptions) (client.ImageBuildResult, error)
	ImageTag(ctx context.Context, o client.ImageTagOptions) (client.ImageTagResult, error)

	NetworkList(ctx context.Context, o client.NetworkListOptions) (client.NetworkListResult, error)
	NetworkCreate(ctx context.Context, name string, o client.NetworkCreateOptions) (client.NetworkCreateResult, error)
	NetworkRemove(ctx context.Context, name string, o client.NetworkRemoveOptions) (client.NetworkRemoveResult, error)
	NetworkConnect(ctx context.Context, name string, o client.NetworkConnectOptions) (client.NetworkConnectResult, error)
	NetworkDisconnect(ctx context.Context, name string, o client.NetworkDisconnectOptions) (client.NetworkDisconnectResult, error)

	VolumeCreate(ctx context.Context, o client.VolumeCreateOptions) (client.VolumeCreateResult, error)
	VolumeList(ctx context.Context, o client.VolumeListOptions) (client.VolumeListResult, error)
	VolumeRemove(ctx context.Context, name string, o client.VolumeRemoveOptions) (client.VolumeRemoveResult, error)

	ContainerList(ctx context.Context, o client.ContainerListOptions) (client.ContainerListResult, error)
	ContainerInspect(ctx context.Context, id string, o client.ContainerInspectOptions) (client.ContainerInspectResult, error)
	ContainerCreate(ctx context.Context, o client.ContainerCreateOptions) (client.ContainerCreateResult, error)
	ContainerStart(ctx context.Context, id string, o client.ContainerStartOptions) (client.ContainerStartResult, error)
	ContainerStop(ctx context.Context, id string, o client.ContainerStopOptions) (client.ContainerStopResult, error)
	ContainerKill(ctx context.Context, id string, o client.ContainerKillOptions) (client.ContainerKillResult, error)
	ContainerPause(ctx context.Context, id string, o client.ContainerPauseOptions) (client.ContainerPauseResult, error)
	ContainerUnpause(ctx context.Context, id string, o client.ContainerUnpauseOptions) (client.ContainerUnpauseResult, error)
	ContainerRename(ctx context.Context, id string, o client.ContainerRenameOptions) (client.ContainerRenameResult, error)
	ContainerRemove(ctx context.Context, id string, o client.ContainerRemoveOptions) (client.ContainerRemoveResult, error)
	ExecCreate(ctx context.Context, id string, o client.ExecCreateOptions) (client.ExecCreateResult, error)
	ExecStart(ctx context.Context, id string, o client.ExecStartOptions) (client.ExecStartResult, error)
	CopyToContainer(ctx context.Context, id string, o client.CopyToContainerOptions) (client.CopyToContainerResult, error)
	CopyFromContainer(ctx context.Context, id string, o client.CopyFromContainerOptions) (client.CopyFromContainerResult, error)
}

var _ Engine = (*client.Client)(nil)

// oldestAPI brought private cgroup namespaces (engine 20.10).
const oldestAPI = 41

// reach asks the engine whether it is there and new enough. The error ids are
// engine-unreachable and engine-too-old.
func (p *Provider) reach(ctx context.Context) error {
	if p.broken != nil {
		return unreachable(p.broken)
	}
	limited, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	pong, err := p.engine.Ping(limited, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("ask the Docker engine: %w", context.Cause(ctx))
		}
		return unreachable(err)
	}
	minor, err := strconv.Atoi(strings.TrimPrefix(pong.APIVersion, "1."))
	if err != nil || minor < oldestAPI {
		return &lab.Error{ID: "engine-too-old", Op: "ask the Docker engine",
			Err:    fmt.Errorf("it speaks API %q, machines need 1.%d", pong.APIVersion, oldestAPI),
			Advice: "update Docker to 20.10 or newer, or use --provider local"}
	}
	return nil
}

func unreachable(err error) error {
	e := &lab.Error{ID: "engine-unreachable", Op: "ask the Docker engine", Err: err,
		Advice: "start Docker on this computer, or use --provider local, which needs none"}
	if errdefs.IsPermissionDenied(err) || strings.Contains(err.Error(), "permission denied") {
		e.Advice = "you may not open Docker's socket: join the group docker (sudo usermod -aG docker $USER) and log in anew, or use --provider local"
	}
	return e
}

// size is what the engine's computer has.
type size struct {
	cpus   int
	limits bool // CPU limits are possible
}

// suitable refuses engines whose containers cannot be machines.
func (p *Provider) suitable(ctx context.Context) (size, error) {
	if err := p.here(); err != nil {
		return size{}, err
	}
	result, err := p.engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return size{}, fmt.Errorf("ask the Docker engine about its computer: %w", err)
	}
	return judge(result.Info)
}

// judge tells from what an engine says of itself whether its containers can be
// reached by address and be privileged.
func judge(info sysinfo.Info) (size, error) {
	has := func(option string) bool {
		return slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return o == option || strings.HasPrefix(o, option+",") })
	}
	switch {
	case info.OSType != "" && info.OSType != "linux":
		return size{}, unsuitable("it runs " + info.OSType + " containers")
	case strings.Contains(info.OperatingSystem, "Docker Desktop"):
		return size{}, unsuitable("it is Docker Desktop: this computer cannot reach the addresses of its containers")
	case has("name=rootless"):
		return size{}, unsuitable("it runs without root: this computer cannot reach the addresses of its containers")
	case has("name=userns"):
		return size{}, unsuitable("it maps users (userns-remap), and gives no container the rights that machines need")
	}
	return size{cpus: info.NCPU, limits: info.CPUCfsQuota}, nil
}

func unsuitable(why string) error {
	return &lab.Error{ID: "engine-unsuitable", Op: "ask the Docker engine", Err: errors.New(why),
		Advice: "use --provider local, or --provider vagrant, or Docker Engine on a Linux computer"}
}
