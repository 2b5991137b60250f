package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/pflag"
)

func actions() map[string]subcommand {
	const containers = "CONTAINER [CONTAINER...]"
	patience := func(f *pflag.FlagSet) {
		f.IntP("time", "t", -1, "seconds to wait before killing it")
		f.StringP("signal", "s", "", "signal to send")
	}
	return map[string]subcommand{
		"start": {usage: "[OPTIONS] " + containers, about: "start containers", least: 1, most: -1, flags: func(f *pflag.FlagSet) {
			f.BoolP("attach", "a", false, "show its output and pass signals on")
			f.BoolP("interactive", "i", false, "type into it")
			f.String("detach-keys", "", "keys to detach with")
		}, do: start},
		"stop":    {usage: "[OPTIONS] " + containers, about: "stop containers", least: 1, most: -1, flags: patience, do: stop},
		"restart": {usage: "[OPTIONS] " + containers, about: "stop and start containers", least: 1, most: -1, flags: patience, do: restart},
		"kill": {usage: "[OPTIONS] " + containers, about: "send containers a signal, SIGKILL by default", least: 1, most: -1, flags: func(f *pflag.FlagSet) {
			f.StringP("signal", "s", "KILL", "signal to send")
		}, do: kill},
		"rm": {usage: "[OPTIONS] " + containers, about: "remove containers", least: 1, most: -1, flags: func(f *pflag.FlagSet) {
			f.BoolP("force", "f", false, "also those that run")
			f.BoolP("volumes", "v", false, "their nameless volumes, too")
		}, do: rm},
		"pause":   {usage: containers, about: "stop containers where they stand", least: 1, most: -1, do: pause},
		"unpause": {usage: containers, about: "let containers go on", least: 1, most: -1, do: unpause},
		"rename":  {usage: "CONTAINER NEW_NAME", about: "give a container another name", least: 2, most: 2, do: rename},
		"wait":    {usage: containers, about: "wait until containers have ended, and print their exit codes", least: 1, most: -1, do: waitFor},
		"pull": {usage: "NAME[:TAG]", about: "have an image of the catalogue", least: 1, most: 1, flags: func(f *pflag.FlagSet) {
			f.BoolP("quiet", "q", false, "")
		}, do: pull},
	}
}

func start(ctx context.Context, c *call) error {
	if c.on("attach") || c.on("interactive") {
		if len(c.args) > 1 {
			return usage("you cannot start and attach multiple containers at once")
		}
		return c.startAttached(ctx, c.args[0], c.on("interactive"), false)
	}
	return c.each(c.args, func(name string) error {
		_, err := c.api.ContainerStart(ctx, name, client.ContainerStartOptions{})
		return err
	})
}

func (c *call) timeout() *int {
	if !c.f.Changed("time") {
		return nil
	}
	n := c.number("time")
	return &n
}

func stop(ctx context.Context, c *call) error {
	o := client.ContainerStopOptions{Timeout: c.timeout(), Signal: c.text("signal")}
	return c.each(c.args, func(name string) error { _, err := c.api.ContainerStop(ctx, name, o); return err })
}

func restart(ctx context.Context, c *call) error {
	o := client.ContainerRestartOptions{Timeout: c.timeout(), Signal: c.text("signal")}
	return c.each(c.args, func(name string) error { _, err := c.api.ContainerRestart(ctx, name, o); return err })
}

func kill(ctx context.Context, c *call) error {
	o := client.ContainerKillOptions{Signal: c.text("signal")}
	return c.each(c.args, func(name string) error { _, err := c.api.ContainerKill(ctx, name, o); return err })
}

func rm(ctx context.Context, c *call) error {
	o := client.ContainerRemoveOptions{Force: c.on("force"), RemoveVolumes: c.on("volumes")}
	return c.each(c.args, func(name string) error { _, err := c.api.ContainerRemove(ctx, name, o); return err })
}

func pause(ctx context.Context, c *call) error {
	return c.each(c.args, func(name string) error {
		_, err := c.api.ContainerPause(ctx, name, client.ContainerPauseOptions{})
		return err
	})
}

func unpause(ctx context.Context, c *call) error {
	return c.each(c.args, func(name string) error {
		_, err := c.api.ContainerUnpause(ctx, name, client.ContainerUnpauseOptions{})
		return err
	})
}

func rename(ctx context.Context, c *call) error {
	_, err := c.api.ContainerRename(ctx, c.args[0], client.ContainerRenameOptions{NewName: c.args[1]})
	return err
}

func waitFor(ctx context.Context, c *call) error {
	failed := false
	for _, name := range c.args {
		code, err := exitOf(ctx, c.api.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning}))
		if err != nil {
			fmt.Fprintln(c.Stderr, c.words(err))
			failed = true
			continue
		}
		fmt.Fprintln(c.Stdout, code)
	}
	if failed {
		return exitStatus(1)
	}
	return nil
}

// exitOf waits for a container's exit status.
func exitOf(ctx context.Context, w client.ContainerWaitResult) (int, error) {
	select {
	case r := <-w.Result:
		if r.Error != nil {
			return 125, fmt.Errorf("%s", r.Error.Message)
		}
		return int(r.StatusCode), nil
	case err := <-w.Error:
		return 125, err
	case <-ctx.Done():
		return 125, context.Cause(ctx)
	}
}

func pull(ctx context.Context, c *call) error {
	name := c.args[0]
	if !strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		name += ":latest"
	}
	r, err := c.api.ImagePull(ctx, name, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer r.Close()
	for m, err := range r.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if m.Error != nil {
			return m.Error
		}
		if c.on("quiet") {
			continue
		}
		if m.ID != "" {
			fmt.Fprintf(c.Stdout, "%s: ", m.ID)
		}
		fmt.Fprintln(c.Stdout, m.Status)
	}
	if c.on("quiet") {
		fmt.Fprintln(c.Stdout, name)
	}
	return nil
}
