//go:build linux

package dockerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// namespaces are those that the engine has for itself.
const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS

// Variables between the processes of one test binary.
const (
	envFirst = "LAB_TEST_DOCKERD_FIRST" // folder: be the first process there
	envHost  = "LAB_TEST_DOCKERD_HOST"  // unix://…: we are inside
	envDir   = "LAB_TEST_DOCKERD_DIR"   // the working directory there
	envData  = "LAB_TEST_DOCKER_DATA"   // the user's: where data are kept
)

// dirPattern names the folders of engines; a control group has the same name.
const dirPattern = "lab-engine-"

// startWait bounds the start of dockerd, which takes a second.
const startWait = 2 * time.Minute

// outside is a running engine, seen from outside its namespaces.
type outside struct {
	dir   string
	first *exec.Cmd
	life  *os.File // the end of this pipe ends the engine
	ended chan struct{}
}

func (o *outside) host() string { return "unix://" + filepath.Join(o.dir, "docker.sock") }
func (o *outside) log() string  { return filepath.Join(o.dir, "log") }

// one is the engine of this process, once it was asked for.
var one struct {
	sync.Mutex
	engine *outside
	err    error
	asked  bool
}

// get starts the engine at the first call; prepare is done once, too.
func get(ctx context.Context, prepare func(ctx context.Context, host string) error) (*outside, error) {
	one.Lock()
	defer one.Unlock()
	if one.asked {
		return one.engine, one.err
	}
	one.asked = true
	if one.engine, one.err = begin(ctx); one.err == nil && prepare != nil {
		one.err = prepare(ctx, one.engine.host())
	}
	return one.engine, one.err
}

// begin makes the folder, starts the first process and waits for the engine.
func begin(ctx context.Context) (*outside, error) {
	dir, lock, err := newDir()
	if err != nil {
		return nil, fmt.Errorf("make the engine's folder: %w", err)
	}
	defer lock.Close() // the first process keeps it
	data, dataLock, err := dataFolder(ctx, dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find a place for the engine's data: %w", err), os.RemoveAll(dir))
	}
	defer dataLock.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	end, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer end.Close()
	o := &outside{dir: dir, life: life, ended: make(chan struct{})}
	o.first = exec.Command("/proc/self/exe")
	o.first.Args[0] = "lab-test-engine"
	o.first.Env = append(os.Environ(), envFirst+"="+dir, envData+"="+data)
	o.first.Stdin, o.first.Stdout, o.first.Stderr = end, log, log
	o.first.ExtraFiles = []*os.File{lock, dataLock}
	o.first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true}
	if err := o.first.Start(); err != nil {
		life.Close()
		return nil, fmt.Errorf("start the engine's first process: %w", err)
	}
	go func() {
		o.first.Wait()
		close(o.ended)
	}()
	if err := o.await(ctx); err != nil {
		text, _ := os.ReadFile(o.log())
		return nil, errors.Join(fmt.Errorf("%w; it said:\n%s", err, text[max(0, len(text)-4000):]), o.stop())
	}
	return o, nil
}

// newDir sweeps away what dead engines have left, and makes a locked folder.
func newDir() (string, *os.File, error) {
	gate, err := os.OpenFile(filepath.Join(os.TempDir(), "lab-engines.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	defer gate.Close()
	if err := unix.Flock(int(gate.Fd()), unix.LOCK_EX); err != nil {
		return "", nil, err
	}
	if err := sweep(); err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", dirPattern)
	if err != nil {
		return "", nil, err
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return "", nil, err
	}
	return dir, lock, unix.Flock(int(lock.Fd()), unix.LOCK_EX)
}

// sweep removes folders and control groups of engines whose first process was
// killed: nobody holds their lock, and all their processes died with it.
func sweep() error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), dirPattern+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		lock, err := os.Open(filepath.Join(dir, "lock"))
		if err == nil {
			err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
			lock.Close()
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := errors.Join(removeCgroups(filepath.Base(dir)), os.RemoveAll(dir)); err != nil {
			return fmt.Errorf("sweep away %s: %w", dir, err)
		}
	}
	return nil
}

// dataFolder returns where the engine keeps its data, and a lock on it.
func dataFolder(ctx context.Context, dir string) (string, *os.File, error) {
	data := os.Getenv(envData)
	if data == "" {
		data = filepath.Join(dir, "data")
	}
	data, err := filepath.Abs(data)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", nil, err
	}
	lock, err := os.OpenFile(filepath.Join(data, "lab-engine.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	err = lab.Until(ctx, 200*time.Millisecond, "another engine to leave "+data, func(context.Context) error {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return lab.Permanent(err)
		}
		return err
	})
	return data, lock, err
}

// await returns when the engine answers and is empty but for its images.
func (o *outside) await(ctx context.Context) error {
	c, err := client.New(client.WithHost(o.host()))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	err = lab.Until(ctx, 50*time.Millisecond, "dockerd", func(ctx context.Context) error {
		select {
		case <-o.ended:
			return lab.Permanent(errors.New("dockerd ended"))
		default:
		}
		_, err := c.Ping(ctx, client.PingOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return purge(ctx, c)
}

// purge removes containers, volumes and networks that a killed run has left
// in kept data.
func purge(ctx context.Context, c *client.Client) error {
	containers, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return err
	}
	for _, x := range containers.Items {
		if _, err := c.ContainerRemove(ctx, x.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			return err
		}
	}
	volumes, err := c.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return err
	}
	for _, v := range volumes.Items {
		if _, err := c.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil {
			return err
		}
	}
	networks, err := c.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return err
	}
	for _, n := range networks.Items {
		if builtin(n.Name) {
			continue
		}
		if _, err := c.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the engine and returns when nothing is left of it.
func (o *outside) stop() error {
	o.life.Close()
	<-o.ended // it bounds itself
	if _, err := os.Lstat(o.dir); err == nil {
		text, _ := os.ReadFile(o.log())
		return fmt.Errorf("the engine has left %s; it said:\n%s", o.dir, text[max(0, len(text)-4000):])
	}
	return nil
}

// Main runs the tests of a package that uses this one, and ends the engine
// after them. It belongs into TestMain: it is also where the engine's first
// process begins.
func Main(m *testing.M) int {
	if dir := os.Getenv(envFirst); dir != "" {
		return runFirst(dir, os.Getenv(envData))
	}
	if dir := os.Getenv(envDir); dir != "" {
		if err := os.Chdir(dir); err != nil { // nsenter begins at the top
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code := m.Run()
	one.Lock()
	defer one.Unlock()
	if one.engine != nil {
		if err := one.engine.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(code, 1)
		}
	}
	return code
}

// pid is the first process, as nsenter wants it.
func (o *outside) pid() string { return strconv.Itoa(o.first.Process.Pid) }
