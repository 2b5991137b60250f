//go:build unix

package vagrant

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts a process in a group of its own: the terminal's Ctrl-C goes
// to lab alone, and lab's signals reach Vagrant and all that it runs.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// The errors of these say that nobody is left to signal.
func interruptGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGINT) }
func killGroup(p *os.Process)      { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

// groupAlive reports whether somebody of ours is in the group.
func groupAlive(pgid int) bool {
	return pgid > 1 && !errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH)
}
