package stack

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// forgetCommand prints where the link leads that names the slave as which a new
// slave process would go on, and removes it; a missing link is fine.
func forgetCommand(workDir string) string {
	link := workDir + "/meta/slaves/latest"
	return "readlink " + link + " 2>/dev/null; if [ \"$(id -u)\" = 0 ]; then rm -f " + link + "; else sudo -n rm -f " + link + "; fi"
}

// forgetSlave lets a slave with a new definition register as a new one: Mesos
// ends the process if it recovers with other resources or attributes, and
// names this link as the cure (seed.md, fault 18). The tasks of the forgotten
// slave end with it; their containers, which carry its id in their names,
// would go on without anybody who knows them.
func (r *run) forgetSlave(ctx context.Context, c Container) error {
	m := r.machines[c.Node]
	if c.Ready != GateSlave || m.Shell == nil {
		return nil
	}
	out, err := m.Shell.Run(ctx, forgetCommand(r.platform.workDir()), nil)
	if err != nil {
		return fmt.Errorf("%s: forget the old slave: %w", c.Node, err)
	}
	id := path.Base(strings.TrimSpace(string(out)))
	if len(out) == 0 || id == "." || id == "/" {
		return nil
	}
	found, err := list(ctx, m.Docker)
	if err != nil {
		return fmt.Errorf("%s: list containers: %w", c.Node, err)
	}
	for _, e := range found {
		if strings.HasPrefix(e.name, taskPrefix+id+".") {
			err = errors.Join(err, remove(ctx, m.Docker, c.Node, e.name, e.id))
		}
	}
	return err
}

// cleanStart looks, for the article's images, whether the cluster begins anew:
// ZooKeeper's container is made, and what it kept is not there (a master machine
// that was made anew). The slaves must then begin anew, too, or they bring tasks of a Marathon
// along that nobody knows any more (seed.md, fault 18).
func (r *run) cleanStart(ctx context.Context, plan *todo) error {
	if r.platform.Images.Mini {
		return nil // its slaves end what a new master does not know
	}
	i := slices.IndexFunc(plan.actions, func(a action) bool { return a.want.Ready == GateZooKeeper })
	zk := plan.actions[i]
	shell := r.machines[zk.want.Node].Shell
	if zk.kind != createIt && zk.kind != recreateIt || shell == nil {
		return nil
	}
	out, err := shell.Run(ctx, "if [ -d "+r.platform.ZooKeeperData()+"/version-2 ]; then echo kept; fi", nil)
	if err != nil {
		return fmt.Errorf("%s: look for ZooKeeper's data: %w", zk.want.Node, err)
	}
	if strings.TrimSpace(string(out)) == "kept" {
		return nil
	}
	for i, a := range plan.actions {
		if a.want.Ready != GateSlave {
			continue
		}
		plan.actions[i].forget = true
		if a.kind != createIt {
			plan.actions[i].kind = recreateIt
		}
	}
	return nil
}

// taskPrefix begins the names of the containers that Mesos makes:
// mesos-<slave id>.<container id>.
const taskPrefix = "mesos-"
