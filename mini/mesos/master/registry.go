package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
)

// registryFile keeps the registry in this folder, as registry.json.
type registryFile string

var _ cluster.Registry = registryFile("")

// registryFormat is what the file holds.
type registryFormat struct {
	Format int `json:"format"`
	cluster.RegistryData
}

func (f registryFile) path() string { return filepath.Join(string(f), "registry.json") }

// Load returns what Store wrote last; no file is an empty registry.
func (f registryFile) Load() (cluster.RegistryData, error) {
	b, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return cluster.RegistryData{}, nil
	}
	if err != nil {
		return cluster.RegistryData{}, err
	}
	var d registryFormat
	if err := json.Unmarshal(b, &d); err != nil {
		return cluster.RegistryData{}, fmt.Errorf("%s: %w", f.path(), err)
	}
	if d.Format != 1 {
		return cluster.RegistryData{}, fmt.Errorf("%s: format %d is not known here", f.path(), d.Format)
	}
	return d.RegistryData, nil
}

// Store returns when the new content is on the disk.
func (f registryFile) Store(d cluster.RegistryData) error {
	b, err := json.Marshal(registryFormat{1, d})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteSynced(f.path(), b, 0o644)
}
