//go:build linux

package dockerd

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
)

// need skips a test that was not asked for, or that this computer cannot run;
// the latter is a failure under LAB_TEST_NO_SKIP=1.
func need(tb testing.TB) {
	tb.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		tb.Skip("machines in containers take minutes: LAB_TEST_DOCKER=1 asks for them")
	}
	if os.Getuid() != 0 {
		labtest.Missing(tb, "a Docker engine of the tests' own needs root")
	}
	for _, name := range []string{"dockerd", "containerd", "runc", "iptables", "ip", "nsenter", "mmdebstrap"} {
		labtest.NeedProgram(tb, name)
	}
	try := exec.Command("/bin/true")
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if err := try.Run(); err != nil {
		labtest.Missing(tb, "this computer lets nobody make namespaces: "+err.Error())
	}
}
