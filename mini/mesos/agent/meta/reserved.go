package meta

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

func (s *Store) reserved() string { return filepath.Join(s.dir, "resources", "resources.info") }

// Reserved returns what SaveReserved saved last.
func (s *Store) Reserved() (list []wire.Resource, err error) {
	if _, err := os.Stat(s.reserved()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err = read(s.reserved(), &list)
	return list, err
}

// SaveReserved remembers what is dynamically reserved, or a volume, whatever id
// the agent has: Forget does not touch it.
func (s *Store) SaveReserved(list []wire.Resource) error {
	if len(list) > 0 {
		return s.write(s.reserved(), list)
	}
	if err := s.before(); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := os.Remove(s.reserved()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
