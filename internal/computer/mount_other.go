//go:build !linux && !darwin

package computer

func mountFlags(string) (noExec, readOnly bool) { return false, false }
