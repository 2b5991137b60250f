package scenarios

import (
	"context"
	"errors"
	"fmt"

	"github.com/mesoslab/lab"
)

// onState are expectations on an app that keeps something on its slave's disk:
// one instance that counts its requests in a file.
func onState() []verb {
	app := []param{{name: "app", kind: kindApp}}
	least := param{"least", kindCount, "100"}
	changed := []fact{factBaseline, factChange}
	return []verb{
		{name: "counted", summary: "the app has counted that far, by its answers and by the file on its slave",
			args: app, options: []param{least, within("60s")}, after: []fact{factBaseline}, watched: true, sane: onlyCounting, do: expectCounted},
		{name: "forgotten", summary: "the new task began at 0 on another slave, while the file on the old one still has the number",
			args: app, options: []param{least, within("60s")}, after: changed, watched: true, sane: onlyCounting, do: expectForgotten},
		{name: "remembered", summary: "the new task is on the slave of the one before it, and goes on counting where that had stopped",
			args: app, options: []param{least, within("60s")}, after: changed, watched: true, sane: onlyCounting, do: expectRemembered},
	}
}

func onlyCounting(a arguments, k *knowledge) error {
	if k.deployed[a["app"]] && !k.counting[a["app"]] {
		return fmt.Errorf("%s counts nothing that outlives it: it takes LAB_WEB_COUNTER in its environment, and a volume of the host for that file", a["app"])
	}
	if !k.deployed[a["app"]] {
		return fmt.Errorf("where %s counts is not known: that takes an app that the script has deployed, like counter", a["app"])
	}
	return nil
}

func expectCounted(ctx context.Context, r *run, a arguments) error {
	least := int64(a.count("least"))
	c := r.criterion("counted", fmt.Sprintf("it has counted to %d at least, by its answers and by the file on its slave", least))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	changed, _ := r.lastChange()
	var t TaskHistory
	var told, held int64
	err := r.await(ctx, "it to count", func(ctx context.Context) (err error) {
		if t, err = r.onlyTask(changed); err != nil && t.ID == "" {
			return err
		}
		if _, told = r.counted(t.ID); told < least {
			return fmt.Errorf("%s has told clients no more than %d", t.Name, told)
		}
		if held, err = r.onDisk(ctx, a["app"], t.Node); err == nil && held < told {
			err = fmt.Errorf("clients were told %d, but the file on %s says %d", told, t.Node, held)
		}
		return err
	})
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%s on %s tells clients %d, the file there says %d", t.Name, t.Node, told, held)
}

// expectForgotten shows the loss for what it is: nothing was erased, but nobody
// looks there any more.
func expectForgotten(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("forgotten", "on another slave the new task began at 0, while the file on the old one still has the number")
	now, before, first, was, err := r.succession(ctx, a)
	if err != nil {
		return c.unseen(err)
	}
	switch {
	case now.Node == before.Node:
		return c.unseen(fmt.Errorf("%s is on %s, as %s was: it has not moved", now.Name, now.Node, before.Name))
	case first > was:
		return c.broken("%s on %s began at %d, after %s on %s had counted to %d: nothing was lost", now.Name, now.Node, first-1, before.Name, before.Node, was)
	case first != 1:
		return c.unseen(fmt.Errorf("the first that %s told clients is %d: it began at %d, or somebody else asked it before", now.Name, first, first-1))
	}
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var held int64
	err = r.await(ctx, "the file on the old slave", func(ctx context.Context) error {
		held, err = r.onDisk(ctx, a["app"], before.Node)
		return err
	})
	switch {
	case err != nil:
		return c.unseen(err)
	case held < was:
		return c.broken("%s had told clients %d, but the file on %s says %d", before.Name, was, before.Node, held)
	}
	return c.pass("%s on %s had counted to %d; %s on %s began at 0; the file on %s still says %d", before.Name, before.Node, was, now.Name, now.Node, before.Node, held)
}

func expectRemembered(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("remembered", "a new task, with a new id, on the same slave goes on counting where the one before it had stopped")
	now, before, first, was, err := r.succession(ctx, a)
	switch {
	case err != nil:
		return c.unseen(err)
	case now.Node != before.Node:
		return c.broken("%s is on %s, but %s was on %s", now.Name, now.Node, before.Name, before.Node)
	case first <= was:
		return c.broken("%s began at %d, but %s had told clients %d before: something was lost", now.Name, first-1, before.Name, was)
	}
	return c.pass("%s, on %s as %s was, began at %d; that one had told clients %d", now.Name, now.Node, before.Name, first-1, was)
}

// succession waits until a new task counts, and tells from where, and how far
// the one before it had come.
func (r *run) succession(ctx context.Context, a arguments) (now, before TaskHistory, first, was int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	changed, _ := r.lastChange()
	err = r.await(ctx, "a new task to count", func(context.Context) (err error) {
		if now, err = r.onlyTask(changed); err != nil {
			return err
		}
		if before, err = r.predecessor(now); err != nil {
			return err
		}
		if first, _ = r.counted(now.ID); first == 0 {
			return fmt.Errorf("%s has counted nothing yet", now.Name)
		}
		return nil
	})
	if err != nil {
		return now, before, 0, 0, err
	}
	if _, was = r.counted(before.ID); was < int64(a.count("least")) {
		err = lab.Permanent(fmt.Errorf("%s had counted to %d only: that proves nothing", before.Name, was))
	}
	if before.Ended.IsZero() {
		err = errors.Join(err, fmt.Errorf("%s has not ended", before.Name))
	}
	return now, before, first, was, err
}
