package vagrant

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/mesoslab/lab"
)

const lockPoll = 50 * time.Millisecond

// lock is held while a vagrant process may work in a lab's folder. The file
// names that process: it lives in a group of its own and may outlive a lab
// command that was killed.
type lock struct {
	file *flock.Flock
	path string
}

// working is what the lock file says.
type working struct {
	PID   int       `json:"pid"`             // the lab command
	Group int       `json:"group,omitempty"` // the process group of its vagrant
	Since time.Time `json:"since"`
}

// takeLock waits at most wait for the folder's lock and for what an earlier
// holder left running.
func takeLock(ctx context.Context, dir string, wait time.Duration) (*lock, error) {
	l := &lock{path: filepath.Join(dir, "vagrant.lock")}
	l.file = flock.New(l.path)
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if ok, err := l.file.TryLockContext(limited, lockPoll); !ok {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("lock %s: %w", l.path, context.Cause(ctx))
		}
		if limited.Err() == nil {
			return nil, fmt.Errorf("lock %s: %w", l.path, err)
		}
		return nil, l.busy(l.holder())
	}
	err := lab.Until(limited, lockPoll, "an earlier vagrant process to end", func(context.Context) error {
		if h := l.holder(); groupAlive(h.Group) {
			return l.busy(h)
		}
		return nil
	})
	if err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (l *lock) holder() working {
	var h working
	if data, err := os.ReadFile(l.path); err != nil || json.Unmarshal(data, &h) != nil {
		return working{} // nobody has written yet
	}
	return h
}

func (l *lock) busy(h working) error {
	cause := fmt.Errorf("another vagrant process works on this lab")
	if h.PID != 0 {
		cause = fmt.Errorf("another vagrant process works on this lab (pid %d of lab command %d, since %s)", h.Group, h.PID, h.Since.Local().Format("15:04:05"))
	}
	return &lab.Error{ID: "vagrant-locked", Op: "lock", Err: cause, Advice: "wait for it, or end it; two of them would stop each other"}
}

func (l *lock) write(group int) error {
	data, err := json.Marshal(working{PID: os.Getpid(), Group: group, Since: time.Now().UTC()})
	if err == nil {
		err = os.WriteFile(l.path, data, 0o600) // in place: a rename would leave the lock on the old file
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", l.path, err)
	}
	return nil
}

// working notes the process group that works under this lock.
func (l *lock) working(group int) error { return l.write(group) }

// idle notes that nobody works; that it cannot be written says only that the
// folder is gone.
func (l *lock) idle() { _ = l.write(0) }

// release frees the lock. The file stays: removing it would let two commands
// lock two files of the same name.
func (l *lock) release() { _ = l.file.Unlock() }
