package stack

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// latestLink names the slave that a new slave process would go on as.
const latestLink = "/tmp/mesos/meta/slaves/latest"

// forgetCommand prints where the link leads and removes it; a missing link is
// fine.
const forgetCommand = "readlink " + latestLink + " 2>/dev/null; if [ \"$(id -u)\" = 0 ]; then rm -f " + latestLink +
	"; else sudo -n rm -f " + latestLink + "; fi"

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
	out, err := m.Shell.Run(ctx, forgetCommand, nil)
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

// taskPrefix begins the names of the containers that Mesos makes:
// mesos-<slave id>.<container id>.
const taskPrefix = "mesos-"
