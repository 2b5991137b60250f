//go:build !unix

package vagrant

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

// Without process groups only the outermost process can be ended.
func interruptGroup(p *os.Process) { _ = p.Signal(os.Interrupt) }
func killGroup(p *os.Process)      { _ = p.Kill() }
func groupAlive(int) bool          { return false }
