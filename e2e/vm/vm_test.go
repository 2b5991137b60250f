//go:build linux

package vm

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/vagrant/box"
)

// insideEnv hands the test inside the namespaces what it needs, as JSON.
const insideEnv = "LAB_TEST_VM_INSIDE"

// inside is what the test inside the namespaces needs.
type inside struct {
	Dir    string  // a folder of its own, which the outer test removes
	Binary string  // lab
	Box    box.Box // the box that was built or found
	Times  []times // of the steps so far
}

// times is how long a step took.
type times struct {
	Step    string
	Seconds float64
	Note    string
}

// TestVM prepares binary, box and namespaces, and runs this test binary again
// inside them.
func TestVM(t *testing.T) {
	if os.Getenv("LAB_TEST_VM") != "1" {
		t.Skip("virtual machines take a quarter of an hour: make test-vm asks for them")
	}
	if os.Getuid() != 0 {
		t.Fatal("virtual machines in namespaces of their own need root")
	}
	for _, name := range []string{"ip", "unshare", "vagrant", "virsh", "virtlogd", "libvirtd", "qemu-system-x86_64", "dnsmasq", "iptables", "mmdebstrap", "qemu-img"} {
		labtest.NeedProgram(t, name)
	}
	dir, err := os.MkdirTemp("", "lab-vm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	in := inside{Dir: dir, Binary: filepath.Join(dir, "lab")}
	// Static, so that the mini stack's images can be made of it.
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "osusergo,netgo", "-o", in.Binary, "github.com/mesoslab/lab/cmd/lab")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build lab: %v\n%s", err, out)
	}
	in.buildBox(t)

	ns := "labvm-" + strconv.Itoa(os.Getpid())
	command(t, "ip", "netns", "add", ns)
	t.Cleanup(func() {
		if pids := strings.Fields(command(t, "ip", "netns", "pids", ns)); len(pids) > 0 {
			t.Errorf("left behind in the namespace: processes %v", pids)
		}
		command(t, "ip", "netns", "del", ns)
	})
	command(t, "ip", "-n", ns, "link", "set", "lo", "up")

	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", ns,
		"unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", // whatever happens, no process outlives it
		// libvirt waits for orphans to disappear: the first process is one that
		// waits for any child.
		"sh", "-c", `"$@"; exit $?`, "sh",
		os.Args[0], "-test.run=^TestInside$", "-test.v", "-test.timeout=50m")
	cmd.Env = append(os.Environ(), insideEnv+"="+string(data))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // it takes long: somebody watches
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		t.Fatalf("inside the namespaces: %v", err)
	}
}

// buildBox lets lab build the box, or find it where it was built before.
func (in *inside) buildBox(t *testing.T) {
	t.Helper()
	cache := os.Getenv("LAB_TEST_VM_DIR")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(base, "lab-vm")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), in.Binary, "box", "build", "-o", "json")
	cmd.Dir, cmd.Stderr = cache, os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &in.Box)
	}
	if err != nil {
		t.Fatalf("lab box build: %v\n%s", err, out)
	}
	note := "found in " + cache
	if in.Box.Built {
		note = strconv.FormatInt(in.Box.Bytes>>20, 10) + " MiB"
	}
	in.Times = append(in.Times, times{"lab box build", time.Since(start).Seconds(), note})
}

func command(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}
