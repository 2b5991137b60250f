package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/supervise"
)

// volume is a persistent volume: a folder that outlives the tasks that use it,
// removed when the master says that it is no more.
type volume struct {
	role, id string
	dir      string // as the container of the agent sees paths
	where    string // in a task's sandbox
}

// volumes are those among resources, of ids that can be names of folders.
func (a *agent) volumes(list []mesos.Resource) (out []volume) {
	for i := range list {
		r := &list[i]
		p := r.GetDisk().GetPersistence()
		if p == nil {
			continue
		}
		role := r.GetRole()
		if len(r.Reservations) > 0 { // the later form
			role = r.Reservations[0].GetRole()
		}
		if !meta.SafeID(role) || !meta.SafeID(p.ID) {
			a.log.warningf("Ignoring volume %q of role %q: it cannot be the name of a folder", p.ID, role)
			continue
		}
		out = append(out, volume{
			role: role, id: p.ID, where: r.Disk.GetVolume().GetContainerPath(),
			dir: path.Join(a.volumesDir(), "roles", role, p.ID), // as the real one lays them out
		})
	}
	return out
}

func (a *agent) volumesDir() string { return path.Join(a.cfg.WorkDir, "volumes") }

// added are those of now that were not before.
func added(before, now []volume) []volume {
	return slices.DeleteFunc(slices.Clone(now), func(v volume) bool {
		return slices.ContainsFunc(before, func(b volume) bool { return b.dir == v.dir })
	})
}

// makeVolume makes an empty one: what an agent that ended too early has left of
// one of this id is removed.
func (a *agent) makeVolume(v volume) error {
	if err := a.discardVolume(v.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(a.env.Path(v.dir), 0o755); err != nil {
		return fmt.Errorf("make volume %s: %w", v.id, err)
	}
	a.log.infof("Made volume %s of role %s", v.id, v.role)
	return nil
}

// volumeTrash begins the names of folders, in that of volumes, that are being
// removed.
const volumeTrash = "gone-"

// discardVolume takes a volume's folder away at one instant, and removes it in
// the background. One that is not there is no error.
func (a *agent) discardVolume(dir string) error {
	if _, err := os.Lstat(a.env.Path(dir)); os.IsNotExist(err) {
		return nil
	}
	trash, err := os.MkdirTemp(a.env.Path(a.volumesDir()), volumeTrash+"*")
	if err == nil {
		err = os.Rename(a.env.Path(dir), filepath.Join(trash, "data"))
	}
	if err != nil {
		return fmt.Errorf("remove volume: %w", err)
	}
	a.sweep(trash)
	return nil
}

func (a *agent) sweep(trash string) {
	a.spawn(func() {
		if err := os.RemoveAll(trash); err != nil {
			a.log.warningf("Failed to remove volume: %v", err)
		}
	})
}

// recoverVolumes finds the volumes of an earlier run, and goes on with the
// removals that it did not finish.
func (a *agent) recoverVolumes() error {
	entries, err := os.ReadDir(a.env.Path(a.volumesDir()))
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("recover volumes: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), volumeTrash) {
			a.sweep(filepath.Join(a.env.Path(a.volumesDir()), e.Name()))
		}
	}
	for _, v := range a.volumes(a.reserved) {
		if _, err := os.Stat(a.env.Path(v.dir)); !os.IsNotExist(err) {
			continue
		}
		a.log.warningf("Volume %s of role %s is gone from %s; it starts again empty", v.id, v.role, v.dir)
		if err := os.MkdirAll(a.env.Path(v.dir), 0o755); err != nil {
			return fmt.Errorf("recover volume %s: %w", v.id, err)
		}
	}
	return nil
}

// mountsOf are a task's volumes for its docker container.
func (a *agent) mountsOf(t *task) (out []docker.Mount) {
	for _, v := range a.volumes(t.info.Resources) {
		out = append(out, docker.Mount{Source: v.dir, Target: v.where})
	}
	return out
}

// linkable says why volumes cannot be links in a command's sandbox. Where the
// real one's posix isolator warns and leaves a volume out, this one refuses:
// a task without its data is no use.
func linkable(list []volume) error {
	for _, v := range list {
		if strings.Contains(v.where, "/") {
			return fmt.Errorf("volume %s: the container path '%s' contains slash; without a container it can only be a name in the sandbox", v.id, v.where)
		}
		if v.where == "" || v.where == "." || v.where == ".." || v.where == "stdout" || v.where == "stderr" {
			return fmt.Errorf("volume %s: '%s' cannot be a name in the sandbox", v.id, v.where)
		}
	}
	return nil
}

// linkVolumes puts links to the task's volumes into its sandbox and makes them
// the user's, as the real one's posix isolator does.
func (c *command) linkVolumes() error {
	list := c.a.volumes(c.t.info.Resources)
	if len(list) == 0 {
		return nil
	}
	uid, gid, other, err := supervise.Owner(c.order.User)
	if err != nil {
		return err
	}
	for _, v := range list {
		dir, err := absolute(c.a.env.Path(v.dir))
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.id, err)
		}
		if err := os.Symlink(dir, filepath.Join(c.order.Dir, v.where)); err != nil {
			return fmt.Errorf("volume %s: %w", v.id, err)
		}
		if !other {
			continue
		}
		err = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(name, uid, gid)
		})
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.id, err)
		}
	}
	return nil
}
