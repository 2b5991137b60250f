//go:build !unix

package command

import "os/exec"

func separate(*exec.Cmd, bool) {}

func terminate(cmd *exec.Cmd) error { return cmd.Process.Kill() }
