package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/internal/state"
)

func (a *app) sshCommand() *cobra.Command {
	var tty bool
	cmd := &cobra.Command{
		Use: "ssh MACHINE [COMMAND…]", Short: "open a shell on a machine, or run a command there",
		Args: argCount(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, m, err := a.machine(args[0])
			if err != nil {
				return err
			}
			if len(args) > 1 && args[1] == "--" {
				args = args[1:]
			}
			if path, err := exec.LookPath("ssh"); err == nil {
				return a.systemSSH(cmd.Context(), path, l, m, args[1:], tty)
			}
			return a.ownSSH(cmd.Context(), m, args[1:], tty)
		},
	}
	cmd.Flags().BoolVarP(&tty, "tty", "t", false, "a terminal for the command, too (docker exec -it …)")
	cmd.Flags().SetInterspersed(false) // flags after the machine belong to the command
	return cmd
}

// machine finds a machine of the lab that has been up.
func (a *app) machine(word string) (*state.Lab, lab.Machine, error) {
	l, _, err := a.theLab()
	if err != nil {
		return nil, lab.Machine{}, err
	}
	a.warnBroken(l)
	nodes, err := l.Spec.Nodes()
	if err != nil {
		return nil, lab.Machine{}, err
	}
	n, err := lab.FindNode(nodes, word)
	if err != nil {
		return nil, lab.Machine{}, err
	}
	i := slices.IndexFunc(l.Machines, func(m lab.Machine) bool { return m.Name == n.Name })
	if i < 0 {
		return nil, lab.Machine{}, &lab.Error{ID: "machine-not-made", Op: "find machine", Machine: n.Name, Err: errors.New("it has not been up yet"), Advice: "lab create makes what is missing"}
	}
	return l, l.Machines[i], nil
}

// systemSSH runs the system's ssh with the lab's key and pinned host key.
func (a *app) systemSSH(ctx context.Context, path string, l *state.Lab, m lab.Machine, command []string, tty bool) error {
	host, port, err := net.SplitHostPort(m.SSH.Addr)
	if err != nil {
		return fmt.Errorf("address of %s: %w", m.Name, err)
	}
	// One file a machine, with its pinned key and no other: a machine that was
	// made anew has another key, and perhaps another's old address.
	known := filepath.Join(l.Dir, "known_hosts."+m.Name)
	if err := writeOnce(known, knownHost(m.SSH)); err != nil {
		return fmt.Errorf("write known hosts: %w", err)
	}
	level := "ERROR"
	if tty || len(command) == 0 {
		level = "INFO" // says when the connection is lost
	}
	args := []string{
		"-F", "/dev/null", "-p", port, "-i", m.SSH.KeyFile, "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + known,
		"-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=" + level,
		"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", // a machine without power says nothing
	}
	if tty {
		args = append(args, "-t")
	}
	args = append(args, m.SSH.User+"@"+host)
	if len(command) > 0 {
		args = append(args, commandLine(command))
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return codeError(exit.ExitCode())
	}
	return err
}

// knownHost is the line of a known_hosts file for a machine: OpenSSH wants
// brackets and a port only where it is not 22.
func knownHost(e lab.SSHEndpoint) string {
	return knownhosts.Normalize(e.Addr) + " " + strings.TrimSpace(e.HostKey) + "\n"
}

// writeOnce replaces a file whose text is another one.
func writeOnce(name, text string) error {
	if data, err := os.ReadFile(name); err == nil && string(data) == text {
		return nil
	}
	return atomicfile.Write(name, []byte(text), 0o600)
}
