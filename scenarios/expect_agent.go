package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// onAgents are expectations on the process of a slave, where its machine and
// its tasks live on.
func onAgents() []verb {
	machine := []param{{name: "machine", kind: kindNodes}}
	known := []fact{factKnown, factChange}
	return []verb{
		{name: "recovered", summary: "the machine's slave has registered again under its old id",
			args: machine, options: []param{within("30s")}, after: known, do: expectRecovered},
		{name: "outlived", summary: "a task that is lost for Mesos still runs in its old container",
			args: []param{{name: "app", kind: kindApp}}, options: []param{within("30s")}, after: known, watched: true, do: expectOutlived},
		{name: "removed", summary: "Mesos removes the machine's slave by the law of pings, and each of its tasks has ended, by then or before",
			args: machine, after: known, do: expectRemoved},
		{name: "renewed", summary: "the machine's engine answers again: the slave's process is a new one, and none of the containers that tasks had there runs",
			args: machine, options: []param{within("60s")}, after: known, do: expectRenewed},
		{name: "readmitted", summary: "the slave that was removed is back: after the end of its process as a new one, or under its old id; its old tasks are gone",
			args: machine, options: []param{within("60s")}, after: known, do: expectReadmitted},
	}
}

// agentOn finds a machine's slave.
func agentOn(agents []Agent, ip string) (Agent, bool) {
	i := slices.IndexFunc(agents, func(a Agent) bool { return a.IP == ip })
	if i < 0 {
		return Agent{}, false
	}
	return agents[i], true
}

// expectRecovered goes by the master's word: a registration that is younger
// than the one that is known cannot be the same session.
func expectRecovered(ctx context.Context, r *run, a arguments) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	c := r.criterion("recovered", "the slave has registered again, and has its old id")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	early, _ := r.lab.Settings().Law()
	wrong := ""
	var words []string
	var seen time.Time
	err = r.await(ctx, nodeNames(machines)+" to register again", func(ctx context.Context) error {
		m, err := r.cluster.Master(ctx)
		if err != nil {
			return err
		}
		words = nil
		for _, n := range machines {
			was, _ := agentOn(r.known.master.Agents, n.IP.String())
			now, listed := agentOn(m.Agents, n.IP.String())
			switch {
			case !listed || !now.Active:
				return fmt.Errorf("no active slave on %s", n.Name)
			case now.ID != was.ID && r.afterFault(n.Name, time.Now()) >= early.Seconds():
				return lab.Permanent(fmt.Errorf("%s was back only after the pings had run out (%s): start it sooner, or give it more", n.Name, seconds(early)))
			case now.ID != was.ID:
				wrong = fmt.Sprintf("the slave on %s is a new one, %s instead of %s", n.Name, shortAgent(now.ID), shortAgent(was.ID))
				return nil
			case !now.Registered.After(was.Registered):
				return fmt.Errorf("the slave on %s has its old registration", n.Name)
			}
			words = append(words, fmt.Sprintf("%s as %s", n.Name, shortAgent(now.ID)))
		}
		if seen.IsZero() {
			seen = time.Now()
		}
		if !r.history.sampledAfter(samplerMesos, seen) { // what comes next is told from what the samplers know
			return errors.New("no sample of Mesos since then")
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	r.moment("◆ registered again: " + strings.Join(words, ", "))
	return c.pass("%s: the same id, a new registration", strings.Join(words, ", "))
}

// expectOutlived tells a lost task from a dead one, by its container.
func expectOutlived(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("outlived", "what is lost for Mesos still runs: the same container, started when it was")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	wrong := ""
	var words []string
	err := r.await(ctx, "the lost tasks' containers", func(ctx context.Context) error {
		words = nil
		for _, v := range r.victims {
			t := r.history.Task(v.ID)
			if t.EndState != "TASK_LOST" {
				return fmt.Errorf("%s is not lost", t.Name)
			}
			now, err := r.containerOf(ctx, t)
			was := r.known.containers[t.ID]
			switch {
			case errors.Is(err, errNoContainer):
				wrong = fmt.Sprintf("the container of %s is gone", t.Name)
				return nil
			case err != nil:
				return err
			case now.ID != was.ID || !now.Started.Equal(was.Started):
				wrong = fmt.Sprintf("%s has another container, or another start", t.Name)
				return nil
			}
			words = append(words, fmt.Sprintf("%s in container %s on %s", t.Name, briefID(now.ID), t.Node))
		}
		if len(words) == 0 {
			return errors.New("no task is lost")
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	return c.pass("%s: TASK_LOST, and alive", strings.Join(words, ", "))
}

// expectReadmitted holds the two ways of coming back apart (contracts of
// Mesos, section 8.2): a new id needs the end of the old one, by exit code 0.
func expectReadmitted(ctx context.Context, r *run, a arguments) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	c := r.criterion("readmitted", "back as a new slave after exit code 0 (Mesos 0.26 to 1.0), or with its old id and no exit (from 1.1 on); old tasks gone")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	wrong := ""
	var words []string
	err = r.await(ctx, nodeNames(machines)+" to be let in", func(ctx context.Context) error {
		m, err := r.cluster.Master(ctx)
		if err != nil {
			return err
		}
		words = nil
		for _, n := range machines {
			now, listed := agentOn(m.Agents, n.IP.String())
			if !listed || !now.Active {
				return fmt.Errorf("no active slave on %s", n.Name)
			}
			var word string
			if word, wrong, err = r.cameBack(ctx, n.Name, now); err != nil || wrong != "" {
				return err
			}
			words = append(words, word)
		}
		for _, v := range r.victims {
			if _, err := r.containerOf(ctx, v); !errors.Is(err, errNoContainer) {
				return errors.Join(fmt.Errorf("the old container of %s still runs", v.Name), err)
			}
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	return c.pass("%s; the containers of its lost tasks are gone", strings.Join(words, ", "))
}

// cameBack says how a slave came back. Its engine has to have seen one end for
// each fault of the run, and one more where the slave was told to shut down.
func (r *run) cameBack(ctx context.Context, node string, now Agent) (word, wrong string, err error) {
	i := slices.IndexFunc(r.lab.Components(), func(c Component) bool { return c.Node == node && slaveComponent().MatchString(c.Name) })
	if i < 0 {
		return "", "", fmt.Errorf("no Mesos slave runs on %s", node)
	}
	comp := r.lab.Components()[i]
	p, err := r.lab.Process(ctx, comp)
	if err != nil {
		return "", "", err
	}
	var codes []int
	for _, e := range p.Ends {
		if e.At.After(r.known.processes[comp.Name].lastEnd()) {
			codes = append(codes, e.Code)
		}
	}
	faults := r.faultsOf(comp.Name)
	same := slices.ContainsFunc(r.known.master.Agents, func(a Agent) bool { return a.ID == now.ID })
	switch {
	case same && len(codes) > faults:
		return "", fmt.Sprintf("the slave on %s has its old id, although its process ended %d times, for %d faults", node, len(codes), faults), nil
	case same:
		return node + " with its old id, " + shortAgent(now.ID), "", nil
	case len(codes) <= faults || codes[len(codes)-1] != 0:
		return "", fmt.Sprintf("the slave on %s is a new one, %s, although its process did not end with exit code 0", node, shortAgent(now.ID)), nil
	}
	return fmt.Sprintf("%s was told to shut down, ended with exit code 0, and is a new slave, %s", node, shortAgent(now.ID)), "", nil
}

// faultsOf counts the faults of a component.
func (r *run) faultsOf(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, part := range r.brokenParts {
		if part == name {
			n++
		}
	}
	return n
}
