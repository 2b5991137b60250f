// Package rootfs makes the folder that is a container's "/": a skeleton of
// directories and files in /etc, mounts as relative symbolic links, and tar
// streams in and out for docker cp.
//
// A Tree is bound to the machine's root folder by os.Root: no path, link or
// archive leads outside of it. Container paths are slash-separated and
// absolute; a rootfs is named by its path inside the machine. Tree starts no
// process and opens no network.
package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// ErrSource is a bind source that does not exist, ErrOutside one that leads
// out of the machine.
var (
	ErrSource  = errors.New("bind source path does not exist")
	ErrOutside = errors.New("path leads outside of the machine")
)

// Tree is the file system of a machine. Safe for concurrent use.
type Tree struct{ root *os.Root }

// Open opens the machine's root folder.
func Open(machineRoot string) (*Tree, error) {
	r, err := os.OpenRoot(machineRoot)
	if err != nil {
		return nil, fmt.Errorf("open the machine's root: %w", err)
	}
	return &Tree{r}, nil
}

// Close releases the folder.
func (t *Tree) Close() error { return t.root.Close() }

// in gives the name inside the machine of a container path: never above the
// rootfs, whatever the path says.
func in(rootfs, containerPath string) string {
	return path.Join(rootfs, path.Clean("/"+containerPath))
}

// machine gives the name inside os.Root of an absolute machine path.
func machine(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if p == "" {
		return "."
	}
	return p
}

// Names is what the files in /etc say.
type Names struct {
	Hostname, IP string
	ExtraHosts   []string // name:address
}

// Create makes a new rootfs with its skeleton.
func (t *Tree) Create(rootfs string, n Names) error {
	if err := t.root.MkdirAll(rootfs, 0o755); err != nil {
		return fmt.Errorf("make rootfs: %w", err)
	}
	for _, d := range []string{
		"dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp",
		"usr/bin", "usr/local/bin", "var/lib", "var/log", "var/run", "var/tmp",
	} {
		if err := t.root.MkdirAll(path.Join(rootfs, d), 0o755); err != nil {
			return fmt.Errorf("make rootfs: %w", err)
		}
	}
	files := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
		"etc/group":  "root:x:0:\nnogroup:x:65534:\n",
		".dockerenv": "",
	}
	for name, text := range files {
		if err := t.root.WriteFile(path.Join(rootfs, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("make rootfs: %w", err)
		}
	}
	return t.Configure(rootfs, n)
}

// bootID tells one boot of a machine from another, to all of its containers, as
// they would see it in the kernel's own /proc.
const bootID = "proc/sys/kernel/random/boot_id"

// boot shows a container in which boot of the machine it starts.
func (t *Tree) boot(rootfs string) error {
	id, err := t.root.ReadFile(bootID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a machine that does not say
	}
	if err == nil {
		err = t.root.MkdirAll(path.Join(rootfs, path.Dir(bootID)), 0o755)
	}
	if err == nil {
		err = t.root.WriteFile(path.Join(rootfs, bootID), id, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write /%s: %w", bootID, err)
	}
	return nil
}

// Configure writes the files in /etc that dockerd renews at each start, and
// those of the kernel that change with a boot.
func (t *Tree) Configure(rootfs string, n Names) error {
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	for _, extra := range n.ExtraHosts {
		if name, addr, ok := strings.Cut(extra, ":"); ok {
			hosts += addr + "\t" + name + "\n"
		}
	}
	hosts += n.IP + "\t" + n.Hostname + "\n"
	for name, text := range map[string]string{
		"etc/hostname":    n.Hostname + "\n",
		"etc/hosts":       hosts,
		"etc/resolv.conf": "# names come from /etc/hosts\n",
	} {
		if _, err := t.root.Lstat(path.Join(rootfs, path.Dir(name))); err != nil {
			continue // the container lost its /etc: its own affair
		}
		if err := t.root.WriteFile(path.Join(rootfs, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write /%s: %w", name, err)
		}
	}
	return t.boot(rootfs)
}

// Virtual tells sources that belong to the kernel: containers get an empty
// folder instead.
func Virtual(source string) bool {
	for _, v := range []string{"/sys", "/proc"} {
		if source == v || strings.HasPrefix(source, v+"/") {
			return true
		}
	}
	return false
}

// Bind makes target in the rootfs a link to the machine path source. A missing
// source becomes a directory where create is set, except the engine's own
// socket, which the machine makes.
func (t *Tree) Bind(rootfs, source, target string, create bool) error {
	source, target = path.Clean("/"+source), path.Clean("/"+target)
	link := in(rootfs, target)
	if Virtual(source) {
		return t.empty(link)
	}
	_, err := t.root.Stat(machine(source))
	socket := source == "/var/run/docker.sock" || source == "/run/docker.sock"
	switch {
	case err == nil || socket:
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s (%w)", ErrOutside, source, err)
	case !create:
		return fmt.Errorf("%w: %s", ErrSource, source)
	default:
		if err := t.root.MkdirAll(machine(source), 0o755); err != nil {
			return fmt.Errorf("make bind source %s: %w", source, err)
		}
	}
	if err := t.root.MkdirAll(path.Dir(link), 0o755); err != nil {
		return fmt.Errorf("make mount point %s: %w", target, err)
	}
	if err := t.root.RemoveAll(link); err != nil {
		return fmt.Errorf("clear mount point %s: %w", target, err)
	}
	up := strings.Repeat("../", strings.Count(link, "/"))
	if err := t.root.Symlink(up+machine(source), link); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// Tmpfs makes target in the rootfs an empty directory.
func (t *Tree) Tmpfs(rootfs, target string) error { return t.empty(in(rootfs, target)) }

func (t *Tree) empty(name string) error {
	if err := t.root.RemoveAll(name); err != nil {
		return fmt.Errorf("clear mount point: %w", err)
	}
	if err := t.root.MkdirAll(name, 0o755); err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	return nil
}

// RemoveAll removes a folder of the machine, directories without write
// permission included. Links are removed, not followed.
func (t *Tree) RemoveAll(name string) error {
	err := t.root.RemoveAll(name)
	if err == nil {
		return nil
	}
	t.unlock(name)
	if err := t.root.RemoveAll(name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// unlock gives the owner back what chmod took from directories.
func (t *Tree) unlock(name string) {
	fi, err := t.root.Lstat(name)
	if err != nil || !fi.IsDir() {
		return
	}
	if t.root.Chmod(name, 0o700) != nil {
		return
	}
	for _, e := range t.list(name) {
		t.unlock(path.Join(name, e.Name()))
	}
}

func (t *Tree) list(name string) []fs.DirEntry {
	f, err := t.root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, _ := f.ReadDir(-1)
	return entries
}
