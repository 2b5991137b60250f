package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/provision"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var tail string
	cmd := &cobra.Command{
		Use: "logs MACHINE [CONTAINER]", Short: "print what a machine or one of its containers has logged",
		Args: argCount(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.machineLog(cmd.Context(), args[0], follow, tail)
			}
			return a.containerLog(cmd.Context(), args[0], args[1], follow, tail)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as more is logged")
	cmd.Flags().StringVar(&tail, "tail", "all", "how many lines of the end (containers and real machines)")
	return cmd
}

// machineLog prints the machine's own log from the state folder, so that it
// can be read after the machine has died. Real machines keep theirs to
// themselves.
func (a *app) machineLog(ctx context.Context, word string, follow bool, tail string) error {
	l, m, err := a.machine(word)
	if err != nil {
		return err
	}
	file, err := os.Open(flow.Log(l, m.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return a.systemLog(ctx, m, follow, tail)
	}
	if err != nil {
		return fmt.Errorf("read log of %s: %w", m.Name, err)
	}
	defer file.Close()
	for {
		if _, err := io.Copy(a.out, file); err != nil {
			return fmt.Errorf("read log of %s: %w", m.Name, err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // Ctrl-C is how following ends
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// systemLog prints a real machine's journal, or what its syslog has written.
func (a *app) systemLog(ctx context.Context, m lab.Machine, follow bool, tail string) error {
	connect, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	host, err := provision.Connect(connect, m)
	if err != nil {
		return err
	}
	defer host.Close()
	journal := []string{"sudo", "-n", "journalctl", "--no-pager", "--lines=" + tail}
	syslog := []string{"sudo", "-n", "tail", "--lines=" + tail}
	if tail == "all" {
		syslog[3] = "--lines=+1"
	}
	if follow {
		journal, syslog = append(journal, "--follow"), append(syslog, "--follow")
	}
	session, err := host.SSH().NewSession()
	if err != nil {
		return fmt.Errorf("read log of %s: %w", m.Name, err)
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	session.Stdout, session.Stderr = a.out, a.err
	err = session.Run("if command -v journalctl >/dev/null; then " + provision.Quote(journal...) + "; else " + provision.Quote(append(syslog, "/var/log/syslog")...) + "; fi")
	if follow && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read log of %s: %w", m.Name, err)
	}
	return nil
}

func (a *app) containerLog(ctx context.Context, word, container string, follow bool, tail string) error {
	_, m, err := a.machine(word)
	if err != nil {
		return err
	}
	connect, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	host, err := provision.Connect(connect, m)
	if err != nil {
		return err
	}
	defer host.Close()
	docker, err := host.Docker(connect)
	if err != nil {
		return err
	}
	info, err := docker.ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	if err != nil {
		return a.unknownContainer(ctx, docker, m.Name, container, err)
	}
	stream, err := docker.ContainerLogs(ctx, container, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: follow, Tail: tail})
	if err != nil {
		return fmt.Errorf("read log of %s on %s: %w", container, m.Name, err)
	}
	defer stream.Close()
	if info.Container.Config.Tty {
		_, err = io.Copy(a.out, stream)
	} else {
		_, err = stdcopy.StdCopy(a.out, a.err, stream)
	}
	if follow && ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *app) unknownContainer(ctx context.Context, docker *client.Client, node, word string, cause error) error {
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return fmt.Errorf("list containers on %s: %w", node, err)
	}
	var names []string
	for _, c := range list.Items {
		for _, n := range c.Names {
			names = append(names, n[1:])
		}
	}
	slices.Sort(names)
	return &lab.Error{
		ID: "unknown-container", Op: "find container", Machine: node, Err: fmt.Errorf("%w: %w", lab.ErrUsage, cause),
		Advice: fmt.Sprintf("containers there: %v%s", names, lab.DidYouMean(word, names)),
	}
}
