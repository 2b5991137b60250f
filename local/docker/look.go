package docker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/pflag"
)

func inspections() map[string]subcommand {
	return map[string]subcommand{
		"inspect": {usage: "[OPTIONS] NAME|ID [NAME|ID...]", about: "print all there is to know of containers or images", least: 1, most: -1, flags: func(f *pflag.FlagSet) {
			f.StringP("format", "f", "", "json or a template")
			f.String("type", "", "container or image")
			f.BoolP("size", "s", false, "")
		}, do: inspect},
		"top":  {usage: "CONTAINER [ps OPTIONS]", about: "list the processes of a container", least: 1, most: -1, words: true, do: top},
		"port": {usage: "CONTAINER [PORT]", about: "list what a container has published", least: 1, most: 2, do: port},
		"stats": {usage: "[OPTIONS] [CONTAINER...]", about: "show what containers use, until ctrl-C", most: -1, flags: func(f *pflag.FlagSet) {
			f.Bool("no-stream", false, "once only")
			f.BoolP("all", "a", false, "also those that do not run")
		}, do: stats},
		"events": {usage: "[OPTIONS]", about: "print what happens, until ctrl-C", flags: func(f *pflag.FlagSet) {
			f.String("since", "", "from this time on")
			f.String("until", "", "up to this time")
			f.StringArrayP("filter", "f", nil, "only those with KEY=VALUE")
		}, do: events},
		"info":    {about: "print what there is to know of the engine", do: info},
		"version": {about: "print versions", do: version},
	}
}

func inspect(ctx context.Context, c *call) error {
	var found []json.RawMessage
	failed := false
	for _, name := range c.args {
		raw, err := c.object(ctx, name, c.text("type"))
		if err != nil {
			fmt.Fprintln(c.Stderr, c.words(err))
			failed = true
			continue
		}
		found = append(found, raw)
	}
	if err := c.printObjects(found); err != nil {
		return err
	}
	if failed {
		return exitStatus(1)
	}
	return nil
}

func (c *call) printObjects(found []json.RawMessage) error {
	format := c.text("format")
	if format == "" || format == "json" {
		if found == nil {
			found = []json.RawMessage{}
		}
		text, err := json.Marshal(found)
		if err != nil {
			return err
		}
		if format == "" {
			enc := json.NewEncoder(c.Stdout)
			enc.SetIndent("", "    ")
			enc.SetEscapeHTML(false)
			return enc.Encode(found)
		}
		_, err = fmt.Fprintf(c.Stdout, "%s\n", text)
		return err
	}
	t, err := compile(format)
	if err != nil {
		return err
	}
	for _, raw := range found {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		if err := execute(c.Stdout, t, v); err != nil {
			return err
		}
	}
	return nil
}

// object looks for a container, then for an image.
func (c *call) object(ctx context.Context, name, kind string) (json.RawMessage, error) {
	if kind != "image" {
		r, err := c.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		if err == nil {
			return r.Raw, nil
		}
		switch {
		case !cerrdefs.IsNotFound(err):
			return nil, err
		case kind == "container":
			return nil, noObject{kind, name}
		}
	}
	var raw bytes.Buffer
	if _, err := c.api.ImageInspect(ctx, name, client.ImageInspectWithRawResponse(&raw)); err != nil {
		if cerrdefs.IsNotFound(err) {
			return nil, noObject{cmp.Or(kind, "object"), name}
		}
		return nil, err
	}
	return raw.Bytes(), nil
}

// noObject is a name that neither a container nor an image has. The engine was
// asked for both: it is the command that says so.
type noObject struct{ kind, name string }

func (n noObject) Error() string { return "No such " + n.kind + ": " + n.name }

func top(ctx context.Context, c *call) error {
	r, err := c.api.ContainerTop(ctx, c.args[0], client.ContainerTopOptions{Arguments: c.args[1:]})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.Stdout, 20, 1, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(r.Titles, "\t"))
	for _, p := range r.Processes {
		fmt.Fprintln(w, strings.Join(p, "\t"))
	}
	return w.Flush()
}

func port(ctx context.Context, c *call) error {
	r, err := c.api.ContainerInspect(ctx, c.args[0], client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	var lines []string
	for p, bindings := range r.Container.NetworkSettings.Ports {
		if len(c.args) > 1 && c.args[1] != p.String() && c.args[1] != strings.TrimSuffix(p.String(), "/tcp") {
			continue
		}
		for _, b := range bindings {
			address := fmt.Sprintf("%s:%s", b.HostIP, b.HostPort)
			if len(c.args) == 1 {
				address = p.String() + " -> " + address
			}
			lines = append(lines, address)
		}
	}
	if len(c.args) > 1 && len(lines) == 0 {
		return usage("no public port '%s' published for %s", c.args[1], c.args[0])
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(c.Stdout, l)
	}
	return nil
}

// stats prints a table of usage, again and again where somebody watches.
func stats(ctx context.Context, c *call) error {
	for {
		list, err := c.api.ContainerList(ctx, client.ContainerListOptions{All: c.on("all")})
		if err != nil {
			return err
		}
		names := c.args
		if len(names) == 0 {
			for _, x := range list.Items {
				names = append(names, strings.TrimPrefix(x.Names[0], "/"))
			}
		}
		lines, err := c.samples(ctx, names)
		if err != nil {
			return err
		}
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 10, 1, 3, ' ', 0)
		fmt.Fprintln(w, "CONTAINER ID\tNAME\tCPU %\tMEM USAGE / LIMIT\tMEM %\tPIDS")
		for _, line := range lines {
			fmt.Fprintln(w, line)
		}
		w.Flush()
		if c.Screen() != nil && !c.on("no-stream") {
			io.WriteString(c.Stdout, "\x1b[2J\x1b[H")
		}
		io.WriteString(c.Stdout, b.String())
		if c.on("no-stream") {
			return nil
		}
	}
}

// samples measures containers, all during the same second.
func (c *call) samples(ctx context.Context, names []string) ([]string, error) {
	lines, errs := make([]string, len(names)), make([]error, len(names))
	var work sync.WaitGroup
	for i, name := range names {
		work.Go(func() { lines[i], errs[i] = c.sample(ctx, name) })
	}
	work.Wait()
	return lines, errors.Join(errs...)
}

// sample measures one container over a second.
func (c *call) sample(ctx context.Context, name string) (string, error) {
	r, err := c.api.ContainerStats(ctx, name, client.ContainerStatsOptions{IncludePreviousSample: true})
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		return "", err
	}
	cpu, system := float64(s.CPUStats.CPUUsage.TotalUsage)-float64(s.PreCPUStats.CPUUsage.TotalUsage), float64(s.CPUStats.SystemUsage)-float64(s.PreCPUStats.SystemUsage)
	percent := 0.0
	if cpu > 0 && system > 0 {
		percent = cpu / system * float64(max(1, s.CPUStats.OnlineCPUs)) * 100
	}
	memory := 0.0
	if s.MemoryStats.Limit > 0 {
		memory = float64(s.MemoryStats.Usage) / float64(s.MemoryStats.Limit) * 100
	}
	return fmt.Sprintf("%s\t%s\t%.2f%%\t%s / %s\t%.2f%%\t%d", short(s.ID), strings.TrimPrefix(s.Name, "/"), percent,
		units.BytesSize(float64(s.MemoryStats.Usage)), units.BytesSize(float64(s.MemoryStats.Limit)), memory, s.PidsStats.Current), nil
}

func events(ctx context.Context, c *call) error {
	fs, err := filters(c.f)
	if err != nil {
		return err
	}
	r := c.api.Events(ctx, client.EventsListOptions{Since: c.text("since"), Until: c.text("until"), Filters: fs})
	for {
		select {
		case m := <-r.Messages:
			var attributes []string
			for _, k := range slices.Sorted(maps.Keys(m.Actor.Attributes)) {
				attributes = append(attributes, k+"="+m.Actor.Attributes[k])
			}
			fmt.Fprintf(c.Stdout, "%s %s %s %s (%s)\n", time.Unix(0, m.TimeNano).Format("2006-01-02T15:04:05.000000000Z07:00"), m.Type, m.Action, m.Actor.ID, strings.Join(attributes, ", "))
		case err := <-r.Err:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func info(ctx context.Context, c *call) error {
	r, err := c.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	i := r.Info
	fmt.Fprintf(c.Stdout, "Server:\n Containers: %d\n  Running: %d\n  Paused: %d\n  Stopped: %d\n Images: %d\n Server Version: %s\n Storage Driver: %s\n Logging Driver: %s\n",
		i.Containers, i.ContainersRunning, i.ContainersPaused, i.ContainersStopped, i.Images, i.ServerVersion, i.Driver, i.LoggingDriver)
	fmt.Fprintf(c.Stdout, " Kernel Version: %s\n Operating System: %s\n OSType: %s\n Architecture: %s\n CPUs: %d\n Total Memory: %s\n Name: %s\n ID: %s\n Docker Root Dir: %s\n",
		i.KernelVersion, i.OperatingSystem, i.OSType, i.Architecture, i.NCPU, units.BytesSize(float64(i.MemTotal)), i.Name, i.ID, i.DockerRootDir)
	for _, w := range i.Warnings {
		fmt.Fprintln(c.Stderr, w)
	}
	return nil
}

func version(ctx context.Context, c *call) error {
	v, err := c.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "Client: the docker command of an embedded machine\n API version:  %s\n\nServer: %s\n Version:      %s\n API version:  %s (minimum version %s)\n OS/Arch:      %s/%s\n",
		c.api.ClientVersion(), v.Platform.Name, v.Version, v.APIVersion, v.MinAPIVersion, v.Os, v.Arch)
	return nil
}
