package shell

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/mesoslab/lab/local/terminal"
)

// Config is everything a shell may touch.
type Config struct {
	// Root confines all files; Base is a slash path in it that is the shell's
	// "/" ("" is Root itself).
	Root *os.Root
	Base string
	// Dir is where it starts, an absolute path below the shell's "/".
	Dir string
	// Env holds NAME=value pairs; what a login shell needs is added.
	Env []string
	// User is the name to run as: root, vagrant or any other.
	User     string
	Hostname string
	// Machine answers the commands that are about the machine; nil leaves them
	// without an answer.
	Machine Machine
	// Commands are the programs there are; nil means Standard().
	Commands map[string]Command
	// Stdin may be nil, which is empty. Where it is a *terminal.Terminal, or a
	// reader of one, commands read its keyboard one after the other, and its
	// ctrl-C ends what runs. Stdout and Stderr may be one, too, or lead to one by
	// a method Unwrap() io.Writer.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal is the controlling terminal: /dev/tty, and where $COLUMNS and
	// $LINES come from. Nil means Stdin, if that is one.
	Terminal *terminal.Terminal
	// Login makes an interactive shell greet, and read ~/.profile.
	Login bool
}

// Command is a program of the machine. It returns its exit status and must
// end soon after ctx does.
type Command func(ctx context.Context, p *Proc) int

// Machine is what commands may ask the machine around the shell.
type Machine interface {
	// Info describes the machine.
	Info() Info
	// Processes lists what runs; Sockets what listens.
	Processes() []Process
	Sockets() []Socket
	// Kill signals a process that Processes lists.
	Kill(pid int, sig syscall.Signal) error
	// Service acts on a service (start, stop, restart, reload, status …) as
	// service(8) does and returns its exit status, its output and where it
	// runs the process id, else 0. Unknown services are ErrNoService.
	Service(ctx context.Context, name, verb string) (ServiceResult, error)
	// Dial opens a connection from the machine's address within the lab;
	// "unix" takes an absolute path on the machine.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Info describes a machine as uname, nproc, free and df show it.
type Info struct {
	Boot      time.Time
	IP        string
	SSHPort   int // every machine of the lab has the same
	CPUs      int
	MemoryMiB int64
	DiskMiB   int64
}

// Process is one line of ps.
type Process struct {
	PID     int
	User    string
	Start   time.Time
	Name    string // what comm shows
	Command string // what args shows
	// CPU is the time it has had of all processors, RSS its memory in bytes; 0
	// where that is not known.
	CPU time.Duration
	RSS int64
}

// Socket is one listening socket.
type Socket struct {
	Network string // tcp, unix
	Address string
	Program string
	PID     int
}

// ServiceResult is what became of a service.
type ServiceResult struct {
	Running bool
	PID     int
	// Failed says why it does not run, in the program's own words.
	Failed string
	// Was tells whether it ran before.
	Was bool
	// Since is when it was started, zero where it does not run.
	Since time.Time
}
