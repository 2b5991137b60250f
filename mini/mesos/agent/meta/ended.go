package meta

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

// Ended is a task whose last update is acknowledged, kept so that people find
// what it left. Framework is what its framework was.
type Ended struct {
	Framework wire.FrameworkInfo `json:"framework"`
	Task      Task               `json:"task"`
	// At is when that was, in seconds since 1970.
	At float64 `json:"at"`
}

// ended reads what is kept of ended tasks. Nothing depends on it, so what cannot
// be read is left out.
func (s *Store) ended(agent string) []Ended {
	names, _ := filepath.Glob(filepath.Join(globSafe(s.agent(agent)), "ended", "*"))
	var out []Ended
	for _, name := range names {
		var e Ended
		if err := read(name, &e); err == nil && e.Task.Container == filepath.Base(name) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(x, y Ended) int { return cmp.Compare(x.At, y.At) })
	return out
}

// SaveEnded remembers an ended task of an agent.
func (s *Store) SaveEnded(agent string, e Ended) error {
	return s.write(filepath.Join(s.agent(agent), "ended", e.Task.Container), e)
}

// RemoveEnded forgets the ended task with this container, if it is remembered.
func (s *Store) RemoveEnded(agent, container string) error {
	if !SafeID(container) {
		return nil
	}
	if err := s.before(); err != nil {
		return fmt.Errorf("forget ended task: %w", err)
	}
	err := os.Remove(filepath.Join(s.agent(agent), "ended", container))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
