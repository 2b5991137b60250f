//go:build !unix

package machine

import (
	"context"
	"fmt"
)

// Main says that this system has no embedded machines.
func Main(_ context.Context, _ []string, cfg Config) int {
	if cfg.Log != nil {
		fmt.Fprintln(cfg.Log, "lab machine: embedded machines need Linux or macOS")
	}
	return 1
}
