package vagrant

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/atomicfile"
)

const memoryFormat = 1

// memory is vagrant.json: what need not be asked of Vagrant again. Only the
// holder of the lock writes it.
type memory struct {
	Format      int                   `json:"format"`
	Vagrantfile string                `json:"vagrantfile"` // SHA-256 of what was rendered last
	Version     string                `json:"version,omitempty"`
	Machines    map[string]remembered `json:"machines"`
}

// remembered is one machine. Made says that Vagrant brought it up to the end
// once; one that exists and is not made is half a machine.
type remembered struct {
	Made  bool             `json:"made"`
	SSH   lab.SSHEndpoint  `json:"ssh"`
	State lab.MachineState `json:"state"`
	Since time.Time        `json:"since"`
}

func readMemory(dir string) (*memory, error) {
	m := &memory{Format: memoryFormat, Machines: map[string]remembered{}}
	data, err := os.ReadFile(filepath.Join(dir, "vagrant.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(data, m)
	}
	if err != nil {
		return nil, fmt.Errorf("read vagrant.json: %w", err)
	}
	if m.Format != memoryFormat {
		return nil, fmt.Errorf("read vagrant.json: unknown format %d: a newer lab wrote it", m.Format)
	}
	if m.Machines == nil {
		m.Machines = map[string]remembered{}
	}
	return m, nil
}

func (m *memory) write(dir string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, "vagrant.json"), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write vagrant.json: %w", err)
	}
	return nil
}

// set notes a machine's state, and since when.
func (m *memory) set(name string, state lab.MachineState) {
	r := m.Machines[name]
	if r.State != state {
		r.State, r.Since = state, time.Now().UTC()
	}
	m.Machines[name] = r
}

func sum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// exists reports whether Vagrant has a VM for the node: it keeps the VM's id
// in a file from the moment it has one until it is destroyed.
func exists(dir, node string) bool {
	ids, err := filepath.Glob(filepath.Join(escape(dir), ".vagrant", "machines", node, "*", "id"))
	return err == nil && len(ids) > 0
}
