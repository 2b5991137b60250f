// Package docker is the agent's view of a Docker engine: the few things a
// Mesos docker containerizer asks of it.
//
// Nouns. An Engine runs containers, known by name. A Spec describes one to
// make. Moby is an Engine over the Docker Engine API (≥ 1.40, through the
// moby client); Memory is its twin for tests, where a container is a record
// that tests end by hand.
//
// Every method ends when ctx does. Engines are safe for concurrent use. They
// keep no state of their own: Moby opens connections to one unix socket and
// leaves none behind after Close.
//
// Left out: attach, registries with a login, volumes drivers.
package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// ErrNotFound: there is no container of this name.
var ErrNotFound = errors.New("no such container")

// Engine runs containers.
type Engine interface {
	// Version tells which engine answers, as one line for the log, or why
	// none does.
	Version(ctx context.Context) (string, error)
	// Pull makes sure the image is there. It asks a registry only if it is
	// not there yet or force is set; the error holds the engine's words.
	Pull(ctx context.Context, image string, force bool) error
	// Create makes a container without starting it.
	Create(ctx context.Context, s Spec) error
	// Start starts a created container.
	Start(ctx context.Context, name string) error
	// Inspect returns what the engine knows of a container, or ErrNotFound.
	Inspect(ctx context.Context, name string) (Info, error)
	// Wait blocks until a started container has ended and returns its exit
	// code. A container that is gone is ErrNotFound.
	Wait(ctx context.Context, name string) (int, error)
	// Stop sends the container its stop signal and kills it after grace;
	// with grace 0 it is killed at once. Stopping an ended container is no
	// error, one that is gone is ErrNotFound.
	Stop(ctx context.Context, name string, grace time.Duration) error
	// Remove ends and deletes a container with its anonymous volumes. One
	// that is gone is no error.
	Remove(ctx context.Context, name string) error
	// Exec runs a command inside a running container and returns its exit
	// code.
	Exec(ctx context.Context, name string, cmd, env []string) (int, error)
	// Logs copies a container's output from its beginning on, and returns
	// nil when the container has ended and all of it is written.
	Logs(ctx context.Context, name string, stdout, stderr io.Writer) error
	// Usage measures a running container, or returns ErrNotFound.
	Usage(ctx context.Context, name string) (Usage, error)
	// List returns the names of all containers, running or not, that begin
	// with prefix.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Info is what an engine knows of a container.
type Info struct {
	Running bool
	// Started is false for a container that was made and never started.
	Started  bool
	ExitCode int
	// IPs are its addresses in its networks; none with network "host" or
	// "none".
	IPs []string
	// PID is of its first process, 0 if it does not run.
	PID int
	// Raw is the engine's own description, as JSON.
	Raw json.RawMessage
}

// Usage is what a container uses at a moment.
type Usage struct {
	// User and System are its CPU times so far. An engine that cannot tell
	// them apart counts all as User.
	User, System time.Duration
	RSS          uint64 // resident memory in bytes
}

// Spec describes a container.
type Spec struct {
	Name  string
	Image string
	// Entrypoint and Cmd replace the image's own if they are not nil.
	Entrypoint, Cmd []string
	Env             []string // NAME=value
	User            string
	WorkDir         string
	Hostname        string
	Labels          map[string]string
	Network         string // host, bridge, none or the name of one
	Ports           []Port
	Binds           []string // host:container[:ro|rw]
	Volumes         []string // container paths without a host path
	VolumeDriver    string
	CPUShares       int64
	MemoryBytes     int64
	Privileged      bool
	DNS             []string
	ExtraHosts      []string // name:ip
	CapAdd, CapDrop []string
}

// Port publishes a container's port on every address of the host.
type Port struct {
	Host, Container uint16
	Protocol        string // tcp or udp
}
