// Package computertest makes computers for tests of checks: a Fake has the
// files, programs and networks that a test gives it, and nothing else.
package computertest

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing/fstest"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// Fake is a Linux computer of 16 GiB and 100 GiB of disk for a user ann with
// nothing installed, unless its fields say more.
type Fake struct {
	OS, Arch string            // linux and amd64, if empty
	Root     bool              // the user is root
	Files    map[string]string // by absolute path
	// Programs are what installed programs print, by their command line:
	// "VBoxManage list vms". What begins with "error: " is a failure.
	Programs map[string]string
	Env      map[string]string
	// Addresses are those of interfaces: "eth0 192.168.1.7/24"; "!" in front
	// says that the interface is down.
	Addresses []string
	Routes    []string
	Memory    computer.Memory
	Disk      computer.Disk
	// Forbidden are files that the user may not use.
	Forbidden []string
	// Bind, if set, answers for ports; else all are free.
	Bind func(at netip.AddrPort) error

	mu  sync.Mutex
	ran []string
}

// Ran lists the command lines that were run.
func (f *Fake) Ran() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.ran...)
}

// Computer is the fake as checks see it.
func (f *Fake) Computer() computer.Computer {
	c := computer.Computer{
		OS: f.OS, Arch: f.Arch, UID: 1000, Look: f.look, Run: f.run, Files: f.files(),
		Env:       func(key string) string { return f.Env[key] },
		Addresses: f.addresses,
		Routes: func() ([]netip.Prefix, error) {
			var out []netip.Prefix
			for _, r := range f.Routes {
				out = append(out, netip.MustParsePrefix(r))
			}
			return out, nil
		},
		Memory: func() (computer.Memory, error) { return f.Memory, nil },
		Disk:   func(string) (computer.Disk, error) { return f.Disk, nil },
		Access: f.access,
		Bind: func(_ context.Context, at netip.AddrPort) error {
			if f.Bind == nil {
				return nil
			}
			return f.Bind(at)
		},
	}
	if f.Root {
		c.UID = 0
	}
	for field, value := range map[*string]string{&c.OS: "linux", &c.Arch: "amd64"} {
		if *field == "" {
			*field = value
		}
	}
	if f.Memory == (computer.Memory{}) {
		f.Memory = computer.Memory{Total: 16 * lab.GiB, Available: 12 * lab.GiB}
	}
	if f.Disk == (computer.Disk{}) {
		f.Disk = computer.Disk{Free: 100 * lab.GiB, Total: 200 * lab.GiB, Kind: "ext4"}
	}
	if f.Env == nil {
		f.Env = map[string]string{}
	}
	if f.Env["HOME"] == "" {
		f.Env["HOME"] = "/home/ann"
	}
	return c
}

func (f *Fake) files() fs.FS {
	m := fstest.MapFS{}
	for path, text := range f.Files {
		m[strings.TrimPrefix(path, "/")] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return m
}

func (f *Fake) look(program string) (string, error) {
	for line := range f.Programs {
		if line == program || strings.HasPrefix(line, program+" ") {
			return "/usr/bin/" + program, nil
		}
	}
	return "", exec.ErrNotFound
}

func (f *Fake) run(ctx context.Context, program string, args ...string) (computer.Output, error) {
	line := strings.Join(append([]string{program}, args...), " ")
	f.mu.Lock()
	f.ran = append(f.ran, line)
	f.mu.Unlock()
	if ctx.Err() != nil {
		return computer.Output{}, context.Cause(ctx)
	}
	if _, err := f.look(program); err != nil {
		return computer.Output{}, fmt.Errorf("%s: %w", program, computer.ErrMissing)
	}
	text, ok := f.Programs[line]
	if !ok {
		return computer.Output{}, fmt.Errorf("%s: exit status 1: unknown command", line)
	}
	if said, failed := strings.CutPrefix(text, "error: "); failed {
		return computer.Output{Err: text}, fmt.Errorf("%s: exit status 1: error: %s", line, said)
	}
	return computer.Output{Out: text}, nil
}

func (f *Fake) addresses() ([]computer.Address, error) {
	var out []computer.Address
	for _, text := range f.Addresses {
		name, prefix, _ := strings.Cut(text, " ")
		up := !strings.HasPrefix(name, "!")
		out = append(out, computer.Address{Interface: strings.TrimPrefix(name, "!"), Prefix: netip.MustParsePrefix(prefix), Up: up})
	}
	return out, nil
}

func (f *Fake) access(path string) error {
	for _, p := range f.Forbidden {
		if p == path {
			return fs.ErrPermission
		}
	}
	if _, ok := f.Files[path]; !ok && !f.folder(path) {
		return fs.ErrNotExist
	}
	return nil
}

func (f *Fake) folder(path string) bool {
	for name := range f.Files {
		if strings.HasPrefix(name, strings.TrimSuffix(path, "/")+"/") {
			return true
		}
	}
	return path == "/"
}
