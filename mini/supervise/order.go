package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/internal/proctab"
)

// EnvContainer is the variable that marks the processes of one supervisor with
// the name it was started under; envMachine marks those of an embedded machine.
// The command inherits both.
const (
	EnvContainer = "LAB_CONTAINER"
	envMachine   = "LAB_MACHINE"
)

// ControlFD is the descriptor on which a supervisor finds its pipe.
const ControlFD = 3

// DefaultGrace is how long descendants may take to end after SIGTERM where
// nobody says otherwise: the command executor's (Mesos 1.3, executor.cpp).
const DefaultGrace = 3 * time.Second

// Order says what to run. All paths are absolute and mean this process's own
// file system.
type Order struct {
	// Path is the program, looked up in the PATH of Environ if it has no slash;
	// Argv are its arguments from argv[0] on.
	Path string   `json:"path"`
	Argv []string `json:"argv"`
	// Environ is the whole environment, NAME=value.
	Environ []string `json:"environ"`
	Dir     string   `json:"dir"`
	// User is a name or number; "" stays with the supervisor's. Dir and the
	// output files become that user's.
	User string `json:"user,omitempty"`
	// Stdout and Stderr are appended to; they may be the same file.
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	// Claim and Result are written by the supervisor.
	Claim  string `json:"claim"`
	Result string `json:"result"`
	// Grace is for ends that name none: the command's own, the pipe's, SIGTERM.
	Grace time.Duration `json:"grace"`
	// MemoryLimit is how many bytes the command and its descendants may have in
	// memory that they do not share with files; 0 is no limit. More, at one of
	// the looks that are taken, is their end by SIGKILL.
	MemoryLimit uint64 `json:"memory_limit,omitempty"`
}

// Write writes the order to a file that only this user reads: environments
// hold secrets.
func (o Order) Write(name string) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("write order: %w", err)
	}
	return atomicfile.Write(name, data, 0o600)
}

// ReadOrder reads what Write wrote.
func ReadOrder(name string) (Order, error) {
	var o Order
	data, err := os.ReadFile(name)
	if err != nil {
		return o, fmt.Errorf("read order: %w", err)
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, fmt.Errorf("read order %s: %w", name, err)
	}
	if o.Path == "" || len(o.Argv) == 0 {
		return o, fmt.Errorf("read order %s: it names no program", name)
	}
	for _, p := range []string{o.Dir, o.Stdout, o.Stderr, o.Claim, o.Result} {
		if !filepath.IsAbs(p) {
			return o, fmt.Errorf("read order %s: %q is no absolute path", name, p)
		}
	}
	return o, nil
}

// Result is how a command ended, once none of its descendants lives.
type Result struct {
	// Failed says why the command could not be started; the rest is then 0.
	Failed string `json:"failed,omitempty"`
	// Exit is its exit status, Signal the number of the signal that ended it.
	Exit   int  `json:"exit"`
	Signal int  `json:"signal,omitempty"`
	Core   bool `json:"core,omitempty"` // dumped
	// Memory is how many bytes there were when that was over Order.MemoryLimit,
	// which ended it; else 0.
	Memory uint64 `json:"memory,omitempty"`
}

// Code is the shell's: 127 for a command that could not be started, 128+n
// after signal n.
func (r Result) Code() int {
	switch {
	case r.Failed != "":
		return 127
	case r.Signal != 0:
		return 128 + r.Signal
	}
	return r.Exit
}

// String speaks as Mesos' WSTRINGIFY does: "exited with status 3", "terminated
// with signal Killed".
func (r Result) String() string {
	switch {
	case r.Failed != "":
		return "could not be started: " + r.Failed
	case r.Signal == 0:
		return fmt.Sprintf("exited with status %d", r.Exit)
	}
	text := syscall.Signal(r.Signal).String() // strsignal's words, but in lower case
	text = "terminated with signal " + strings.ToUpper(text[:1]) + text[1:]
	if r.Core {
		text += " (core dumped)"
	}
	return text
}

// WriteResult writes the result by rename.
func WriteResult(name string, r Result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return atomicfile.Write(name, data, 0o600)
}

// ReadResult reads a result. fs.ErrNotExist means that the supervisor has not
// ended, or was ended itself.
func ReadResult(name string) (Result, error) {
	var r Result
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read result: %w", err)
	}
	return r, nil
}

// ErrClaimed says that somebody else has the order.
var ErrClaimed = errors.New("the order is another's")

// Claim makes id the owner of an order, for ever. The zero ID gives the order
// up: no supervisor will carry it out any more.
func Claim(name string, id proctab.ID) error {
	data, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("claim order: %w", err)
	}
	temp, err := temporary(name, data)
	if err != nil {
		return fmt.Errorf("claim order: %w", err)
	}
	defer os.Remove(temp)
	// Unlike a rename a link never replaces, and comes with its content.
	if err := os.Link(temp, name); errors.Is(err, fs.ErrExist) {
		return ErrClaimed
	} else if err != nil {
		return fmt.Errorf("claim order: %w", err)
	}
	return nil
}

// Claimed tells who has claimed an order; fs.ErrNotExist if nobody has.
func Claimed(name string) (proctab.ID, error) {
	var id proctab.ID
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &id)
	}
	if err != nil {
		return id, fmt.Errorf("read claim: %w", err)
	}
	return id, nil
}

// temporary writes a new file beside name.
func temporary(name string, data []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
