//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

// TestReboot lets a slave have no power for less than the pings allow: it is
// back before it is missed. But a slave whose machine was booted has nothing to
// recover: Mesos 0.26 registers it as a new one, and loses the tasks of the old
// one at that moment.
func TestReboot(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create() // 2 s × 3
	ids := func() (slave string, tasks map[string]bool) {
		s := l.Status()
		tasks = map[string]bool{}
		for _, a := range s.Mesos.Slaves {
			if a.Node == "node2" && a.Active {
				slave = a.ID
			}
		}
		for _, task := range s.Marathon.Tasks {
			if task.Node == "node2" {
				tasks[task.ID] = true
			}
		}
		return slave, tasks
	}
	before, tasks := ids()
	l.Must("break", "kill", "node2", "--for", "1s")
	l.Await("node2 to be back as another slave", func(context.Context) error {
		switch now, _ := ids(); now {
		case "":
			return errors.New("it is not back")
		case before:
			return fmt.Errorf("it is %s, as before", now)
		}
		return nil
	})
	l.AwaitWhole()
	answering(t, l, 2)
	if _, now := ids(); len(tasks) > 0 {
		for id := range tasks {
			if now[id] {
				t.Errorf("task %s outlived its machine's power", id)
			}
		}
	}
	l.Must("destroy")
	l.MustBeGone()
}
