package computer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/mesoslab/lab"
)

// Computer is what checks may ask of this computer.
type Computer struct {
	OS, Arch string // as Go calls them
	UID      int    // 0 is root; -1 where there are no such numbers
	// Files is the whole tree, read only, from the root folder on.
	Files fs.FS
	// Env returns a variable of the environment, or "".
	Env func(key string) string
	// Look finds a program, as exec.LookPath does.
	Look func(program string) (string, error)
	// Run runs a program to its end.
	Run func(ctx context.Context, program string, args ...string) (Output, error)
	// Addresses lists the addresses of the network interfaces.
	Addresses func() ([]Address, error)
	// Routes lists the networks that this computer has routes to, without the
	// default route.
	Routes func() ([]netip.Prefix, error)
	// Memory tells how much there is, and how much could be had now.
	Memory func() (Memory, error)
	// Disk describes the file system of a path that exists.
	Disk func(path string) (Disk, error)
	// Access returns nil if this user may read and write the file or folder.
	Access func(path string) error
	// Bind takes a TCP port for a moment; port 0 asks for the address alone.
	Bind func(ctx context.Context, at netip.AddrPort) error
}

// Output is what a program has printed.
type Output struct{ Out, Err string }

// Address is an address of a network interface with its network.
type Address struct {
	Interface string
	Prefix    netip.Prefix // the address itself, and how long its network's part is
	Up        bool
}

// Memory is this computer's.
type Memory struct{ Total, Available lab.Size }

// Disk is a mounted file system.
type Disk struct {
	Free, Total      lab.Size
	Kind             string // ext4, tmpfs, nfs …
	NoExec, ReadOnly bool
}

// This returns the computer that this process runs on.
func This() Computer {
	return Computer{
		OS: runtime.GOOS, Arch: runtime.GOARCH, UID: os.Getuid(),
		Files: os.DirFS("/"), Env: os.Getenv, Look: exec.LookPath, Run: run,
		Addresses: addresses, Routes: routes, Memory: memory, Disk: diskOf, Access: access, Bind: bind,
	}
}

// Or returns c, or this computer if c is the zero value.
func (c Computer) Or() Computer {
	if c.Files == nil {
		return This()
	}
	return c
}

// Has reports whether a program is installed.
func (c Computer) Has(program string) bool {
	_, err := c.Look(program)
	return err == nil
}

// Read returns the content of a file by its absolute path.
func (c Computer) Read(path string) (string, error) {
	text, err := fs.ReadFile(c.Files, name(path))
	return string(text), err
}

// Exists reports whether there is something at an absolute path.
func (c Computer) Exists(path string) bool {
	_, err := fs.Stat(c.Files, name(path))
	return err == nil
}

// Nearest returns the path itself, or the nearest folder above it that exists.
func (c Computer) Nearest(path string) string {
	for path != "/" && path != "." && !c.Exists(path) {
		path = filepath.Dir(path)
	}
	return path
}

// Home returns the user's folder, or "" where there is none.
func (c Computer) Home() string { return c.Env("HOME") }

// name is a path as Files knows it.
func name(path string) string {
	if n := strings.TrimPrefix(filepath.ToSlash(filepath.Clean(path)), "/"); n != "" {
		return n
	}
	return "."
}

func addresses() ([]Address, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []Address
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went away just now
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				out = append(out, Address{Interface: i.Name, Prefix: p, Up: i.Flags&net.FlagUp != 0})
			}
		}
	}
	return out, nil
}

func memory() (Memory, error) {
	m, err := mem.VirtualMemory()
	if err != nil {
		return Memory{}, fmt.Errorf("look at the memory: %w", err)
	}
	return Memory{Total: lab.Size(m.Total), Available: lab.Size(m.Available)}, nil
}

func diskOf(path string) (Disk, error) {
	u, err := disk.Usage(path)
	if err != nil {
		return Disk{}, fmt.Errorf("look at the disk of %s: %w", path, err)
	}
	d := Disk{Free: lab.Size(u.Free), Total: lab.Size(u.Total), Kind: u.Fstype}
	d.NoExec, d.ReadOnly = mountFlags(path)
	return d, nil
}

func bind(ctx context.Context, at netip.AddrPort) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp4", at.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// ErrMissing says that a program is not installed.
var ErrMissing = errors.New("not installed")
