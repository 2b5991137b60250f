//go:build !unix

package rig

import "os/exec"

// signalled: no signals here.
func signalled(*exec.ExitError) int { return -1 }
