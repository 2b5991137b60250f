//go:build linux

package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

// libvirt's files are compiled in; in a mount namespace of our own they are
// ours.
var libvirtFolders = []string{"/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"}

// qemuConf fits a computer without systemd, cgroup delegation and the like:
// nothing here guards one machine from another.
const qemuConf = `security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
remember_owner = 0
dynamic_ownership = 0
stdio_handler = "file"
`

const libvirtdConf = `auth_unix_ro = "none"
auth_unix_rw = "none"
log_level = 3
log_outputs = "1:file:/var/log/libvirt/libvirtd.log"
`

// startLibvirt starts a libvirt in this process's namespaces, with an empty
// pool of volumes. It ends with the test.
func startLibvirt(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatalf("mount /run: %v", err)
	}
	for _, at := range libvirtFolders {
		own := filepath.Join(dir, "libvirt", filepath.Base(filepath.Dir(at)))
		for _, d := range []string{own, at} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Mount(own, at, "", syscall.MS_BIND, ""); err != nil {
			t.Fatalf("mount %s: %v", at, err)
		}
	}
	for name, text := range map[string]string{"qemu.conf": qemuConf, "libvirtd.conf": libvirtdConf, "virtlogd.conf": ""} {
		if err := os.WriteFile(filepath.Join("/etc/libvirt", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pool := "/var/lib/libvirt/images"
	for _, d := range []string{"/run/lock", "/run/libvirt", pool} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	daemon(t, dir, "virtlogd")
	daemon(t, dir, "libvirtd")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := lab.Until(ctx, 100*time.Millisecond, "libvirt", func(ctx context.Context) error {
		out, err := exec.CommandContext(ctx, "virsh", "-c", "qemu:///system", "version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}); err != nil {
		if text, err := os.ReadFile("/var/log/libvirt/libvirtd.log"); err == nil {
			t.Logf("libvirtd's log ends:\n%s", text[max(0, len(text)-4000):])
		}
		if out, err := exec.Command("ps", "-eo", "pid,ppid,etimes,stat,wchan:20,args").Output(); err == nil {
			t.Logf("what runs:\n%s", out)
		}
		t.Fatal(err)
	}
	virsh(t, "pool-define-as", "default", "dir", "--target", pool)
	virsh(t, "pool-start", "default")
}

// daemon starts a program that ends with the test.
func daemon(t *testing.T, dir, name string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, name+".out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is the test's
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		defer log.Close()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Errorf("%s does not end", name)
			_ = cmd.Process.Kill()
			<-ended
		}
		if !t.Failed() {
			return
		}
		if text, err := os.ReadFile(log.Name()); err == nil && len(text) > 0 {
			t.Logf("%s said:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
}

// virsh runs a command of libvirt's own client and returns its lines.
func virsh(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("virsh", append([]string{"-q", "-c", "qemu:///system"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("virsh %s: %v: %s", strings.Join(args, " "), err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// endDomains ends what a failed test has left running.
func endDomains(t *testing.T) {
	for _, name := range virsh(t, "list", "--all", "--name") {
		t.Errorf("left behind: machine %s", name)
		virsh(t, "destroy", name)
	}
	for _, name := range virsh(t, "net-list", "--name") {
		virsh(t, "net-destroy", name) // ends its dnsmasq
	}
}
