// Package folder is what an embedded machine keeps on disk, for the machine
// itself and for the provider that looks at it from outside.
//
// A Folder holds
//
//	machine.json     Settings: who the machine is; written before its first boot
//	state.json       Life: what it is doing, and since when
//	procs.json       Procs: the processes it has started
//	lock             locked by the machine while it lives; pid and start time in it
//	authorized_keys  who may come in by SSH
//	host_key         the machine's own SSH key, host_key.pub the public half
//	network.json     Network: whom the machine shall not hear; gone with a boot
//	heard.json       Heard: which of that is in force
//	log              what the machine has to say
//	root/            its disk
//
// Every file is replaced by rename: whoever is killed at any instant leaves
// the old content or the new. A machine is alive exactly while lock is locked;
// state.json of a dead machine tells how it ended.
package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/internal/proctab"
)

// Names of what lies in a folder.
const (
	SettingsFile   = "machine.json"
	LifeFile       = "state.json"
	ProcsFile      = "procs.json"
	LockFile       = "lock"
	KeysFile       = "authorized_keys"
	HostKeyFile    = "host_key"
	HostKeyPubFile = "host_key.pub"
	LogFile        = "log"
	NetworkFile    = "network.json"
	HeardFile      = "heard.json"
	RootDir        = "root"
)

// EnvMark is the variable that every process of a machine carries, with the
// machine's folder as its value.
const EnvMark = "LAB_MACHINE"

// Format is the version of the files.
const Format = 1

// Folder is the path of a machine's folder; "." for the machine itself.
type Folder string

// Path returns the path of something in the folder.
func (f Folder) Path(name string) string { return filepath.Join(string(f), name) }

// Settings say who a machine is.
type Settings struct {
	Format    int               `json:"format"`
	LabID     string            `json:"lab_id"`
	Name      string            `json:"name"`
	IP        string            `json:"ip"`
	CPUs      int               `json:"cpus"`
	MemoryMiB int64             `json:"memory_mib"`
	DiskMiB   int64             `json:"disk_mib"`
	SSHPort   int               `json:"ssh_port"`
	Hosts     map[string]string `json:"hosts"` // name → address, all machines of the lab
	// AllowOtherUsers opens the ports to other users of the computer,
	// AllowRootCmd lets tasks run commands although root runs the lab; the
	// provider may change it while the machine runs.
	AllowOtherUsers bool `json:"allow_other_users"`
	AllowRootCmd    bool `json:"allow_root_cmd"`
}

// State is what a machine is doing.
type State string

// A machine is Booting until its SSH server listens. Cut and Paused machines
// are frozen; Off ones have ended, Failed ones could not boot.
const (
	Booting State = "booting"
	Running State = "running"
	Paused  State = "paused"
	Cut     State = "cut"
	Off     State = "off"
	Failed  State = "failed"
)

// Life is the content of state.json.
type Life struct {
	State   State      `json:"state"`
	Process proctab.ID `json:"process"`
	Since   time.Time  `json:"since"`
	Problem *Problem   `json:"problem,omitempty"`
}

// Problem is why a machine could not boot: the parts of a lab.Error.
type Problem struct {
	ID     string `json:"id"`
	Op     string `json:"op"`
	Text   string `json:"text"`
	Advice string `json:"advice"`
}

// Proc is a process that a machine has started.
type Proc struct {
	proctab.ID
	Name string    `json:"name"` // the container's
	Argv []string  `json:"argv"`
	At   time.Time `json:"at"`
}

// Network is what is wrong with the machine's network. The provider writes it
// and sends SIGHUP.
type Network struct {
	Version int64    `json:"version"` // of this file
	Cut     []string `json:"cut"`     // addresses from which nothing is heard
}

// Heard is the machine's answer.
type Heard struct {
	Version int64  `json:"version"` // of the Network that is in force
	Problem string `json:"problem,omitempty"`
}

// Network reads network.json; where there is none, nothing is wrong.
func (f Folder) Network() (n Network, err error) {
	if err = f.read(NetworkFile, &n); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return n, err
}

// WriteNetwork writes network.json.
func (f Folder) WriteNetwork(n Network) error { return f.write(NetworkFile, n) }

// Heard reads heard.json; where there is none, nothing was heard.
func (f Folder) Heard() (h Heard, err error) {
	if err = f.read(HeardFile, &h); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return h, err
}

// WriteHeard writes heard.json.
func (f Folder) WriteHeard(h Heard) error { return f.write(HeardFile, h) }

// ForgetNetwork removes both: a boot begins with a network that is whole.
func (f Folder) ForgetNetwork() error {
	for _, name := range []string{NetworkFile, HeardFile} {
		if err := os.Remove(f.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Settings reads machine.json.
func (f Folder) Settings() (Settings, error) {
	var s Settings
	if err := f.read(SettingsFile, &s); err != nil {
		return s, err
	}
	if s.Format != Format {
		return s, fmt.Errorf("%s: format %d is not known to this version of lab", f.Path(SettingsFile), s.Format)
	}
	return s, nil
}

// WriteSettings writes machine.json.
func (f Folder) WriteSettings(s Settings) error {
	s.Format = Format
	return f.write(SettingsFile, s)
}

// Life reads state.json; a machine that never lived is Off.
func (f Folder) Life() (Life, error) {
	var l Life
	err := f.read(LifeFile, &l)
	if errors.Is(err, fs.ErrNotExist) {
		return Life{State: Off}, nil
	}
	return l, err
}

// WriteLife writes state.json; Since is now unless it is set.
func (f Folder) WriteLife(l Life) error {
	if l.Since.IsZero() {
		l.Since = time.Now()
	}
	return f.write(LifeFile, l)
}

// Procs reads procs.json.
func (f Folder) Procs() ([]Proc, error) {
	var p []Proc
	err := f.read(ProcsFile, &p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return p, err
}

// WriteProcs writes procs.json.
func (f Folder) WriteProcs(p []Proc) error { return f.write(ProcsFile, p) }

func (f Folder) read(name string, v any) error {
	text, err := os.ReadFile(f.Path(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("read %s: %w", f.Path(name), err)
	}
	return nil
}

func (f Folder) write(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path(name), err)
	}
	return atomicfile.Write(f.Path(name), append(text, '\n'), 0o600)
}
