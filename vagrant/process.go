package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// drain is how long output is awaited after vagrant has ended: what it left
// running may hold the pipe for ever.
const drain = 5 * time.Second

// maxLog is where vagrant.log starts anew.
const maxLog = 8 << 20

// environment is Vagrant's: whatever the user's shell says about another
// Vagrantfile does not hold here. An empty VAGRANT_LOG crashes Vagrant 2.3.
func environment(dir, provider string) []string {
	var env []string
	for _, e := range os.Environ() {
		if e != "VAGRANT_LOG=" {
			env = append(env, e)
		}
	}
	return append(env, overrides(dir, provider)...)
}

func overrides(dir, provider string) []string {
	return []string{
		"VAGRANT_CWD=" + dir, "VAGRANT_VAGRANTFILE=Vagrantfile", "VAGRANT_DOTFILE_PATH=" + filepath.Join(dir, ".vagrant"),
		"VAGRANT_DEFAULT_PROVIDER=" + provider, "VAGRANT_CHECKPOINT_DISABLE=1",
	}
}

// transcript is what remains of a run: the last lines for people and the
// error that Vagrant named.
type transcript struct {
	tail           []string
	class, message string // of the last error-exit
}

func (t *transcript) add(r record) {
	if r.Kind == "error-exit" {
		t.class, t.message = r.data(0), strings.Join(r.Data[min(1, len(r.Data)):], ",")
		return
	}
	if line := r.progress(); line != "" {
		t.tail = append(t.tail, line)
		t.tail = t.tail[max(0, len(t.tail)-20):]
	}
}

// run runs vagrant with args and calls fn for each line of its output. It is
// not go-vagrant's run, which cannot be followed while it goes on, stops
// reading at a line of 64 KiB, and ends nothing but the outermost process.
func (s *session) run(ctx context.Context, op string, fn func(record), args ...string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	path, err := exec.LookPath("vagrant")
	if err != nil {
		return missing(op, err)
	}
	log, err := openLog(filepath.Join(s.dir, "vagrant.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s vagrant %s\n", time.Now().Format(time.RFC3339), strings.Join(args, " "))
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	defer r.Close()
	cmd := exec.Command(path, append(args, "--machine-readable")...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, environment(s.dir, s.provider), w, w
	ownGroup(cmd)
	ended, err := s.procs.start(cmd.Start, func() { killGroup(cmd.Process) })
	w.Close()
	if errors.Is(err, errKilled) {
		return fmt.Errorf("%s: %w", op, err)
	} else if err != nil {
		return missing(op, err)
	}
	defer ended()
	if err := s.lock.working(cmd.Process.Pid); err != nil {
		killGroup(cmd.Process)
		return errors.Join(err, cmd.Wait())
	}
	defer s.lock.idle()
	var t transcript
	read := make(chan struct{})
	go func() {
		defer close(read)
		// A broken pipe ends the output; the exit code says the rest.
		_ = readLines(r, func(line string) {
			rec := parse(line)
			fmt.Fprintln(log, line)
			t.add(rec)
			fn(rec)
		})
	}()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	err = s.await(ctx, cmd.Process, exited, read)
	r.Close()
	<-read
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	if err != nil || t.class != "" {
		return failure(op, err, t)
	}
	return nil
}

// await returns when vagrant has ended: by itself, or interrupted, or killed.
func (s *session) await(ctx context.Context, p *os.Process, exited <-chan error, read <-chan struct{}) error {
	select {
	case err := <-exited:
		timer := time.NewTimer(drain)
		defer timer.Stop()
		select {
		case <-read:
		case <-timer.C:
		case <-ctx.Done():
		}
		return err
	case <-ctx.Done():
	}
	interruptGroup(p)
	grace := time.NewTimer(s.opts.Grace)
	defer grace.Stop()
	// Vagrant has ended when nobody of its group writes any more.
	select {
	case <-read:
	case <-grace.C:
	}
	killGroup(p)
	return <-exited
}

func openLog(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if st, err := os.Stat(path); err == nil && st.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open vagrant.log: %w", err)
	}
	return f, nil
}

func missing(op string, err error) error {
	return &lab.Error{ID: "vagrant-missing", Op: op, Err: err, Advice: "install Vagrant (vagrantup.com, or your system's package) so that vagrant --version answers, or use --provider local"}
}
