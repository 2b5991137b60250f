//go:build unix

package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mesoslab/lab/internal/proctab"
)

// ErrLocked says that the machine is alive, or that somebody looks whether it
// is at this very moment.
var ErrLocked = errors.New("machine is alive")

// Lock locks the folder for a machine that is about to start. The lock lives
// as long as the returned file, or a copy of its descriptor, is open anywhere.
func (f Folder) Lock() (*os.File, error) {
	file, err := os.OpenFile(f.Path(LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock machine: %w", err)
	}
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		file.Close()
		return nil, ErrLocked
	case err != nil:
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return file, nil
}

// Alive reports whether the machine lives.
func (f Folder) Alive() (bool, error) {
	file, err := os.Open(f.Path(LockFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("look at lock: %w", err)
	}
	defer file.Close()
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look at lock %s: %w", file.Name(), err)
	}
	return false, nil
}

// Sign writes who holds the lock into it.
func Sign(lock *os.File, id proctab.ID) error {
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	// One write, as short as it is, is there whole or not at all.
	if _, err := lock.WriteAt(append(text, '\n'), 0); err != nil {
		return fmt.Errorf("sign lock: %w", err)
	}
	return lock.Truncate(int64(len(text) + 1))
}

// Holder reads who has signed the lock last.
func (f Folder) Holder() (proctab.ID, bool) {
	var id proctab.ID
	err := f.read(LockFile, &id)
	return id, err == nil && id.PID > 0
}
