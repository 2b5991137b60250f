package cluster

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// SetWeights changes the weights of roles, writes them into the registry and
// takes the outstanding offers back if a role with frameworks is among them,
// so that the next allocation follows the new ones. The error is in Mesos'
// words and nothing was changed.
func (c *Cluster) SetWeights(list []mesos.WeightInfo) error {
	return c.change(func() error { return c.setWeights(list) })
}

func (c *Cluster) setWeights(list []mesos.WeightInfo) error {
	for i := range list {
		if err := c.checkWeight(list[i].GetRole(), list[i].Weight); err != nil {
			return err
		}
	}
	weights := maps.Clone(c.weights)
	if weights == nil {
		weights = map[string]float64{}
	}
	active := false
	for i := range list {
		role := strings.TrimSpace(list[i].GetRole())
		weights[role] = list[i].Weight
		active = active || c.hasRole(role)
	}
	c.weights = weights
	c.alloc.SetWeights(weights)
	c.store()
	if active {
		for _, o := range inOrder(c.offers) {
			c.rescind(o)
		}
	}
	c.o.Logf("weights of roles are %v", weights)
	return nil
}

func (c *Cluster) checkWeight(role string, weight float64) error {
	role = strings.TrimSpace(role)
	const prefix = "Failed to validate update weights request JSON"
	if why := badRole(role); why != "" {
		return refusalText(fmt.Sprintf("%s: Invalid role '%s': %s", prefix, role, why))
	}
	if len(c.o.Roles) > 0 && role != "*" && !slices.Contains(c.o.Roles, role) {
		return refusalText(fmt.Sprintf("%s: Unknown role '%s'", prefix, role))
	}
	if !(weight > 0) || math.IsInf(weight, 0) {
		return refusalText(fmt.Sprintf("%s for role '%s': Invalid weight '%v': Weights must be positive", prefix, role, weight))
	}
	return nil
}

// explicitRoles are the roles that are listed whether or not a framework has
// them: those with a quota, of --roles and "*". In 0.26 there are no others.
func (c *Cluster) explicitRoles() []string {
	roles := slices.Sorted(maps.Keys(c.quotas))
	if len(c.o.Roles) == 0 && c.o.Compat != V026 {
		return roles
	}
	return slices.Concat([]string{"*"}, c.o.Roles, roles)
}

// hasRole says whether a framework stands in the role.
func (c *Cluster) hasRole(role string) bool {
	for _, f := range c.frameworks {
		if slices.Contains(f.roles(), role) {
			return true
		}
	}
	return false
}

// badRole says what is wrong with a role's name, or "" (roles.cpp of Mesos
// 1.3: no slash before hierarchical roles, no blanks, not "." or "..").
func badRole(role string) string {
	switch {
	case role == "*":
		return ""
	case role == "":
		return "Empty role name is invalid"
	case role == ".":
		return "Role name '.' is invalid"
	case role == "..":
		return "Role name '..' is invalid"
	case strings.HasPrefix(role, "-"):
		return fmt.Sprintf("Role name '%s' is invalid because it starts with a dash", role)
	case strings.ContainsAny(role, "\t\n\v\f\r /\b\x7f\x00"):
		return fmt.Sprintf("Role name '%s' is invalid because it contains slash, backspace or whitespace", role)
	}
	return ""
}

// badID says what is wrong with an id that others put into paths, or "".
func badID(id string) string {
	switch {
	case id == "":
		return "ID must not be empty"
	case len(id) > 255:
		return "ID must not be greater than 255 characters"
	case id == "." || id == "..":
		return fmt.Sprintf("'%s' is disallowed", id)
	case strings.ContainsFunc(id, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '/' || r == '\\' }):
		return fmt.Sprintf("'%q' contains invalid characters", id)
	}
	return ""
}

// recoverWeights takes the registry's weights if it has some, else those of
// --weights. In 0.26, where weights are changed by a restart with another
// --weights, these come first.
func (c *Cluster) recoverWeights(stored map[string]float64) {
	c.weights = c.o.Weights
	if len(stored) == 0 || c.o.Compat == V026 && len(c.o.Weights) > 0 {
		return
	}
	if len(c.o.Weights) > 0 {
		c.o.Logf("--weights is ignored: the registry has weights %v", stored)
	}
	c.weights = stored
	c.alloc.SetWeights(stored)
}
