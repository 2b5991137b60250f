package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// API versions and the name the engine gives itself in headers and /version.
const (
	APIVersion    = "1.44"
	MinAPIVersion = "1.24"
	ServerName    = "lab-engine"
)

// Config is everything an Engine may touch.
type Config struct {
	// Dir is the engine's own folder; it lies inside MachineRoot and may be
	// relative to the working directory (keep it short: unix sockets in a
	// rootfs share its path).
	Dir string
	// MachineRoot is the folder that is the machine's "/": sources of bind
	// mounts are resolved in it and never outside.
	MachineRoot string
	// Hostname is the machine's name (node1).
	Hostname string
	// IP is the machine's address: published ports and host networking bind
	// here.
	IP string
	// CPUs and MemoryMiB are what /info reports.
	CPUs      float64
	MemoryMiB int64
	// Catalogue lists every image there is.
	Catalogue []Image
	// Version is lab's version for /version; empty means "dev".
	Version string

	// Start starts the process of a container.
	Start func(ctx context.Context, c Command) (Process, error)
	// Listen opens a listening socket of the machine. Networks: "tcp", and
	// "unix" with a path that this process can use.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// Bind opens a TCP port as Listen does, but one that refuses connections
	// until its SetQuiet(false): a published one, for the time until somebody
	// listens inside. Where it is nil, or says errors.ErrUnsupported, Listen
	// opens those ports, too; a connection that comes before they are made
	// quiet is reset.
	Bind func(ctx context.Context, address string) (net.Listener, error)
	// Exec runs a command line inside a container by the sandbox shell and
	// returns its exit status. It returns soon after ctx ends. An error is a
	// command that could not be run at all (126, or 127 for exec.ErrNotFound).
	Exec func(ctx context.Context, c ExecCommand) (exit int, err error)
	// Log gets what an operator of the machine may want to know; nil discards.
	Log *slog.Logger
}

// Image is an entry of the catalogue.
type Image struct {
	// Name and Aliases are repository names. Without a tag they stand for
	// every tag ("nginx" is nginx:1.10, too), with one for it alone.
	Name    string
	Aliases []string
	// Entrypoint, Cmd, Env (NAME=value), WorkingDir, Labels and StopSignal are
	// the defaults of its containers, as in an image config.
	Entrypoint, Cmd, Env []string
	WorkingDir           string
	StopSignal           string
	Labels               map[string]string
	// ExposedPorts are like "80/tcp"; Volumes are absolute container paths.
	ExposedPorts, Volumes []string
	// Created and Size (bytes) are shown in lists; zero is fine.
	Created time.Time
	Size    int64
}

// Command is a container's process to be started.
type Command struct {
	// ContainerID has 64 hex digits; Name has no slash; Hostname is the
	// container's own (the machine's with host networking).
	ContainerID, Name, Hostname string
	// Image is the catalogue's name of the image.
	Image string
	// Argv is entrypoint and command; Env has no duplicates.
	Argv, Env []string
	// Dir is the rootfs: the process's working directory and its "/".
	Dir string
	// WorkingDir is the wanted working directory as a container path ("/").
	WorkingDir string
	// User, NetworkMode, Labels and Privileged are as given to create.
	User, NetworkMode string
	Labels            map[string]string
	Privileged        bool
	// Tty says that the program should believe to be on a terminal; then Stdin,
	// Stdout and Stderr are that *terminal.Terminal.
	Tty bool
	// Stdin is never nil: it is at its end where the container has no stdin.
	// Else a Read may block until after the process has ended: Wait must not
	// wait for it (exec.Cmd: copy into StdinPipe, do not set Cmd.Stdin).
	Stdin io.Reader
	// Stdout and Stderr may be written at the same time.
	Stdout, Stderr io.Writer
	// Listen opens what the program asks to listen on; see the package doc.
	// "unix" paths are container paths.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
}

// Process is a started container process.
type Process interface {
	// Pid is the process id on this computer, 0 where it has none of its own.
	Pid() int
	// Wait blocks until the process has ended and its output is written, and
	// returns its exit status (128+n after signal n). The engine calls it once.
	Wait(ctx context.Context) (exit int, err error)
	// Signal delivers a signal to the process.
	Signal(sig syscall.Signal) error
	// Pause freezes the process and its children; Unpause thaws them.
	Pause() error
	Unpause() error
}

// ExecCommand is a command line to run in a container.
type ExecCommand struct {
	// ContainerID and Name say where; ExecID is the API's id of this run.
	ContainerID, Name, ExecID string
	Hostname                  string
	Argv, Env                 []string
	// Dir is the container's rootfs, WorkingDir a container path in it.
	Dir, WorkingDir string
	User            string
	// Tty says that it runs on a terminal; then Stdin, Stdout and Stderr are that
	// *terminal.Terminal, as far as the client is attached to them.
	Tty            bool
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Listen is the container's.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
}

// check validates the configuration and fills what may be left empty.
func (c *Config) check() error {
	if c.Start == nil || c.Listen == nil || c.Exec == nil {
		return errors.New("engine: Start, Listen and Exec must be set")
	}
	if _, err := netip.ParseAddr(c.IP); err != nil {
		return fmt.Errorf("engine: machine address: %w", err)
	}
	rel, err := filepath.Rel(c.MachineRoot, c.Dir)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("engine: folder %s is not inside the machine's root %s", c.Dir, c.MachineRoot)
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
