//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
)

// mesosGo is mesos-go's programs, built as they are.
const mesosGo = "github.com/mesos/mesos-go/api/v1/cmd/"

// TestMesosGoPrograms runs two programs that lab did not write against a lab:
// msh runs a command somewhere in the cluster, mwatch tells what happens there.
func TestMesosGoPrograms(t *testing.T) {
	dir := t.TempDir()
	tool := labtest.NeedProgram(t, "go")
	if out, err := exec.CommandContext(t.Context(), tool, "build", "-o", dir+string(filepath.Separator), mesosGo+"msh", mesosGo+"mwatch").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	t.Parallel()
	l := commandLab(t)
	said := &lines{}
	watch := exec.CommandContext(t.Context(), filepath.Join(dir, "mwatch"), "-master", l.IP(1))
	watch.Stdout, watch.Stderr = said, said
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = watch.Process.Kill()
		_ = watch.Wait()
	}()
	hears := func(words string) {
		t.Helper()
		l.Await("mwatch to say "+words, func(context.Context) error {
			if !strings.Contains(said.String(), words) {
				return fmt.Errorf("it says\n%s", said)
			}
			return nil
		})
	}
	msh := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "msh"), append([]string{"-master", l.IP(1) + ":5050"}, args...)...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	proof := filepath.Join(dir, "proof")
	if out, code := msh("-framework_name", "shell", "--", "cp", filepath.Join(dir, "msh"), proof); code != 0 || !strings.Contains(out, "TASK_FINISHED") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, err := os.Stat(proof); err != nil {
		t.Errorf("what msh had to do was not done: %v", err)
	}
	if out, code := msh("--", "false"); code == 0 || !strings.Contains(out, "TASK_FAILED") || !strings.Contains(out, "Command exited with status 1") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for _, words := range []string{"TASK_ADDED", "TASK_RUNNING", "TASK_FINISHED", "TASK_FAILED"} { // frameworks are told of since 1.4
		hears(words)
	}
	l.Must("destroy")
	l.MustBeGone()
}
