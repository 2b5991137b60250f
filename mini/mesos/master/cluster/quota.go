package cluster

import (
	"fmt"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/quota"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

const (
	// agentsForQuota is the part of the registered agents that must be back
	// before a new master with quotas makes offers: else those that come first
	// would all go to roles without one.
	agentsForQuota = 0.8
	// quotaPatience is how long it waits for them.
	quotaPatience = 10 * time.Minute
)

// NoQuotaError: the quota of a role is to be removed that has none.
type NoQuotaError struct{ Role string }

func (e *NoQuotaError) Error() string { return fmt.Sprintf("Role '%s' has no quota set", e.Role) }

// UnknownRoleError: the role is not among those of --roles.
type UnknownRoleError struct{ Role string }

func (e *UnknownRoleError) Error() string { return fmt.Sprintf("Unknown role '%s'", e.Role) }

// Quotas are the roles' quotas, by role.
func (c *Cluster) Quotas() quota.QuotaStatus {
	c.lock()
	defer c.mu.Unlock()
	var s quota.QuotaStatus
	for _, role := range slices.Sorted(maps.Keys(c.quotas)) {
		s.Infos = append(s.Infos, quota.QuotaInfo{Role: &role, Guarantee: c.quotas[role].Proto("")})
	}
	return s
}

// SetQuota guarantees resources to a role that has no quota yet, writes that
// into the registry and takes offers back, as many as the role may need.
// Errors are in Mesos' words and nothing was changed; ErrInsufficient if the
// cluster is too small, which r.Force overrides.
func (c *Cluster) SetQuota(r quota.QuotaRequest) error {
	return c.change(func() error { return c.setQuota(r) })
}

func (c *Cluster) setQuota(r quota.QuotaRequest) error {
	const prefix = "Failed to validate set quota request: "
	guarantee, why := c.checkQuota(r)
	switch {
	case why != "":
		return refusalText(prefix + why)
	case !c.mayExist(r.GetRole()):
		return refusalText(prefix + (&UnknownRoleError{r.GetRole()}).Error())
	case !c.quotas[r.GetRole()].Empty():
		return refusalText(prefix + fmt.Sprintf("Cannot set quota for role '%s' which already has quota", r.GetRole()))
	case !r.GetForce() && !c.alloc.QuotaCapacity(guarantee):
		return shortage("Heuristic capacity check for set quota request failed: Not enough available cluster capacity to" +
			" reasonably satisfy quota request; the force flag can be used to override this check")
	}
	c.quota(r.GetRole(), guarantee)
	c.store()
	c.o.Logf("quota of role %s is %s", r.GetRole(), guarantee)
	c.rescindForQuota(r.GetRole(), guarantee)
	return nil
}

// RemoveQuota takes a role's quota back; the error is an *UnknownRoleError or
// a *NoQuotaError.
func (c *Cluster) RemoveQuota(role string) error {
	return c.change(func() error { return c.removeQuota(role) })
}

func (c *Cluster) removeQuota(role string) error {
	switch {
	case !c.mayExist(role):
		return &UnknownRoleError{role}
	case c.quotas[role].Empty():
		return &NoQuotaError{role}
	}
	c.quota(role, resource.Set{})
	c.store()
	c.o.Logf("role %s has no quota any more", role)
	return nil
}

func (c *Cluster) quota(role string, guarantee resource.Set) {
	quotas := maps.Clone(c.quotas)
	if quotas == nil {
		quotas = map[string]resource.Set{}
	}
	if guarantee.Empty() {
		delete(quotas, role)
	} else {
		quotas[role] = guarantee
	}
	c.quotas = quotas
	c.alloc.SetQuota(role, guarantee)
}

// mayExist says whether --roles allows a role.
func (c *Cluster) mayExist(role string) bool {
	return len(c.o.Roles) == 0 && c.o.Compat != V026 || role == "*" || slices.Contains(c.o.Roles, role)
}

// checkQuota says what is wrong with a request, or what it asks for.
func (c *Cluster) checkQuota(r quota.QuotaRequest) (guarantee resource.Set, why string) {
	role := r.GetRole()
	switch bad := badRole(role); {
	case r.Role == nil:
		return guarantee, "QuotaInfo must specify a role"
	case bad != "":
		return guarantee, "QuotaInfo with invalid role: " + bad
	case role == "*":
		return guarantee, "QuotaInfo must not specify the default '*' role"
	case len(r.Guarantee) == 0:
		return guarantee, "QuotaInfo with empty 'guarantee'"
	}
	names := map[string]bool{}
	for i := range r.Guarantee {
		if why := badGuarantee(&r.Guarantee[i]); why != "" {
			return guarantee, why
		}
		name := r.Guarantee[i].Name
		if names[name] {
			return guarantee, fmt.Sprintf("QuotaInfo contains duplicate resource name '%s'", name)
		}
		names[name] = true
	}
	guarantee, err := resource.FromProto(r.Guarantee)
	switch {
	case err != nil:
		return guarantee, "QuotaInfo with invalid resource: " + err.Error()
	case guarantee.Empty(): // of nothing but zeros
		return guarantee, "QuotaInfo with empty 'guarantee'"
	}
	return guarantee.Flat(), ""
}

func badGuarantee(r *mesos.Resource) string {
	switch {
	case r.Reservation != nil || len(r.Reservations) > 0:
		return "QuotaInfo must not contain any ReservationInfo"
	case r.Disk != nil:
		return "QuotaInfo must not contain DiskInfo"
	case r.Revocable != nil:
		return "QuotaInfo must not contain RevocableInfo"
	case r.GetType() != mesos.SCALAR:
		return "QuotaInfo must not include non-scalar resources"
	}
	return ""
}

// rescindForQuota takes back all offers of one agent after the other until
// that is as much as the guarantee and as many agents as the role has
// frameworks, so that each can have one.
func (c *Cluster) rescindForQuota(role string, guarantee resource.Set) {
	frameworks := 0
	for _, f := range c.frameworks {
		if f.connected() && slices.Contains(f.roles(), role) {
			frameworks++
		}
	}
	var back resource.Set
	visited := 0
	for _, a := range inOrder(c.agents) {
		if frameworks == 0 || back.Flat().Contains(guarantee) && visited >= frameworks {
			return
		}
		for _, o := range inOrder(a.offers) {
			back = back.Add(o.resources)
			c.rescind(o)
		}
		visited++
	}
}

// keepQuotas writes the quotas down for recoverQuotas.
func (c *Cluster) keepQuotas(d *RegistryData) {
	for _, role := range slices.Sorted(maps.Keys(c.quotas)) {
		d.Quotas = append(d.Quotas, wire.Of(quota.QuotaInfo{Role: &role, Guarantee: c.quotas[role].Proto("")}))
	}
}

func (c *Cluster) recoverQuotas(d RegistryData) error {
	for _, q := range d.Quotas {
		guarantee, err := resource.FromProto(q.V.Guarantee)
		if err != nil {
			return fmt.Errorf("quota of role %s: %w", q.V.GetRole(), err)
		}
		c.quota(q.V.GetRole(), guarantee)
	}
	if len(d.Quotas) > 0 {
		c.awaited = int(float64(len(d.Admitted)) * agentsForQuota)
	}
	return nil
}

// holdsOff says whether it is too early for offers.
func (c *Cluster) holdsOff() bool {
	if c.awaited > 0 && len(c.agents) < c.awaited && time.Since(c.elected) < quotaPatience {
		return true
	}
	c.awaited = 0
	return false
}
