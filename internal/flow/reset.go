package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/stack"
)

// Reset tells what a reset found and did.
type Reset struct {
	Name    string   `json:"name"`
	Changed []string `json:"changed"` // what was undone; empty where nothing had been done
	Kept    []string `json:"kept"`    // what is not lab's to remove
	Seconds float64  `json:"seconds"`
}

// Reset brings a lab back to the state after create: faults are healed, the
// platform's containers run, apps and frameworks of others are gone with their
// tasks, and the sample app is as create deployed it. It returns when the lab
// is whole. Machines that are missing are create's to repair.
func (f *Flow) Reset(ctx context.Context, name string) (out *Reset, err error) {
	start := time.Now()
	err = f.onLab(ctx, name, "lab reset", func(c change) error {
		logged := *f
		logged.Report = c.report
		did := &changes{since: start}
		if err := logged.mendPower(ctx, c.lab, did); err != nil {
			return err
		}
		v, err := logged.open(c.lab, "lab reset")
		if err != nil {
			return err
		}
		defer v.close()
		if err := v.allOn(ctx, "reset"); err != nil {
			return err
		}
		r := &reset{flow: &logged, live: v, did: did, report: c.report}
		if err := r.run(ctx); err != nil {
			return err
		}
		out = &Reset{Name: name, Changed: append([]string{}, did.list...), Kept: append([]string{}, r.kept...)}
		return c.lab.Save()
	})
	if err != nil {
		return nil, err
	}
	out.Seconds = time.Since(start).Seconds()
	return out, nil
}

// allOn refuses if a machine does not run.
func (v *live) allOn(ctx context.Context, op string) error {
	power, err := v.provider.Status(ctx, v.plan)
	for _, s := range power {
		if err == nil && !isRunning(s) {
			err = &lab.Error{ID: "lab-not-whole", Op: op, Machine: s.Machine.Name, Err: fmt.Errorf("it is %s", s.State), Advice: "lab create repairs what is missing"}
		}
	}
	return err
}

// reset is one reset in progress.
type reset struct {
	flow   *Flow
	live   *live
	did    *changes
	report lab.Report
	kept   []string
}

func (r *reset) run(ctx context.Context) error {
	for _, s := range []struct {
		name, wait string
		do         func(ctx context.Context) error
	}{
		{"stack", "the platform's containers", r.stack},
		{"apps", "apps of others to go", r.apps},
		{"frameworks", "frameworks of others to go", r.frameworks},
		{"app", "the sample app", r.sample},
		{"containers", "task containers that nobody owns", r.containers},
		{"data", "what apps have left on disks", r.data},
	} {
		err := r.report.Step("reset", "", s.name, func(wait func(string)) error {
			wait(s.wait)
			return s.do(ctx)
		})
		if err != nil {
			return err
		}
	}
	return r.flow.awaitWholeAgain(ctx, r.live.lab, "reset", r.report)
}

// stack starts what stands still of the platform.
func (r *reset) stack(ctx context.Context) error {
	v := r.live
	machines, err := v.machines(ctx)
	if err != nil {
		return err
	}
	res, err := stack.Converge(ctx, v.platform, machines, v.clients, stack.Options{Op: "reset", Report: quiet(r.report)})
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(res.Created, res.Recreated, res.Started) {
		r.did.add("started %s", name)
	}
	return nil
}

// quiet passes on failures and waits only: what opens on a lab that is whole
// anyway is no news.
func quiet(report lab.Report) lab.Report {
	return func(e lab.Event) {
		if e.Kind == lab.EventFail || e.Kind == lab.EventWait {
			report.Emit(e)
		}
	}
}

// sampleID is the app that create deployed, or "".
func (r *reset) sampleID() (string, error) {
	app, err := definition(r.live.lab.Spec)
	if err != nil || !app.wanted {
		return "", err
	}
	return app.definitions(r.live.platform)[0].ID, nil
}

// apps ends all deployments and removes every app but the sample.
func (r *reset) apps(ctx context.Context) error {
	m := r.live.clients.Marathon
	sample, err := r.sampleID()
	if err != nil {
		return err
	}
	running, err := m.Deployments(ctx)
	if err != nil {
		return err
	}
	for _, d := range running { // they lock their apps
		if err := m.CancelDeployment(ctx, d.ID, true); err != nil && !errors.Is(err, lab.ErrNotFound) {
			return err
		}
	}
	apps, err := m.Apps(ctx)
	if err != nil {
		return err
	}
	for _, a := range apps {
		if a.ID == sample {
			continue
		}
		if err := r.remove(ctx, a.ID); err != nil {
			return err
		}
		r.did.add("removed %s", a.ID)
	}
	return nil
}

// remove deletes an app as soon as nothing locks it.
func (r *reset) remove(ctx context.Context, id string) error {
	return unlocked(ctx, "Marathon to remove "+id, func(ctx context.Context) error {
		_, err := r.live.clients.Marathon.Delete(ctx, id)
		if errors.Is(err, lab.ErrNotFound) {
			return nil
		}
		return err
	})
}

// frameworks tears down all but Marathon's.
func (r *reset) frameworks(ctx context.Context) error {
	info, err := r.live.clients.Marathon.Info(ctx)
	if err != nil {
		return err
	}
	if info.FrameworkID == "" {
		return errors.New("marathon has no framework id")
	}
	s, err := r.live.clients.Mesos.State(ctx)
	if err != nil {
		return err
	}
	for _, f := range s.Frameworks {
		if f.ID == info.FrameworkID {
			continue
		}
		if err := r.live.clients.Mesos.Teardown(ctx, f.ID); err != nil && !errors.Is(err, lab.ErrNotFound) {
			return err
		}
		r.did.add("tore down framework %s", f.Name)
	}
	return nil
}

// sample makes the sample app what it was. Where somebody changed more than
// the number of instances it is made anew: Marathon 1.1.1 merges updates, so
// that what was added would stay.
func (r *reset) sample(ctx context.Context) error {
	l, p, c := r.live.lab, r.live.platform, r.live.clients
	app, err := definition(l.Spec)
	if err != nil || !app.wanted {
		return err
	}
	d := app.definitions(p)[0]
	now, err := c.Marathon.App(ctx, d.ID)
	switch {
	case errors.Is(err, lab.ErrNotFound):
	case err != nil:
		return err
	default:
		config, err := now.Config()
		if err != nil {
			return err
		}
		if err := c.Marathon.ResetDelay(ctx, d.ID); err != nil {
			return err
		}
		if stack.SameConfig(config, l.AppConfig) {
			return r.rescale(ctx, d.ID, now.Instances)
		}
		if err := r.remove(ctx, d.ID); err != nil {
			return err
		}
	}
	l.App = ""
	got, _, err := p.Deploy(ctx, c, d, stack.Options{Op: "reset", Report: quiet(r.report)})
	if err != nil {
		return err
	}
	r.did.add("deployed %s as create did", d.ID)
	return remember(l, d, got)
}

// rescale gives the app its instances again.
func (r *reset) rescale(ctx context.Context, id string, have int) error {
	var made struct{ Instances int }
	if err := json.Unmarshal(r.live.lab.AppConfig, &made); err != nil {
		return fmt.Errorf("recorded app: %w", err)
	}
	if made.Instances == have {
		return nil
	}
	r.did.add("scaled %s to %d", id, made.Instances)
	return unlocked(ctx, "Marathon to scale "+id, func(ctx context.Context) error {
		_, err := r.live.clients.Marathon.Scale(ctx, id, made.Instances, true)
		return err
	})
}

// remember records the sample app as it was deployed.
func remember(l *state.Lab, d stack.Definition, got stack.App) (err error) {
	l.App = hashOf(d)
	l.AppConfig, err = got.Config()
	return err
}
