//go:build linux

package dockerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/client"
)

// Left lists everything on the engine and in its namespaces that is not
// there while no lab is: containers, volumes, networks, processes of
// containers, network interfaces, mounts. Images may stay.
func (e *Engine) Left(ctx context.Context) ([]string, error) {
	c, err := client.New(client.WithHost(e.Host))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var left []string
	containers, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, err
	}
	for _, x := range containers.Items {
		left = append(left, fmt.Sprint("container ", x.Names, " ", x.Status))
	}
	volumes, err := c.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Items {
		left = append(left, "volume "+v.Name)
	}
	networks, err := c.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, err
	}
	for _, n := range networks.Items {
		if !builtin(n.Name) {
			left = append(left, "network "+n.Name)
		}
	}
	info, err := c.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, err
	}
	processes, err1 := e.processes()
	links, err2 := interfaces()
	mounts, err3 := e.mounts(info.Info.DockerRootDir)
	return slices.Concat(left, processes, links, mounts), errors.Join(err1, err2, err3)
}

// builtin networks are every engine's.
func builtin(network string) bool {
	return slices.Contains([]string{"bridge", "host", "none"}, network)
}

// processes lists those of containers, and what holds them.
func (e *Engine) processes() ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil || len(text) == 0 {
			continue // gone, or a zombie
		}
		command := strings.ReplaceAll(strings.TrimRight(string(text), "\x00"), "\x00", " ")
		if inContainer(e.Group, pid) || strings.Contains(command, "containerd-shim") {
			out = append(out, fmt.Sprintf("process %d %s", pid, command))
		}
	}
	return out, nil
}

// interfaces lists those that are not an empty engine's.
func interfaces() ([]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, i := range all {
		if strings.HasPrefix(i.Name, "veth") || strings.HasPrefix(i.Name, "br-") {
			out = append(out, "network interface "+i.Name)
		}
	}
	return out, nil
}

// mounts lists those of containers; root is where the engine has its data.
func (e *Engine) mounts(root string) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 1 && (strings.HasPrefix(f[1], root+"/") || strings.Contains(f[1], "/"+e.Group+"/exec/containerd/")) {
			out = append(out, "mount "+f[1])
		}
	}
	return out, nil
}
