package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/mesoslab/lab"
)

// Foreign returns, by name, why folders of the store cannot be read as labs:
// they are of another program or another version, or damaged. Nothing here
// ever removes them.
func (s Store) Foreign() (map[string]error, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	found := map[string]error{}
	for _, e := range entries {
		if !e.IsDir() || !lab.ValidName(e.Name()) {
			continue
		}
		if _, err := s.read(e.Name()); err != nil && !errors.Is(err, lab.ErrNotFound) {
			found[e.Name()] = err
		}
	}
	return found, nil
}

// Holders returns, by the lab's name, the commands that hold locks now. A lock
// file whose process is gone is none: it stays behind by design. Only where
// that process lives is the lock itself tried, for a moment.
func (s Store) Holders() (map[string]Holder, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, ".locks"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	found := map[string]Holder{}
	for _, e := range entries {
		file := filepath.Join(s.dir, ".locks", e.Name())
		h, ok := holderOf(file)
		if !ok || !lab.ValidName(e.Name()) || h.PID == os.Getpid() || !alive(h.PID) {
			continue
		}
		f := flock.New(file)
		if free, err := f.TryLock(); err != nil || free {
			f.Close()
			continue
		}
		found[e.Name()] = h
	}
	return found, nil
}

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, syscall.EPERM)
}
