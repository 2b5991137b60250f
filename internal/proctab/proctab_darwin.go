package proctab

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process states of <sys/proc.h>.
const (
	sStop = 4
	sZomb = 5
)

func lookup(pid int) (start string, state State, err error) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(p.Proc.P_pid) != pid {
		return "", Gone, ErrGone
	}
	t := p.Proc.P_starttime
	start = fmt.Sprintf("%d.%06d", t.Sec, t.Usec)
	switch p.Proc.P_stat {
	case sStop:
		return start, Stopped, nil
	case sZomb:
		return start, Gone, nil
	}
	return start, Running, nil
}

func (id ID) signal(sig syscall.Signal) error {
	if id.State() == Gone {
		return ErrGone
	}
	if err := syscall.Kill(id.PID, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return ErrGone
}

// Descendants finds nothing on this system.
func Descendants(...int) []ID { return nil }

// Children finds nothing on this system.
func Children(int) []ID { return nil }

// Zombies finds nothing on this system.
func Zombies(int) []int { return nil }

// Marked finds nothing on this system: environments are not readable.
func Marked(string, string) []ID { return nil }
