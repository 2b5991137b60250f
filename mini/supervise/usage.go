package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/mesoslab/lab/internal/proctab"
)

// Usage is what a process and all its descendants use at a moment.
type Usage struct {
	// User and System are the CPU times of those that live.
	User, System time.Duration
	// RSS is their resident memory in bytes, pages that they share counted for
	// each of them (as Mesos' posix isolators count).
	RSS uint64
	// Processes is how many they are.
	Processes int
}

// UsageOf measures the supervisor id and everything it runs. proctab.ErrGone
// says that it has ended.
func UsageOf(ctx context.Context, id proctab.ID) (Usage, error) {
	if id.State() == proctab.Gone {
		return Usage{}, proctab.ErrGone
	}
	tree, err := descendants(ctx, id.PID)
	if err != nil {
		return Usage{}, fmt.Errorf("measure process %d: %w", id.PID, err)
	}
	var u Usage
	for _, p := range tree {
		times, err := p.TimesWithContext(ctx)
		if err != nil {
			continue // it has ended meanwhile
		}
		memory, err := p.MemoryInfoWithContext(ctx)
		if err != nil {
			continue
		}
		u.Processes++
		u.User += time.Duration(times.User * float64(time.Second))
		u.System += time.Duration(times.System * float64(time.Second))
		u.RSS += memory.RSS
	}
	if u.Processes == 0 {
		return Usage{}, errors.Join(proctab.ErrGone, ctx.Err())
	}
	return u, nil
}

// descendants are a process and those below it.
func descendants(ctx context.Context, pid int) ([]*process.Process, error) {
	root, err := process.NewProcessWithContext(ctx, int32(pid))
	if err != nil {
		return nil, err
	}
	tree := []*process.Process{root}
	if ids := proctab.Descendants(pid); len(ids) > 0 {
		for _, id := range ids {
			tree = append(tree, &process.Process{Pid: int32(id.PID)})
		}
		return tree, nil
	}
	// Systems without /proc; on others there are none.
	for i := 0; i < len(tree); i++ {
		children, err := tree[i].ChildrenWithContext(ctx)
		if err != nil {
			continue
		}
		tree = append(tree, children...)
	}
	return tree, nil
}

// memoryOf is what a process and its descendants have in memory and not from
// files, as far as it can be told: the supervisor's own share does not count,
// and neither do the programs' pages, which many run at the price of one.
func memoryOf(pid int) uint64 {
	tree, err := descendants(context.Background(), pid)
	if err != nil {
		return 0 // it has ended
	}
	var sum uint64
	for _, p := range tree {
		if m, err := p.MemoryInfoEx(); err == nil {
			sum += private(m)
		} else if m, err := p.MemoryInfo(); err == nil {
			sum += m.RSS
		}
	}
	return sum
}
