//go:build linux

package dockerd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runFirst is the first process of the engine's namespaces: number 1 there,
// with whom all others die. It runs dockerd until standard input ends, then
// removes everything. What goes wrong stands in the log.
func runFirst(dir, data string) int {
	for fd := 3; fd <= 4; fd++ {
		syscall.CloseOnExec(fd) // the locks are ours alone
	}
	_, confErr := os.Stat(configFolder)
	err := prepareNamespaces()
	if err == nil {
		err = runEngine(dir, data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab-test-engine:", err)
	}
	if err := removeAll(dir, data, errors.Is(confErr, fs.ErrNotExist)); err != nil {
		fmt.Fprintln(os.Stderr, "lab-test-engine:", err)
		return 1
	}
	return 0
}

// configFolder is where dockerd has its settings, whatever one tells it.
const configFolder = "/etc/docker"

// prepareNamespaces makes mounts and processes our own, and a network in which
// an address that nobody has refuses connections.
func prepareNamespaces() error {
	// What is unmounted outside goes here, too: no copy keeps it busy.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts our own: %w", err)
	}
	// dockerd writes a key into it, and reads this computer's settings.
	if err := os.MkdirAll(configFolder, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", configFolder, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("cover %s: %w", configFolder, err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, line := range []string{
		"ip link set lo up",
		// Behind the main table, so that it is no route in anybody's eyes.
		"ip route add 192.168.0.0/16 dev lo src 127.0.0.1 table 100",
		"ip rule add pref 40000 lookup 100",
		"iptables -A OUTPUT -o lo -d 192.168.0.0/16 -p tcp -j REJECT --reject-with tcp-reset",
	} {
		argv := strings.Fields(line)
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	return nil
}

// runEngine runs dockerd, and returns when it has ended or standard input has.
func runEngine(dir, data string) error {
	cmd := exec.Command("dockerd", "--data-root", filepath.Join(data, "root"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "docker.pid"), "--cgroup-parent", "/"+filepath.Base(dir), "--exec-opt", "native.cgroupdriver=cgroupfs", "--log-level", "warn",
		"-H", "unix://"+filepath.Join(dir, "docker.sock"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		reapUntil(cmd.Process.Pid)
		close(ended)
	}()
	alone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(alone)
	}()
	select {
	case <-ended:
		return errors.New("dockerd ended by itself")
	case <-alone:
	}
	// A clean end keeps the image in kept data; without containers it is quick.
	err := killContainers(filepath.Base(dir))
	syscall.Kill(cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		err = errors.Join(err, errors.New("dockerd does not end"))
	}
	return err
}

// reapUntil is the first process's duty to orphans; it returns when the given
// child has ended.
func reapUntil(child int) {
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if pid == child || err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// killContainers kills every process in the engine's control group.
func killContainers(group string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		if inContainer(group, pid) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return nil
}

// inContainer tells whether a process is in a container of the engine.
func inContainer(group string, pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	return err == nil && strings.Contains(string(text), "/"+group+"/")
}

// removeAll kills what still lives and removes what the engine has made;
// madeConfig says that its settings' folder was not there before.
func removeAll(dir, data string, madeConfig bool) error {
	syscall.Kill(-1, syscall.SIGKILL) // all but ourselves
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			break // no child is left
		}
	}
	errs := []error{unix.Unmount(configFolder, 0), unmountBelow(dir), unmountBelow(data), removeCgroups(filepath.Base(dir))}
	if madeConfig {
		os.Remove(configFolder) // not if somebody else has put something in
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// unmountBelow unmounts what is mounted below a folder, the last first.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	var errs []error
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			if err := unix.Unmount(f[1], unix.MNT_DETACH); err != nil {
				errs = append(errs, fmt.Errorf("unmount %s: %w", f[1], err))
			}
		}
	}
	return errors.Join(errs...)
}
