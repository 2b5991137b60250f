//go:build unix

package supervise

import (
	"os"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// lookEvery is the pause between two looks for descendants that have come
// while others were being ended.
const lookEvery = 50 * time.Millisecond

// weighEvery is the pause between two looks at the memory of a command that has
// a limit.
const weighEvery = 200 * time.Millisecond

// supervise stays with the command until none of its descendants is left.
func (o Order) supervise(pid int, stops <-chan time.Duration, signals <-chan os.Signal) Result {
	grace := o.Grace
	ended, gone := make(chan syscall.WaitStatus, 1), make(chan struct{})
	go reap(pid, ended, gone)
	e := ending{pid: pid, told: map[proctab.ID]bool{}}
	var r Result
	over := func(ws syscall.WaitStatus) {
		if r.Exit = ws.ExitStatus(); ws.Signaled() {
			r = Result{Signal: int(ws.Signal()), Core: ws.CoreDump(), Memory: r.Memory}
		}
	}
	var weigh <-chan time.Time // nil without a limit
	if o.MemoryLimit > 0 {
		weigh = time.Tick(weighEvery)
	}
	defer e.rest()
	for {
		select {
		case ws := <-ended:
			over(ws)
			e.begin(grace) // most often nobody is left, and gone comes next
		case <-gone:
			select {
			case ws := <-ended:
				over(ws)
			default:
			}
			return r
		case d := <-stops:
			e.begin(d)
			e.act()
		case s := <-signals:
			if s != syscall.SIGPIPE {
				e.begin(grace)
				e.act()
			}
		case <-e.look:
			e.act()
		case <-weigh:
			if used := memoryOf(pid); used > o.MemoryLimit {
				r.Memory, weigh = used, nil
				e.begin(0)
				e.act()
			}
		}
	}
}

// reap takes the exit status of every child, those adopted included. Where
// this process is a subreaper, no child left means no descendant left.
func reap(pid int, ended chan<- syscall.WaitStatus, gone chan<- struct{}) {
	for {
		var ws syscall.WaitStatus
		switch got, err := syscall.Wait4(-1, &ws, 0, nil); {
		case err == syscall.EINTR:
		case err != nil:
			close(gone)
			return
		case got == pid:
			ended <- ws
		}
	}
}

// ending is the way from SIGTERM to SIGKILL.
type ending struct {
	pid      int // of the command, which leads a process group
	told     map[proctab.ID]bool
	began    time.Time
	deadline time.Time
	look     <-chan time.Time // nil before: an idle supervisor never wakes
}

// begin starts it, or makes the grace shorter.
func (e *ending) begin(grace time.Duration) {
	if e.began.IsZero() {
		e.began = time.Now()
		e.deadline = e.began.Add(grace)
		e.look = time.Tick(lookEvery)
	}
	if d := e.began.Add(grace); d.Before(e.deadline) {
		e.deadline = d
	}
}

// act tells descendants that have not been told yet, or kills all.
func (e *ending) act() {
	if !time.Now().Before(e.deadline) {
		e.signal(syscall.SIGKILL, func(proctab.ID) bool { return true })
		return
	}
	e.signal(syscall.SIGTERM, func(id proctab.ID) bool {
		first := !e.told[id]
		e.told[id] = true
		return first
	})
}
