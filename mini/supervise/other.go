//go:build !unix

package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// Run says that this system has no supervisor.
func Run(_, _ []string, stderr io.Writer) int {
	fmt.Fprintln(stderr, "lab mini supervise: needs Linux or macOS")
	return 1
}

// Plain exists on systems with processes as unix has them.
type Plain struct{}

// NewPlain returns a Plain that refuses everything.
func NewPlain(string) *Plain { return &Plain{} }

// Start implements mini.Launcher.
func (*Plain) Start(context.Context, string, string) (proctab.ID, error) {
	return proctab.ID{}, errors.ErrUnsupported
}

// Wait implements mini.Launcher.
func (*Plain) Wait(context.Context, proctab.ID) error { return errors.ErrUnsupported }

// Stop implements mini.Launcher.
func (*Plain) Stop(context.Context, proctab.ID, time.Duration) error { return errors.ErrUnsupported }

// Owner needs users as unix has them.
func Owner(string) (uid, gid int, other bool, err error) { return 0, 0, false, nil }
