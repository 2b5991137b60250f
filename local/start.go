//go:build unix

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/machine"
)

// pollEvery is the pause between two looks at a machine that changes.
const pollEvery = 5 * time.Millisecond

// prepare writes what a machine needs before its first, or next, boot.
func (s site) prepare() error {
	if err := os.MkdirAll(string(s.folder), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	s.sweep()
	spec := s.plan.Spec.WithDefaults()
	public, err := os.ReadFile(s.keyFile() + ".pub")
	if err != nil {
		return fmt.Errorf("key of the lab: %w", err)
	}
	if err := atomicfile.Write(s.folder.Path(folder.KeysFile), public, 0o600); err != nil {
		return err
	}
	if _, _, err := machine.HostKey(s.folder); err != nil {
		return err
	}
	return s.folder.WriteSettings(folder.Settings{ // last: with it the machine exists
		LabID: s.plan.ID, Name: s.node.Name, IP: s.node.IP.String(), CPUs: s.node.CPUs, MemoryMiB: s.node.MemoryMiB, DiskMiB: s.node.DiskMiB,
		SSHPort: spec.Ports.SSH, Hosts: s.hosts(), AllowOtherUsers: spec.Local.AllowOtherUsers, AllowRootCmd: spec.Local.AllowRootCmd,
	})
}

// hosts are the names of the plan's machines.
func (s site) hosts() map[string]string {
	hosts := map[string]string{}
	for _, n := range s.plan.Nodes {
		hosts[n.Name] = n.IP.String()
	}
	return hosts
}

// refresh lets a machine that runs know of machines that were added, of the key
// if that was made anew, and whether root may run commands.
func (s site) refresh() error {
	public, err := os.ReadFile(s.keyFile() + ".pub")
	if err != nil {
		return fmt.Errorf("key of the lab: %w", err)
	}
	if known, err := os.ReadFile(s.folder.Path(folder.KeysFile)); err != nil || !bytes.Equal(known, public) {
		if err := atomicfile.Write(s.folder.Path(folder.KeysFile), public, 0o600); err != nil {
			return err
		}
	}
	settings, err := s.folder.Settings()
	if err != nil {
		return fmt.Errorf("%s: %w", s.node.Name, err)
	}
	allow := s.plan.Spec.Local.AllowRootCmd
	if maps.Equal(settings.Hosts, s.hosts()) && settings.AllowRootCmd == allow {
		return nil
	}
	settings.Hosts, settings.AllowRootCmd = s.hosts(), allow
	return s.folder.WriteSettings(settings)
}

// sweep removes half-written files of a machine that was killed.
func (s site) sweep() {
	temps, _ := filepath.Glob(s.folder.Path(".*.*"))
	for _, name := range temps {
		_ = os.Remove(name) // what stays harms nobody
	}
}

// start boots a machine that is off and returns when it is up.
func (p *Provider) start(ctx context.Context, s site, binary func() (string, error), wait func(string)) error {
	if err := s.kill(ctx); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return fmt.Errorf("%s: %w", s.node.Name, err)
	}
	if err := s.reconnect(); err != nil {
		return err
	}
	if err := s.checkPorts(ctx); err != nil {
		return err
	}
	program, err := binary()
	if err != nil {
		return err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.node.Name, err)
	}
	wait("the machine's SSH server")
	ended, id, err := p.spawn(ctx, s, program, lock)
	lock.Close()
	if err != nil {
		return fmt.Errorf("%s: start machine: %w", s.node.Name, err)
	}
	return s.awaitBoot(ctx, closed(ended), func(l folder.Life) bool { return l.Process.PID == id })
}

// lock takes the machine's lock. Somebody who only looks at it holds it for a
// moment.
func (s site) lock(ctx context.Context) (lock *os.File, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = lab.Until(ctx, pollEvery, "the machine's lock", func(context.Context) error {
		var err error
		if lock, err = s.folder.Lock(); err != nil && !errors.Is(err, folder.ErrLocked) {
			return lab.Permanent(err)
		}
		return err
	})
	return lock, err
}

// spawn starts the machine's process in a session of its own, with nothing of
// this process but the lock.
func (p *Provider) spawn(ctx context.Context, s site, binary string, lock *os.File) (ended <-chan struct{}, pid int, err error) {
	logFile, err := os.OpenFile(s.folder.Path(folder.LogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	defer logFile.Close()
	// The first extra file becomes descriptor 3.
	args, files := []string{"machine", "run", "--lock-fd", "3"}, []*os.File{lock}
	if p.opts.DieWithFD != nil {
		args, files = append(args, "--die-with-fd", "4"), append(files, p.opts.DieWithFD)
	}
	args = append(args, string(s.folder))
	var cmd *exec.Cmd
	err = lab.Until(ctx, 20*time.Millisecond, "the binary to be closed by everybody who wrote it", func(context.Context) error {
		cmd = exec.Command(binary, args...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = string(s.folder), s.environ(), logFile, logFile, files
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := s.within(cmd.Start); err != nil && !errors.Is(err, syscall.ETXTBSY) {
			return lab.Permanent(err)
		} else if err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	done := make(chan struct{})
	go func() {
		// How it ended stands in its log and its state.
		_ = cmd.Wait()
		close(done)
	}()
	return done, cmd.Process.Pid, nil
}

// environ is a machine's whole environment.
func (s site) environ() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", folder.EnvMark + "=" + string(s.folder)}
	for _, key := range []string{"HOME", "LANG", "TZ", "GOCOVERDIR", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return env
}

// bootTimeout bounds the start of a process, and of the containers that come
// back by themselves.
const bootTimeout = 60 * time.Second

// closed reports whether a channel is.
func closed(ch <-chan struct{}) func() bool {
	return func() bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
}

// awaitBoot waits until the machine's life that ours accepts is running; ended
// says that its process is gone.
func (s site) awaitBoot(ctx context.Context, ended func() bool, ours func(folder.Life) bool) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	return lab.Until(ctx, pollEvery, s.node.Name+" to boot", func(context.Context) error {
		over := ended()
		life, err := s.folder.Life()
		switch {
		case err != nil:
			return lab.Permanent(err)
		case ours(life) && life.State == folder.Running && !over:
			return nil
		case ours(life) && life.State == folder.Failed:
			return lab.Permanent(s.bootError(life.Problem))
		case over:
			return lab.Permanent(&lab.Error{
				ID: "machine-boot", Op: "boot", Machine: s.node.Name, Err: fmt.Errorf("the machine's process ended: %s", s.logTail()),
				Advice: "its log is " + s.folder.Path(folder.LogFile),
			})
		}
		return fmt.Errorf("machine is %s", life.State)
	})
}

// bootError is what the machine itself says about its failure.
func (s site) bootError(p *folder.Problem) error {
	e := &lab.Error{ID: "machine-boot", Op: "boot", Machine: s.node.Name, Err: errors.New("no reason given"), Advice: "its log is " + s.folder.Path(folder.LogFile)}
	if p == nil {
		return e
	}
	e.ID, e.Op, e.Err = p.ID, p.Op, errors.New(p.Text)
	if p.Advice != "" {
		e.Advice = p.Advice
	}
	if taken := s.checkPorts(context.Background()); taken != nil {
		return taken // it can say who and where
	}
	return e
}

// logTail is the last line of the machine's log.
func (s site) logTail() string {
	f, err := os.Open(s.folder.Path(folder.LogFile))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if i, err := f.Stat(); err == nil && i.Size() > 4096 {
		_, _ = f.Seek(-4096, io.SeekEnd) // else all of it is read
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return all[len(all)-1]
}

// kill ends every process of the machine, of this life and of earlier ones,
// and waits until the lock is free. The machine and the processes that it has
// recorded stand still from the first moment: they start nothing and react to
// nobody's death, and still adopt whoever loses its parent, so that nobody is
// lost on the way. The machine is ended last.
func (s site) kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	own := s.own()
	procs, _ := s.folder.Procs() // without a record the mark has to do
	roots := slices.Clone(own)
	for _, p := range procs {
		roots = append(roots, p.ID)
	}
	for _, id := range roots {
		if err := id.Signal(syscall.SIGSTOP); err != nil && !errors.Is(err, proctab.ErrGone) {
			return fmt.Errorf("%s: stop process %d: %w", s.node.Name, id.PID, err)
		}
	}
	order := []func() []proctab.ID{
		func() []proctab.ID { return without(s.remains(), own) },
		func() []proctab.ID { return own },
	}
	if !slices.ContainsFunc(own, func(id proctab.ID) bool { return id.State() != proctab.Gone }) {
		// Supervisors are the last who adopt.
		order = slices.Insert(order, 0, func() []proctab.ID { return below(roots) })
	}
	for _, find := range order {
		if err := proctab.Kill(ctx, find); err != nil {
			return fmt.Errorf("%s: end processes: %w", s.node.Name, err)
		}
	}
	return lab.Until(ctx, pollEvery, s.node.Name+"'s lock to be free", func(context.Context) error {
		alive, err := s.folder.Alive()
		if err != nil {
			return lab.Permanent(err)
		}
		if alive {
			id, _ := s.folder.Holder()
			return errors.New("it is held, last by process " + strconv.Itoa(id.PID))
		}
		return nil
	})
}

// makeKey makes the key that opens the lab's machines, once.
func makeKey(file string) error {
	_, errPrivate := os.Stat(file)
	_, errPublic := os.Stat(file + ".pub")
	if errPrivate == nil && errPublic == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	if errPrivate == nil {
		return publish(file) // killed between the two files
	}
	text, _, err := machine.NewKey("lab")
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	if err := atomicfile.Write(file, text, 0o600); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	return publish(file)
}

// attach waits for a boot that somebody else began.
func (s site) attach(ctx context.Context, id proctab.ID) error {
	return s.awaitBoot(ctx, func() bool { return id.State() == proctab.Gone }, func(l folder.Life) bool { return l.Process == id })
}
