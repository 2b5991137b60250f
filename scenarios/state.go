package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// stateful is what a run knows about apps that count in a file of their slave.
type stateful struct {
	files map[string]string // the counter's path on the machine, by app
}

// ownData are the folders in which apps of lab's own keep something: the only
// ones that a run removes.
var ownData = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^/var/lib/lab-[a-z]+$`) })

// counterFile is where an app counts, as its machine sees it: the file that its
// environment names, in a volume of the host.
func counterFile(app []byte) (string, bool) {
	var d struct {
		Env       map[string]any
		Container struct {
			Volumes []struct{ ContainerPath, HostPath string }
		}
	}
	if json.Unmarshal(app, &d) != nil {
		return "", false
	}
	file, _ := d.Env["LAB_WEB_COUNTER"].(string)
	for _, v := range d.Container.Volumes {
		if rest, ok := strings.CutPrefix(file, v.ContainerPath+"/"); ok && path.IsAbs(v.HostPath) {
			return path.Join(v.HostPath, rest), true
		}
	}
	return "", false
}

// brought remembers where an app counts. One of lab's own begins at nothing,
// whatever an earlier run has left.
func (s *stateful) brought(ctx context.Context, r *run, app AppFile) error {
	file, ok := counterFile(app.JSON)
	if !ok {
		return nil
	}
	if s.files == nil {
		s.files = map[string]string{}
	}
	s.files[app.ID] = file
	return s.forget(ctx, r, app.ID)
}

// forget removes what an app of lab's own has counted, on every slave. Data of
// others stay.
func (s *stateful) forget(ctx context.Context, r *run, app string) error {
	folder := path.Dir(s.files[app])
	if !ownData().MatchString(folder) {
		return nil
	}
	var errs []error
	for _, m := range r.slaves() {
		if err := r.lab.Forget(ctx, m.Name, folder); err != nil {
			errs = append(errs, fmt.Errorf("remove %s on %s: %w", folder, m.Name, err))
		}
	}
	return errors.Join(errs...)
}

// onDisk reads what an app's file on a machine says.
func (r *run) onDisk(ctx context.Context, app, node string) (int64, error) {
	data, err := r.lab.File(ctx, node, r.state.files[app])
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("there is no %s on %s", r.state.files[app], node) // yet: no reason to give up
	}
	if err != nil {
		return 0, fmt.Errorf("read %s on %s: %v", r.state.files[app], node, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s on %s says %q, which is no number", r.state.files[app], node, data)
	}
	return n, nil
}

// counted is what clients heard a task count: from where, and how far.
func (r *run) counted(task string) (first, last int64) {
	for _, a := range r.probe.Answers() {
		if a.Task != task || a.Count == 0 {
			continue
		}
		if first == 0 || a.Count < first {
			first = a.Count
		}
		last = max(last, a.Count)
	}
	return first, last
}

// onlyTask is the task of an app that counts: it runs, it is the only one, and
// it was launched after the last change.
func (r *run) onlyTask(since time.Time) (TaskHistory, error) {
	app, err := r.current(0)
	if err != nil {
		return TaskHistory{}, err
	}
	if len(app.Tasks) != 1 {
		return TaskHistory{}, lab.Permanent(fmt.Errorf("%d instances run: with one counter each, none has all", len(app.Tasks)))
	}
	t := r.history.Task(app.Tasks[0].ID)
	if t.Seen.Before(since) {
		return t, fmt.Errorf("%s is from before the change", t.Name)
	}
	return t, nil
}

// predecessor is the task that was seen last before another one.
func (r *run) predecessor(t TaskHistory) (TaskHistory, error) {
	var before TaskHistory
	for _, o := range r.history.Tasks() {
		if o.ID == t.ID {
			break
		}
		before = o
	}
	if before.ID == "" {
		return before, fmt.Errorf("there was no task before %s", t.Name)
	}
	return before, nil
}

// OwnData lists the folders of machines in which apps of lab's own keep
// something: what a run that was killed may have left.
func OwnData() []string {
	var out []string
	for _, name := range appNames() {
		app, err := loadApp(name)
		if err != nil {
			continue // a test reads them all
		}
		file, ok := counterFile(app.JSON)
		if folder := path.Dir(file); ok && ownData().MatchString(folder) && !slices.Contains(out, folder) {
			out = append(out, folder)
		}
	}
	return out
}
