package handoff

import (
	"context"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// Programs runs programs that are not lab's own, each under a supervisor. Its
// methods are those of mini.Launcher, where they are described.
type Programs interface {
	Start(ctx context.Context, name, order string) (proctab.ID, error)
	Wait(ctx context.Context, id proctab.ID) error
	Stop(ctx context.Context, id proctab.ID, grace time.Duration) error
}
