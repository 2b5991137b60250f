package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
)

// expectSilence is rule R2: the fault is seen by someone else than the one
// who did it.
func expectSilence(ctx context.Context, r *run, a arguments) error {
	return r.knock(ctx, a, "silence", "gets no answer from", func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) })
}

// expectRefused is rule R2 for machines whose kernel still answers.
func expectRefused(ctx context.Context, r *run, a arguments) error {
	return r.knock(ctx, a, "refused", "is refused by", func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) })
}

// knock lets a peer knock at machines until it has seen what it should.
func (r *run) knock(ctx context.Context, a arguments, name, sees string, as func(error) bool) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	from, err := r.node(a["from"])
	if err != nil {
		return err
	}
	c := r.criterion(name, fmt.Sprintf("%s %s %s", from.Name, sees, nodeNames(machines)))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	for _, to := range machines {
		err := r.await(ctx, fmt.Sprintf("%s: that %s %s it", to.Name, from.Name, sees), func(ctx context.Context) error {
			switch err := r.lab.Reach(ctx, from.Name, to.Name); {
			case err == nil:
				return fmt.Errorf("%s still answers %s", to.Name, from.Name)
			case !as(err):
				return err
			}
			return nil
		})
		if err != nil {
			return c.unseen(err)
		}
		r.moment(fmt.Sprintf("◆ %s %s %s", from.Name, sees, to.Name))
	}
	return c.pass("seen from %s", from.Name)
}

func nodeNames(machines []lab.Machine) string {
	var names []string
	for _, m := range machines {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

// expectInactive tells the two signals of a dead slave apart: a connection
// that breaks makes it inactive at once, only unanswered pings remove it.
func expectInactive(ctx context.Context, r *run, a arguments) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	c := r.criterion("inactive", "Mesos calls the slave inactive while its tasks still count")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var words []string
	for _, m := range machines {
		broken, _ := r.brokenAt(m.Name)
		var seen AgentHistory
		err := r.await(ctx, "Mesos to call "+m.Name+" inactive", func(context.Context) error {
			for _, h := range r.history.Agents() {
				switch {
				case h.Node != m.Name:
				case h.Inactive.After(broken):
					seen = h
					return nil
				case h.Gone.After(broken):
					return lab.Permanent(fmt.Errorf("mesos has removed the slave on %s without calling it inactive first", m.Name))
				}
			}
			return fmt.Errorf("mesos still calls the slave on %s active", m.Name)
		})
		if err != nil {
			return c.unseen(err)
		}
		for _, v := range r.victims {
			if t := r.history.Task(v.ID); t.Node == m.Name && t.EndState == "TASK_LOST" && t.Ended.Before(seen.Inactive) {
				return c.broken("%s was lost before its slave was inactive", t.Name)
			}
		}
		words = append(words, fmt.Sprintf("%s after %.2f s", m.Name, seen.Inactive.Sub(broken).Seconds()))
	}
	return c.pass("%s; no task was lost by then", strings.Join(words, ", "))
}

// expectLost judges by the law of pings when slaves and tasks are lost.
func expectLost(ctx context.Context, r *run, a arguments) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	early, late := r.lab.Settings().Law()
	c := r.criterion("lost", fmt.Sprintf("slave and tasks lost %s–%s after the fault, by the law of pings (+%s)", seconds(early), seconds(late), seconds(tolerance)))
	gone, err := r.awaitLoss(ctx, machines)
	if err != nil {
		return c.unseen(err)
	}
	return r.judgeLoss(c, machines, gone)
}

// awaitLoss waits until Mesos has removed the slaves of machines and Marathon
// has told the end of every task there. It returns when each slave went.
func (r *run) awaitLoss(ctx context.Context, machines []lab.Machine) (map[string]time.Time, error) {
	_, late := r.lab.Settings().Law()
	var last time.Time
	for _, m := range machines {
		_, inForce := r.brokenAt(m.Name)
		last = later(last, inForce)
	}
	ctx, cancel := context.WithDeadline(ctx, last.Add(late+5*time.Second))
	defer cancel()
	gone := map[string]time.Time{}
	err := r.await(ctx, "Mesos to lose "+nodeNames(machines), func(context.Context) error {
		agents := r.history.Agents()
		for _, m := range machines {
			broken, _ := r.brokenAt(m.Name)
			i := slices.IndexFunc(agents, func(h AgentHistory) bool { return h.Node == m.Name && h.Gone.After(broken) })
			if i < 0 {
				return fmt.Errorf("mesos still counts the slave on %s", m.Name)
			}
			gone[m.Name] = agents[i].Gone
		}
		for _, v := range r.victimsOn(machines) {
			if t := r.history.Task(v.ID); t.EndState == "" {
				return fmt.Errorf("marathon has not told the end of %s", t.Name)
			}
		}
		return nil
	})
	return gone, err
}

// lawful says whether something on a machine ended when the law of pings has
// it end. The fault lies somewhere between being asked for and being in force.
func (r *run) lawful(node string, end time.Time) bool {
	early, late := r.lab.Settings().Law()
	asked, inForce := r.brokenAt(node)
	return end.Sub(asked) >= early && end.Sub(inForce) <= late+tolerance
}

// afterFault is how many seconds after a machine's fault something was.
func (r *run) afterFault(node string, end time.Time) float64 {
	asked, _ := r.brokenAt(node)
	return end.Sub(asked).Seconds()
}

// lawless is the slave that was removed at another time than the law says.
func (r *run) lawless(machines []lab.Machine, gone map[string]time.Time) error {
	early, late := r.lab.Settings().Law()
	for _, m := range machines {
		if !r.lawful(m.Name, gone[m.Name]) {
			return fmt.Errorf("the slave on %s was removed after %.2f s, the law says %s–%s", m.Name, r.afterFault(m.Name, gone[m.Name]), seconds(early), seconds(late))
		}
	}
	return nil
}

func (r *run) judgeLoss(c pending, machines []lab.Machine, gone map[string]time.Time) error {
	early, late := r.lab.Settings().Law()
	if err := r.lawless(machines, gone); err != nil {
		return c.broken("%v", err)
	}
	var took []string
	for _, v := range r.victimsOn(machines) {
		t := r.history.Task(v.ID)
		if t.EndState != "TASK_LOST" {
			return c.broken("%s (%s) ended as %s, not TASK_LOST", t.Name, t.ID, t.EndState)
		}
		if !r.lawful(t.Node, t.Ended) {
			return c.broken("%s was lost after %.2f s, the law says %s–%s", t.Name, r.afterFault(t.Node, t.Ended), seconds(early), seconds(late))
		}
		took = append(took, fmt.Sprintf("%s after %.2f s", t.Name, r.afterFault(t.Node, t.Ended)))
	}
	if len(took) == 0 {
		took = []string{nodeNames(machines) + " without a task"}
	}
	return c.pass("%s, by the law %s–%s", strings.Join(took, ", "), seconds(early), seconds(late))
}

// victimsOn are the tasks that were on machines when these were broken.
func (r *run) victimsOn(machines []lab.Machine) []TaskHistory {
	var out []TaskHistory
	for _, t := range r.victims {
		if slices.ContainsFunc(machines, func(m lab.Machine) bool { return m.Name == t.Node }) {
			out = append(out, t)
		}
	}
	return out
}

// expectAgents tells whether slaves came back as old or as new ones: that
// depends on the stack's version (contracts of Mesos, section 8.2).
func expectAgents(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("agents", "a slave in Mesos on every slave machine")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var seen []Agent
	err := r.await(ctx, "all slaves in Mesos", func(ctx context.Context) error {
		var err error
		if seen, err = r.cluster.Agents(ctx); err != nil {
			return err
		}
		for _, m := range r.slaves() {
			if !slices.ContainsFunc(seen, func(s Agent) bool { return s.Active && s.IP == m.IP.String() }) {
				return fmt.Errorf("no active slave on %s", m.Name)
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	text := fmt.Sprintf("%d of %d slaves active", len(seen), len(r.slaves()))
	for _, s := range seen {
		if node := r.nodeOf(s.IP); slices.Contains(r.brokenNodes(), node) {
			kind := "as a new slave, " + shortAgent(s.ID)
			if slices.ContainsFunc(r.agents, func(h AgentHistory) bool { return h.ID == s.ID }) {
				kind = "with its old id, " + shortAgent(s.ID)
			}
			text += "; " + node + " is back " + kind
		}
	}
	return c.pass("%s", text)
}
