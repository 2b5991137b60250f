package flow

import (
	"errors"
	"fmt"

	"github.com/mesoslab/lab"
)

// unmadeID stands for the id of a lab that does not exist yet.
const unmadeID = "00000000"

// Preview returns what the named provider would be asked to make for a spec,
// and makes nothing: the lab of that name with given laid over its record, if
// it exists and is of this provider, else a new one, on the first subnet of the
// provider's pool where none is given.
func (f *Flow) Preview(given lab.Spec, provider string) (lab.Plan, error) {
	p, err := f.provider(provider)
	if err != nil {
		return lab.Plan{}, err
	}
	plan := lab.Plan{ID: unmadeID}
	given.Provider = provider
	l, err := f.Store.Load(given.WithDefaults().Name)
	switch {
	case errors.Is(err, lab.ErrNotFound) || err == nil && l.Provider != provider:
		plan.Spec = given.WithDefaults()
		if plan.Spec.Subnet == "" && len(plan.Spec.IPs) == 0 {
			plan.Spec.Subnet = lab.Pool(p, plan.Spec)[0]
		}
	case err != nil:
		return lab.Plan{}, err
	default:
		plan.Dir, plan.ID, plan.Spec = l.Dir, l.ID, merge(l.Spec, given)
		if err := changeable(l.Spec, plan.Spec, l.Provider); err != nil {
			return lab.Plan{}, err
		}
	}
	if plan.Nodes, err = plan.Spec.Nodes(); err != nil {
		return lab.Plan{}, fmt.Errorf("plan lab %s: %w", plan.Spec.Name, err)
	}
	return plan, nil
}
