package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// expectReelected tells a master from another by its id.
func expectReelected(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("reelected", "a master with another id leads, was elected later, and has the same slaves and the same framework, registered anew")
	old := r.known
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var now Master
	var leads, whole time.Time
	wrong := ""
	err := r.await(ctx, "a new master with all that belongs to it", func(ctx context.Context) (err error) {
		if now, err = r.cluster.Master(ctx); err != nil {
			return err
		}
		switch {
		case !now.Leads:
			return errors.New("no master leads")
		case now.ID == old.master.ID || !now.Elected.After(old.master.Elected):
			return fmt.Errorf("master %s still leads", briefID(now.ID))
		case leads.IsZero():
			leads = time.Now()
			r.moment("◆ a new Mesos master leads: " + briefID(now.ID))
		}
		if wrong, err = r.registeredAgain(now); err != nil || wrong != "" {
			return err
		}
		if whole.IsZero() {
			whole = time.Now()
		}
		if !r.history.sampledAfter(samplerMesos, leads) {
			return errors.New("no sample of the new master yet")
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	r.history.explained(samplerMesos)
	from, until := r.outage("mesos_master", "zookeeper")
	r.controlPhase(from, cut{name: phaseDown, rule: ruleDown, at: later(from, until)}, cut{name: phaseElection, rule: ruleSession, at: leads},
		cut{name: phaseBack, rule: "registration_backoff_factor of the slaves; ZooKeeper tells all who leads", at: whole})
	return c.pass("master %s instead of %s, %.2f s after the fault; %d slaves with their old ids; framework %s", briefID(now.ID), briefID(old.master.ID),
		leads.Sub(from).Seconds(), len(now.Agents), shortAgent(old.scheduler.Framework))
}

// registeredAgain says what a new master lacks of what the old one had, or
// what is another.
func (r *run) registeredAgain(now Master) (wrong string, err error) {
	old := r.known
	for _, was := range old.master.Agents {
		i := slices.IndexFunc(now.Agents, func(s Agent) bool { return s.IP == was.IP })
		switch {
		case i < 0 || !now.Agents[i].Active:
			return "", fmt.Errorf("the slave on %s has not registered again", r.nodeOf(was.IP))
		case now.Agents[i].ID != was.ID:
			return fmt.Sprintf("the slave on %s has a new id, %s", r.nodeOf(was.IP), shortAgent(now.Agents[i].ID)), nil
		case !now.Agents[i].Registered.After(was.Registered):
			return "", fmt.Errorf("the slave on %s has its old registration", r.nodeOf(was.IP))
		}
	}
	if !slices.Contains(now.Frameworks, old.scheduler.Framework) {
		if len(now.Frameworks) > 0 {
			return "Marathon is a new framework, " + strings.Join(now.Frameworks, ", "), nil
		}
		return "", errors.New("marathon has not registered again")
	}
	return "", nil
}

// expectResumed tells Marathon's own process from another by its start.
func expectResumed(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("resumed", "Marathon leads again as the same framework")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var now Scheduler
	var leads time.Time
	what, wrong := "", ""
	err := r.await(ctx, "Marathon to lead again", func(ctx context.Context) (err error) {
		if what, err = r.processAgain(ctx, "marathon"); err != nil {
			return err
		}
		if now, err = r.cluster.Scheduler(ctx); err != nil {
			return err
		}
		switch {
		case now.Leader == "":
			return errors.New("no Marathon leads")
		case now.Framework == "":
			return errors.New("marathon has no framework id yet")
		case now.Framework != r.known.scheduler.Framework:
			wrong = "Marathon is another framework now, " + now.Framework
			return nil
		case leads.IsZero():
			leads = time.Now()
		}
		if !r.history.sampledAfter(samplerMarathon, leads) {
			return errors.New("no sample of Marathon yet")
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	r.history.explained(samplerMarathon)
	from, until := r.outage("marathon")
	r.moment("◆ Marathon leads, as framework " + shortAgent(now.Framework))
	if what != "" {
		r.controlPhase(from, cut{name: phaseDown, rule: ruleDown, at: later(from, until)}, cut{name: phaseElection, rule: ruleSession, at: leads})
	}
	return c.pass("%s leads as framework %s%s", now.Leader, shortAgent(now.Framework), what)
}

// processAgain says that a component has another process than before, where
// the run has broken it.
func (r *run) processAgain(ctx context.Context, name string) (string, error) {
	all := r.lab.Components()
	i := slices.IndexFunc(all, func(c Component) bool { return c.Name == name })
	was, known := r.known.processes[name]
	if i < 0 || !known {
		return "", nil
	}
	now, err := r.lab.Process(ctx, all[i])
	switch {
	case err != nil:
		return "", err
	case !now.Running:
		return "", errors.New(name + " does not run")
	case now.Started.Equal(was.Started) && r.hasBroken(name):
		return "", errors.New(name + " still runs as it did")
	case now.Started.Equal(was.Started):
		return "", nil
	}
	return "; its process is a new one", nil
}

// hasBroken says whether the run has broken a component.
func (r *run) hasBroken(component string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.brokenParts, component)
}
