package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mesoslab/lab"
)

// Diagnosis is what was found of this computer for one lab, made or not.
type Diagnosis struct {
	Name     string `json:"name"`
	Exists   bool   `json:"exists"`
	Provider string `json:"provider"`
	Why      string `json:"why,omitempty"`
	Where    string `json:"where"` // its subnet, or its addresses
	Machines int    `json:"machines"`
	// Findings are sorted, the worst first.
	Findings []lab.Finding `json:"findings"`
	// Others are the providers that were not looked at, where none was named.
	Others []Lack `json:"others,omitempty"`
}

// Count tells how many findings are of a severity.
func (d *Diagnosis) Count(s lab.Severity) int {
	n := 0
	for _, f := range d.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Diagnose looks at this computer for the lab that given describes: one that
// exists, with given laid over its record, or a new one with the provider that
// given names or that would be chosen. It changes nothing; a container may live
// for a moment to see what an engine allows.
func (f *Flow) Diagnose(ctx context.Context, given lab.Spec) (*Diagnosis, error) {
	chosen, err := f.examined(ctx, given)
	if err != nil {
		return nil, err
	}
	plan, err := f.intended(ctx, given, chosen)
	if err != nil {
		return nil, err
	}
	plan.Report = f.Report
	d := &Diagnosis{Name: plan.Spec.Name, Exists: plan.ID != "", Provider: chosen.name, Why: chosen.why(), Where: where(plan.Spec), Machines: len(plan.Nodes)}
	d.Findings = f.look(ctx, chosen.provider, plan, lab.CheckFull)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("look at this computer: %w", context.Cause(ctx))
	}
	order := []lab.Severity{lab.SeverityStop, lab.SeverityWarn, lab.SeverityNote, lab.SeverityOK}
	slices.SortStableFunc(d.Findings, func(a, b lab.Finding) int {
		return slices.Index(order, a.Severity) - slices.Index(order, b.Severity)
	})
	if given.Provider == "" || given.Provider == "auto" {
		d.Others = f.others(ctx, given, chosen)
	}
	return d, nil
}

// examined is the provider to look at: that of the lab, if there is one and
// none is named, else the one that create would choose.
func (f *Flow) examined(ctx context.Context, given lab.Spec) (choice, error) {
	if given.Provider == "" || given.Provider == "auto" {
		if l, err := f.Store.Load(given.WithDefaults().Name); err == nil {
			p, err := f.provider(l.Provider)
			return choice{name: l.Provider, provider: p}, err
		}
	}
	return f.choose(ctx, given)
}

// intended is Preview on the subnet that create would choose now, with the
// folder that the lab would have. plan.ID is "" for a lab that does not exist.
func (f *Flow) intended(ctx context.Context, given lab.Spec, chosen choice) (lab.Plan, error) {
	plan, err := f.Preview(given, chosen.name)
	if lab.ErrorID(err) == "state-foreign" {
		plan, err = unmade(given, chosen) // records says so; the rest is looked at all the same
	}
	if err != nil || plan.ID != unmadeID {
		return plan, err
	}
	plan.ID, plan.Dir = "", f.Store.LabDir(plan.Spec.Name)
	if given.Subnet != "" || len(given.IPs) > 0 {
		return plan, nil
	}
	subnet, err := f.Store.Propose(lab.Pool(chosen.provider, plan.Spec), subnetFree(ctx, chosen.provider, plan.Spec.Ports))
	if err != nil {
		return plan, nil // on the pool's first, the checks say why
	}
	plan.Spec.Subnet = subnet
	plan.Nodes, err = plan.Spec.Nodes()
	return plan, err
}

// unmade is the plan of a new lab on the first subnet of the pool.
func unmade(given lab.Spec, chosen choice) (plan lab.Plan, err error) {
	plan.ID, plan.Spec = unmadeID, given.WithDefaults()
	if pool := lab.Pool(chosen.provider, plan.Spec); plan.Spec.Subnet == "" && len(plan.Spec.IPs) == 0 && len(pool) > 0 {
		plan.Spec.Subnet = pool[0]
	}
	plan.Nodes, err = plan.Spec.Nodes()
	return plan, err
}

// others says in a few words each what the providers lack that were not looked
// at.
func (f *Flow) others(ctx context.Context, given lab.Spec, chosen choice) []Lack {
	out := slices.Clone(chosen.passed)
	for _, name := range f.Auto {
		p, err := f.provider(name)
		if err != nil || name == chosen.name || slices.ContainsFunc(out, func(l Lack) bool { return l.Provider == name }) {
			continue
		}
		lack := Lack{Provider: name}
		if err := ready(ctx, p, given.WithDefaults()); err != nil {
			lack.Lacks = err.Error()
		}
		out = append(out, lack)
	}
	return out
}

// Mended tells what became of one repair.
type Mended struct {
	ID    string `json:"id"`
	Did   string `json:"did"`
	Error string `json:"error,omitempty"`
}

// Mend runs the repairs of findings, one after the other, and says before each
// what it is about to do.
func (f *Flow) Mend(ctx context.Context, findings []lab.Finding) ([]Mended, error) {
	out := []Mended{}
	var errs []error
	for _, one := range findings {
		if one.Repair == nil || ctx.Err() != nil {
			continue
		}
		f.Report.Emit(lab.Event{Op: "doctor", Kind: lab.EventNote, Step: one.ID, Text: one.ID + ": " + one.RepairText})
		err := f.Report.Step("doctor", "", one.ID, func(wait func(string)) error {
			wait(one.RepairText)
			return one.Repair(ctx)
		})
		m := Mended{ID: one.ID, Did: one.RepairText}
		if err != nil {
			m.Error = err.Error()
			errs = append(errs, fmt.Errorf("%s: %w", one.ID, err))
		}
		out = append(out, m)
	}
	return out, errors.Join(errs...)
}
