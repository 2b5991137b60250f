//go:build unix

package supervise

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// Run is the supervisor's main function: args is the order's file, environ its
// own environment. It must be called from the main goroutine of a process of
// its own, whose children it reaps. It returns the exit code.
func Run(args, environ []string, stderr io.Writer) int {
	// The parent death signal means the parent's thread: this one is never
	// given back and ends with the process.
	runtime.LockOSThread()
	if len(args) != 1 {
		fmt.Fprintln(stderr, "usage: lab mini supervise ORDER   (started by lab, with a pipe on descriptor 3)")
		return 2
	}
	code, err := run(args[0], environ)
	if err != nil {
		fmt.Fprintf(stderr, "lab mini supervise: %v\n", err)
	}
	return code
}

func run(file string, environ []string) (int, error) {
	control, err := openControl()
	if err != nil {
		return 2, err
	}
	o, err := ReadOrder(file)
	if err != nil {
		return 2, err
	}
	// Handled signals have their default meaning again in the command, also
	// those that whoever started us ignores.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	if err := becomeSubreaper(); err != nil {
		return 1, err
	}
	self, err := proctab.Self()
	if err != nil {
		return 1, err
	}
	if err := Claim(o.Claim, self); err != nil {
		return 1, err
	}
	pid, err := o.start(environ)
	if err != nil {
		r := Result{Failed: err.Error()}
		return r.Code(), errors.Join(err, WriteResult(o.Result, r))
	}
	r := o.supervise(pid, listen(control, o.Grace), signals)
	return r.Code(), WriteResult(o.Result, r)
}

// openControl takes the pipe of whoever started this process.
func openControl() (*os.File, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(ControlFD, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return nil, fmt.Errorf("descriptor %d is no pipe: the supervisor is started by lab only", ControlFD)
	}
	syscall.CloseOnExec(ControlFD)
	if err := wakeWhenClosed(ControlFD); err != nil {
		return nil, err
	}
	return os.NewFile(ControlFD, "control"), nil
}

// listen tells how much grace each stop on the pipe gives; the last one is the
// pipe's end.
func listen(control io.Reader, grace time.Duration) <-chan time.Duration {
	stops := make(chan time.Duration)
	go func() {
		lines := bufio.NewScanner(control)
		for lines.Scan() {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			if d, err := time.ParseDuration(rest); word == "stop" && err == nil {
				stops <- d
			}
		}
		stops <- grace
	}()
	return stops
}

// start starts the command in a session of its own.
func (o Order) start(environ []string) (pid int, err error) {
	attr := &syscall.SysProcAttr{Setsid: true}
	dieWithParent(attr)
	files := []*os.File{nil, nil, nil}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for i, name := range []string{os.DevNull, o.Stdout, o.Stderr} {
		flags := os.O_RDONLY
		if i > 0 {
			flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
		}
		if files[i], err = os.OpenFile(name, flags, 0o644); err != nil {
			return 0, err
		}
	}
	if o.User != "" {
		if attr.Credential, err = credential(o.User); err != nil {
			return 0, err
		}
	}
	if c := attr.Credential; c != nil {
		for _, name := range []string{o.Dir, o.Stdout, o.Stderr} {
			if err := os.Chown(name, int(c.Uid), int(c.Gid)); err != nil {
				return 0, err
			}
		}
	}
	env := marked(o.Environ, environ)
	path, err := lookPath(o.Path, env)
	if err != nil {
		return 0, err
	}
	p, err := os.StartProcess(path, o.Argv, &os.ProcAttr{Dir: o.Dir, Env: env, Files: files, Sys: attr})
	if err != nil {
		return 0, err
	}
	pid = p.Pid
	return pid, p.Release() // reap waits for it
}

// marked adds the marks of this process to an environment, in place of any
// that it has.
func marked(env, own []string) []string {
	out := slices.Clone(env)
	for _, key := range []string{envMachine, EnvContainer} {
		mine := func(kv string) bool { return strings.HasPrefix(kv, key+"=") }
		if i := slices.IndexFunc(own, mine); i >= 0 {
			out = append(slices.DeleteFunc(out, mine), own[i])
		}
	}
	return out
}

// lookPath finds a program as execvp(3) does, with the command's own PATH.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	dirs := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			dirs = v
		}
	}
	for _, dir := range filepath.SplitList(dirs) {
		full := filepath.Join(dir, name)
		if i, err := os.Stat(full); err == nil && filepath.IsAbs(full) && i.Mode().IsRegular() && i.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s: no such program in PATH=%s", name, dirs)
}

// Owner tells whom a user's files belong to, and whether that is another than
// this process's user. "" is this one.
func Owner(name string) (uid, gid int, other bool, err error) {
	if name == "" {
		return os.Geteuid(), os.Getegid(), false, nil
	}
	c, err := credential(name)
	if err != nil || c == nil {
		return os.Geteuid(), os.Getegid(), false, err
	}
	return int(c.Uid), int(c.Gid), true, nil
}

// credential is what the kernel needs to run something as a user; nil for the
// user that this is.
func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
	}
	uid, errU := strconv.ParseUint(u.Uid, 10, 32)
	gid, errG := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errU, errG); err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	switch own := os.Geteuid(); {
	case int(uid) == own:
		return nil, nil
	case own != 0:
		return nil, fmt.Errorf("user %s: only root can run commands as another user", name)
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", name, err)
	}
	for _, g := range groups {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(id))
		}
	}
	return c, nil
}
