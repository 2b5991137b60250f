package state

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/mesoslab/lab"
)

// Lock is held by the one command that may change a lab.
type Lock struct{ file *flock.Flock }

// Holder is what the lock file says about its holder.
type Holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Lock takes the lock of the named lab for command, or fails at once with the
// one who holds it. The kernel frees it when its holder dies, however that
// happens.
func (s Store) Lock(name, command string) (*Lock, error) {
	file := filepath.Join(s.dir, ".locks", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("lock lab %s: %w", name, err)
	}
	f := flock.New(file)
	ok, err := f.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock lab %s: %w", name, err)
	}
	if !ok && !inherited(f, file) {
		return nil, busy(name, file)
	}
	data, err := json.Marshal(Holder{PID: os.Getpid(), Command: command, Since: time.Now().UTC()})
	if err == nil {
		err = os.WriteFile(file, data, 0o600) // in place: a rename would leave the lock on the old file
	}
	if err != nil {
		f.Unlock()
		return nil, fmt.Errorf("lock lab %s: %w", name, err)
	}
	return &Lock{file: f}, nil
}

// inherited waits for a lock whose holder is dead: a process that was killed
// while it started another one leaves the lock to that for the moment until
// the other has become a program of its own.
func inherited(f *flock.Flock, file string) bool {
	h, ok := holderOf(file)
	if !ok {
		return false
	}
	if p, err := os.FindProcess(h.PID); err != nil || p.Signal(syscall.Signal(0)) == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	got, err := f.TryLockContext(ctx, 5*time.Millisecond)
	return got && err == nil
}

func holderOf(file string) (h Holder, ok bool) {
	data, err := os.ReadFile(file)
	return h, err == nil && json.Unmarshal(data, &h) == nil
}

func busy(name, file string) error {
	cause := fmt.Errorf("another command works on lab %s", name)
	if h, ok := holderOf(file); ok {
		cause = fmt.Errorf("%q (pid %d) works on lab %s, since %s", h.Command, h.PID, name, h.Since.Local().Format("15:04:05"))
	}
	return &lab.Error{ID: "lab-locked", Op: "lock", Err: cause, Advice: "wait for it or interrupt it; lab status, logs and ssh work meanwhile"}
}

// Unlock frees the lock. The file stays: removing it would let two commands
// lock two files of the same name.
func (l *Lock) Unlock() error { return l.file.Unlock() }

// withSubnets runs fn while no other command chooses a subnet.
func (s Store) withSubnets(fn func() error) error {
	file := filepath.Join(s.dir, ".locks", ".subnets")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("lock subnets: %w", err)
	}
	f := flock.New(file)
	if err := f.Lock(); err != nil {
		return fmt.Errorf("lock subnets: %w", err)
	}
	defer f.Unlock()
	return fn()
}
