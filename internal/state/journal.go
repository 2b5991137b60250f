package state

import (
	"cmp"
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

// Fault is one entry of the journal: something that lab broke and what mends
// it.
type Fault struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"`
	By    string    `json:"by"`    // scenario failover, or the command
	Fault string    `json:"fault"` // kill node2
	// Undo is the power that mends it, on Nodes, where Part is empty.
	Undo  lab.Power `json:"undo,omitempty"`
	Nodes []string  `json:"nodes"`
	// Verb is the kind of fault. Part is what is broken of the machine, "" for
	// the machine itself; the rest says what exactly (scenarios.Fault).
	Verb      string        `json:"verb,omitempty"`
	Part      string        `json:"part,omitempty"`
	Container string        `json:"container,omitempty"`
	Task      string        `json:"task,omitempty"`
	From      string        `json:"from,omitempty"`
	Delay     time.Duration `json:"delay,omitempty"`  // ns
	Jitter    time.Duration `json:"jitter,omitempty"` // ns
	Loss      float64       `json:"loss,omitempty"`   // 0 … 1
	Flags     string        `json:"flags,omitempty"`  // that a component was started with
	// Mender is the command that mends it best; "" means heal.
	Mender string `json:"mender,omitempty"`
}

func (f Fault) String() string { return fmt.Sprintf("%s (%s)", f.Fault, f.By) }

// Mends is the command line that mends it.
func (f Fault) Mends() string { return "lab " + cmp.Or(f.Mender, "heal") }

func (l *Lab) journalFile() string { return filepath.Join(l.Dir, "faults.json") }

// Faults returns what is still broken, oldest first.
func (l *Lab) Faults() ([]Fault, error) {
	data, err := os.ReadFile(l.journalFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read fault journal: %w", err)
	}
	var faults []Fault
	if err := json.Unmarshal(data, &faults); err != nil {
		return nil, fmt.Errorf("read fault journal %s: %w", l.journalFile(), err)
	}
	return faults, nil
}

// RecordFault writes a fault into the journal; call it before doing the fault.
func (l *Lab) RecordFault(f Fault) error {
	faults, err := l.Faults()
	if err != nil {
		return err
	}
	return l.writeFaults(append(faults, f))
}

// StrikeFault removes a fault from the journal; call it after undoing it.
func (l *Lab) StrikeFault(id string) error {
	faults, err := l.Faults()
	if err != nil {
		return err
	}
	kept := faults[:0]
	for _, f := range faults {
		if f.ID != id {
			kept = append(kept, f)
		}
	}
	return l.writeFaults(kept)
}

func (l *Lab) writeFaults(faults []Fault) error {
	if len(faults) == 0 {
		if err := os.Remove(l.journalFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear fault journal: %w", err)
		}
		return nil
	}
	data, err := json.MarshalIndent(faults, "", "  ")
	if err == nil {
		err = atomicfile.WriteSynced(l.journalFile(), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write fault journal: %w", err)
	}
	return nil
}

// EventLog returns a report that appends every event to events.jsonl, and a
// function that closes it. A log that cannot be written must not stop the
// work: the first error is given to failed once, later events are dropped.
func (l *Lab) EventLog(failed func(error)) (lab.Report, func() error, error) {
	f, err := os.OpenFile(filepath.Join(l.Dir, "events.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open event log: %w", err)
	}
	w := &eventWriter{file: f, failed: failed}
	return w.write, f.Close, nil
}
