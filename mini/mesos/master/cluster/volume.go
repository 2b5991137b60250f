package cluster

import (
	"fmt"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

func creating(list []mesos.Resource) (conversion, error) {
	to, err := resource.FromVolumes(list)
	return conversion{"CREATE", to.Plain(), to}, err
}

func destroying(list []mesos.Resource) (conversion, error) {
	from, err := resource.FromVolumes(list)
	return conversion{"DESTROY", from, from.Plain()}, err
}

// CreateVolumes makes persistent volumes of an agent's reserved disk, and
// DestroyVolumes removes those that no task uses, with what is in them; both
// rescind offers as far as they must. Errors are as those of Reserve, and nothing
// was made or destroyed.
func (c *Cluster) CreateVolumes(agentID string, list []mesos.Resource) error {
	v, err := creating(list)
	return c.operate(agentID, v, err)
}

// DestroyVolumes is described at CreateVolumes.
func (c *Cluster) DestroyVolumes(agentID string, list []mesos.Resource) error {
	v, err := destroying(list)
	return c.operate(agentID, v, err)
}

// checkVolumes says, in Mesos' words, why volumes cannot be made or destroyed
// on an agent, or "".
func (a *agent) checkVolumes(v conversion) string {
	switch v.name {
	case "CREATE":
		for _, it := range v.to.Items() {
			if a.total.HasVolume(it.Role, it.Volume.ID) {
				return fmt.Sprintf("Persistence ID '%s' is not unique", it.Volume.ID)
			}
		}
	case "DESTROY":
		if !a.total.Contains(v.from) {
			return "Persistent volumes not found"
		}
		for _, t := range a.tasks {
			for _, it := range v.from.Items() {
				if !terminal(*t.State) && t.resources.HasVolume(it.Role, it.Volume.ID) {
					return "Persistent volumes in use"
				}
			}
		}
	}
	return ""
}

// mayCreate: a framework makes volumes in its own name if it has one, under an
// ID that is free.
func (l *launch) mayCreate(v conversion) error {
	if why := l.agent.checkVolumes(v); why != "" {
		return refusalText(why)
	}
	principal := l.fw.info.GetPrincipal()
	if v.name != "CREATE" || principal == "" {
		return nil
	}
	for _, it := range v.to.Items() {
		switch it.Volume.Principal {
		case principal:
		case "":
			return refusalText(fmt.Sprintf("Create volume operation has been attempted by principal '%s', but there is a volume in the operation with no principal set in 'DiskInfo.Persistence'", principal))
		default:
			return refusalText(fmt.Sprintf("Create volume operation has been attempted by principal '%s', but there is a volume in the operation with principal '%s' set in 'DiskInfo.Persistence'", principal, it.Volume.Principal))
		}
	}
	return nil
}
