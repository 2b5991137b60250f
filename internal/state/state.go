package state

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/atomicfile"
)

// Format is the version of lab.json that this program writes and reads.
const Format = 1

// Record is the content of lab.json: everything later commands need, so that
// they work from here alone and never from an edited lab.yaml.
type Record struct {
	Format   int           `json:"format"`
	ID       string        `json:"id"` // 8 hex digits
	Spec     lab.Spec      `json:"spec"`
	Provider string        `json:"provider"`
	Created  time.Time     `json:"created"`
	Machines []lab.Machine `json:"machines"` // as last seen up; nodes come from Spec
	Ready    time.Time     `json:"ready,omitzero"`
	// App is the hash of the sample app as it was deployed last.
	App string `json:"app,omitempty"`
	// AppConfig is that app's configuration as Marathon showed it then.
	AppConfig json.RawMessage `json:"app_config,omitempty"`
}

// Store is the folder that holds all labs of a user.
type Store struct{ dir string }

// NewStore returns the store in dir, which need not exist yet.
func NewStore(dir string) Store { return Store{dir: dir} }

// Dir is the store's folder.
func (s Store) Dir() string { return s.dir }

// LabDir is the folder that a lab of this name has, or would have.
func (s Store) LabDir(name string) string { return filepath.Join(s.dir, name) }

// Lab is one remembered lab.
type Lab struct {
	Dir string
	Record
}

// Load reads the named lab. A lab that does not exist is lab.ErrNotFound; one
// of another format, or a folder that is not ours, is an error and stays as
// it is.
func (s Store) Load(name string) (*Lab, error) {
	l, err := s.read(name)
	if errors.Is(err, lab.ErrNotFound) {
		return nil, s.missing(name)
	}
	return l, err
}

// read is Load without advice for a lab that does not exist: Labs reads, too,
// and that advice names all labs.
func (s Store) read(name string) (*Lab, error) {
	l := &Lab{Dir: filepath.Join(s.dir, name)}
	data, err := os.ReadFile(filepath.Join(l.Dir, "lab.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A record that was being written when its program was killed is ours.
		foreigner := func(e fs.DirEntry) bool { return !strings.HasPrefix(e.Name(), ".lab.json-") }
		if entries, err := os.ReadDir(l.Dir); err == nil && slices.ContainsFunc(entries, foreigner) {
			return nil, foreign(l.Dir, errors.New("holds files but no lab.json"))
		}
		return nil, lab.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("read lab %s: %w", name, err)
	}
	if err := json.Unmarshal(data, &l.Record); err != nil {
		return nil, foreign(l.Dir, fmt.Errorf("lab.json is not ours: %w", err))
	}
	if l.Format != Format {
		return nil, foreign(l.Dir, fmt.Errorf("lab.json has format %d, this program knows %d", l.Format, Format))
	}
	if len(l.ID) != 8 || l.Spec.Name != name {
		return nil, foreign(l.Dir, fmt.Errorf("lab.json is of lab %q with id %q", l.Spec.Name, l.ID))
	}
	return l, nil
}

// missing says which labs there are.
func (s Store) missing(name string) error {
	all, _ := s.Labs()
	var names []string
	for _, l := range all {
		names = append(names, l.Spec.Name)
	}
	advice := "lab create makes one"
	if len(names) > 0 {
		advice = fmt.Sprintf("labs here: %v%s", names, lab.DidYouMean(name, names))
	}
	return &lab.Error{ID: "no-such-lab", Op: "find lab", Err: noLab(name), Advice: advice}
}

// noLab is lab.ErrNotFound in words that say so once.
type noLab string

func (name noLab) Error() string { return fmt.Sprintf("there is no lab %q", string(name)) }

func (noLab) Unwrap() error { return lab.ErrNotFound }

func foreign(dir string, err error) error {
	return &lab.Error{
		ID: "state-foreign", Op: "read lab state in " + dir, Err: err,
		Advice: "nothing was changed or removed; move the folder away, use the program version that made it, or another --state-dir",
	}
}

// Labs returns all readable labs, by name. Unreadable folders are skipped.
func (s Store) Labs() ([]*Lab, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var labs []*Lab
	for _, e := range entries {
		if !e.IsDir() || !lab.ValidName(e.Name()) {
			continue
		}
		if l, err := s.read(e.Name()); err == nil {
			labs = append(labs, l)
		}
	}
	slices.SortFunc(labs, func(a, b *Lab) int { return a.Created.Compare(b.Created) })
	return labs, nil
}

// New makes the folder and the record of a new lab. spec must have its
// addresses. The folder must not hold anything yet.
func (s Store) New(spec lab.Spec, provider string) (*Lab, error) {
	l := &Lab{Dir: filepath.Join(s.dir, spec.Name)}
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make lab folder: %w", err)
	}
	id := make([]byte, 4)
	rand.Read(id)
	l.Record = Record{Format: Format, ID: hex.EncodeToString(id), Spec: spec, Provider: provider, Created: time.Now().UTC()}
	return l, l.Save()
}

// Save writes lab.json by rename.
func (l *Lab) Save() error {
	data, err := json.MarshalIndent(l.Record, "", "  ")
	if err != nil {
		return fmt.Errorf("save lab %s: %w", l.Spec.Name, err)
	}
	if err := atomicfile.WriteSynced(filepath.Join(l.Dir, "lab.json"), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("save lab %s: %w", l.Spec.Name, err)
	}
	return nil
}

// Remove deletes the lab's folder, lab.json last: an interrupted removal is
// still recognised as ours. A folder that is not this lab's is left alone.
func (l *Lab) Remove() error {
	check, err := (Store{dir: filepath.Dir(l.Dir)}).Load(filepath.Base(l.Dir))
	if err != nil {
		return err
	}
	if check.ID != l.ID {
		return foreign(l.Dir, fmt.Errorf("belongs to lab %s now, not to %s", check.ID, l.ID))
	}
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return fmt.Errorf("remove lab: %w", err)
	}
	for _, e := range entries {
		if e.Name() == "lab.json" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(l.Dir, e.Name())); err != nil {
			return fmt.Errorf("remove lab: %w", err)
		}
	}
	if err := os.RemoveAll(l.Dir); err != nil {
		return fmt.Errorf("remove lab: %w", err)
	}
	return nil
}
