// Package meta is what a mini Mesos agent remembers on disk, so that its next
// run goes on where this one ended.
//
// Nouns. A Store is the folder <work_dir>/meta. A State is everything in it
// about the latest agent id: the agent, its Frameworks and its Tasks.
//
// The layout is the real agent's, the files are our own (JSON, mesos messages
// in it as protobuf bytes):
//
//	meta/boot_id
//	meta/resources/resources.info                  what is dynamically reserved, or a volume
//	meta/slaves/latest                             link to <agent>
//	meta/slaves/<agent>/slave.info
//	meta/slaves/<agent>/ended/<container>          a task whose end is acknowledged
//	meta/slaves/<agent>/frameworks/<framework>/framework.info
//	meta/slaves/<agent>/frameworks/<framework>/executors/<task>/runs/<container>/task
//
// and beside a task the files of its container, which are the containerizer's.
//
// Every file is written to a temporary name, synced and renamed: a reader sees
// the old or the new one. Ids come from others and become names of folders:
// SafeID says which may.
//
// A Store has no lock: one goroutine of one process uses it.
package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// format is the version of the files. Others are refused.
const format = 1

// Store is the folder.
type Store struct {
	dir string
	// Before, if set, comes before each change; its error is the disk's. For
	// tests of slow and full disks.
	Before func() error
}

// NewStore returns the store in dir, a path this process can open. Nothing is
// made before something is saved.
func NewStore(dir string) *Store { return &Store{dir: dir} }

func (s *Store) before() error {
	if s.Before == nil {
		return nil
	}
	return s.Before()
}

// State is what was remembered.
type State struct {
	Agent      wire.AgentInfo
	Frameworks []wire.FrameworkInfo
	Tasks      []Task
	Ended      []Ended // oldest first
}

// Task is what is remembered of one task until its last update is
// acknowledged.
type Task struct {
	Framework string        `json:"framework"`
	Info      wire.TaskInfo `json:"info"`
	// Container is the id that Mesos gives the container, a UUID.
	Container string `json:"container"`
	// State is the latest state, as the name of the enum.
	State string `json:"state"`
	// Statuses are those told so far, oldest first; Pending those of them
	// that are not acknowledged.
	Statuses []wire.TaskStatus `json:"statuses,omitempty"`
	Pending  []wire.TaskStatus `json:"pending,omitempty"`
	// Killed: its end was asked for. Unhealthy: by its health check.
	Killed    bool `json:"killed,omitempty"`
	Unhealthy bool `json:"unhealthy,omitempty"`
}

// SafeID says whether an id can be the name of a folder. It follows Mesos'
// rule for ids (common validation: no slash, no control character, not . or
// ..) and its limit of 255 bytes.
func SafeID(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= 255 &&
		!strings.ContainsFunc(id, func(r rune) bool { return r == '/' || r == '\\' || r < ' ' || r == 0x7f })
}

// file is the frame of every file.
type file[T any] struct {
	Format int `json:"format"`
	Body   T   `json:"body"`
}

// Load returns the state of the latest agent id; nil if there is none.
func (s *Store) Load() (*State, error) {
	s.sweep()
	id, err := os.Readlink(filepath.Join(s.dir, "slaves", "latest"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find latest agent: %w", err)
	}
	id = filepath.Base(id)
	var st State
	if err := read(filepath.Join(s.agent(id), "slave.info"), &st.Agent); err != nil {
		return nil, err
	}
	if got := st.Agent.V.GetID().GetValue(); got != id {
		return nil, fmt.Errorf("agent in %s calls itself %q", s.agent(id), got)
	}
	infos, err := filepath.Glob(filepath.Join(globSafe(s.agent(id)), "frameworks", "*", "framework.info"))
	if err != nil {
		return nil, err
	}
	for _, name := range infos {
		var f wire.FrameworkInfo
		if err := read(name, &f); err != nil {
			return nil, err
		}
		st.Frameworks = append(st.Frameworks, f)
	}
	tasks, err := filepath.Glob(filepath.Join(globSafe(s.agent(id)), "frameworks", "*", "executors", "*", "runs", "*", "task"))
	if err != nil {
		return nil, err
	}
	for _, name := range tasks {
		var t Task
		if err := read(name, &t); err != nil {
			return nil, err
		}
		st.Tasks = append(st.Tasks, t)
	}
	st.Ended = s.ended(id)
	return &st, nil
}

// SaveAgent remembers the agent, whose ID must be set, as the latest.
func (s *Store) SaveAgent(a wire.AgentInfo) error {
	id := a.V.GetID().GetValue()
	if !SafeID(id) {
		return fmt.Errorf("agent id %q cannot be the name of a folder", id)
	}
	if err := s.write(filepath.Join(s.agent(id), "slave.info"), a); err != nil {
		return err
	}
	temp := filepath.Join(s.dir, "slaves", ".latest")
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(id, temp); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(s.dir, "slaves", "latest"))
}

// SaveFramework remembers a framework of an agent.
func (s *Store) SaveFramework(agent string, f wire.FrameworkInfo) error {
	return s.write(filepath.Join(s.framework(agent, f.V.GetID().GetValue()), "framework.info"), f)
}

// SaveTask remembers a task of an agent.
func (s *Store) SaveTask(agent string, t Task) error {
	return s.write(filepath.Join(s.run(agent, t), "task"), t)
}

// RemoveTask forgets a task, all of it at one instant: a supervisor that comes
// late must not find an order whose claim is gone already.
func (s *Store) RemoveTask(agent string, t Task) error {
	if err := s.before(); err != nil {
		return fmt.Errorf("forget task: %w", err)
	}
	dir := filepath.Dir(filepath.Dir(s.run(agent, t)))
	trash, err := os.MkdirTemp(s.dir, trashPrefix+"*")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever remembered
	} else if err != nil {
		return fmt.Errorf("forget task: %w", err)
	}
	if err = os.Rename(dir, filepath.Join(trash, "task")); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(trash))
}

// sweep removes what a RemoveTask that was killed has left. What it cannot
// remove is in nobody's way.
func (s *Store) sweep() {
	left, _ := filepath.Glob(filepath.Join(globSafe(s.dir), trashPrefix+"*"))
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
}

// trashPrefix begins the names of folders of which nothing is needed.
const trashPrefix = "gone-"

// RemoveFramework forgets a framework with all its tasks.
func (s *Store) RemoveFramework(agent, framework string) error {
	if err := s.before(); err != nil {
		return fmt.Errorf("forget framework: %w", err)
	}
	return os.RemoveAll(s.framework(agent, framework))
}

// Forget drops the agent: the next run starts under a new id.
func (s *Store) Forget(agent string) error {
	if err := s.before(); err != nil {
		return fmt.Errorf("forget agent: %w", err)
	}
	err := os.Remove(filepath.Join(s.dir, "slaves", "latest"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if !SafeID(agent) {
		return err
	}
	return errors.Join(err, os.RemoveAll(s.agent(agent)))
}

// BootID returns the boot id that was saved, or "".
func (s *Store) BootID() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "boot_id"))
	return strings.TrimSpace(string(b))
}

// SaveBootID remembers which boot of the machine this is.
func (s *Store) SaveBootID(id string) error {
	return s.replace(filepath.Join(s.dir, "boot_id"), []byte(id+"\n"))
}

func (s *Store) agent(id string) string { return filepath.Join(s.dir, "slaves", id) }

func (s *Store) framework(agent, id string) string {
	return filepath.Join(s.agent(agent), "frameworks", id)
}

func (s *Store) run(agent string, t Task) string {
	return s.Run(agent, t.Framework, t.Info.V.TaskID.Value, t.Container)
}

// Run is the folder of one container of a task. SaveTask makes it, RemoveTask
// removes it; in between the container's own files may lie in it.
func (s *Store) Run(agent, framework, task, container string) string {
	return filepath.Join(s.framework(agent, framework), "executors", task, "runs", container)
}

// Runs are the folders of all containers under any agent id, also of one that
// Load refuses.
func (s *Store) Runs() ([]string, error) {
	runs, err := filepath.Glob(filepath.Join(globSafe(s.dir), "slaves", "*", "frameworks", "*", "executors", "*", "runs", "*"))
	latest := filepath.Join(s.dir, "slaves", "latest") + "/" // the same ones again
	return slices.DeleteFunc(runs, func(dir string) bool { return strings.HasPrefix(dir, latest) }), err
}

// globSafe escapes a folder's own name for Glob.
func globSafe(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func read[T any](name string, dst *T) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	var f file[T]
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("recover %s: %w", name, err)
	}
	if f.Format != format {
		return fmt.Errorf("recover %s: format %d, this agent knows %d", name, f.Format, format)
	}
	*dst = f.Body
	return nil
}

func (s *Store) write(name string, v any) error {
	b, err := json.Marshal(file[any]{format, v})
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", name, err)
	}
	return s.replace(name, b)
}

// replace returns when the new content is on the disk.
func (s *Store) replace(name string, data []byte) error {
	if err := s.before(); err != nil {
		return fmt.Errorf("checkpoint %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := atomicfile.WriteSynced(name, data, 0o600); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
