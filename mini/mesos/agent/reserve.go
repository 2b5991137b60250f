package agent

import (
	"fmt"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// recoverReserved takes up what was dynamically reserved here. It stays
// reserved whatever becomes of the agent's id; that it does not fit resources
// that are fewer now is an error, as in the real one.
func (a *agent) recoverReserved() error {
	list, err := a.store.Reserved()
	if err != nil {
		return err
	}
	if a.reserved = wire.Values(list); len(a.reserved) == 0 {
		return nil
	}
	if _, err := effective(a.info.Resources, a.reserved); err != nil {
		return fmt.Errorf("%w\nTo give the reservations up, remove %s/meta/resources", err, a.cfg.WorkDir)
	}
	a.log.infof("Recovered %d reserved resources", len(a.reserved))
	return a.recoverVolumes()
}

// checkpoint keeps what the master says is reserved here. Volumes are made
// before it is on disk that they are there, and removed when it is that they are
// not.
func (a *agent) checkpoint(m *wire.CheckpointResources) {
	if len(m.Resources) == 0 && len(a.reserved) == 0 {
		return
	}
	before, now := a.volumes(a.reserved), a.volumes(wire.Values(m.Resources))
	for _, v := range added(before, now) {
		if err := a.makeVolume(v); err != nil {
			a.fail(err)
			return
		}
	}
	if err := a.store.SaveReserved(m.Resources); err != nil {
		a.fail(err)
		return
	}
	a.reserved = wire.Values(m.Resources)
	for _, v := range added(now, before) {
		a.log.infof("Removing volume %s of role %s with what is in it", v.id, v.role)
		if err := a.discardVolume(v.dir); err != nil {
			a.log.errorf("%v", err)
		}
	}
	a.log.infof("Updated checkpointed resources: %d are reserved", len(a.reserved))
}

// effective are the agent's resources with some of them reserved, or volumes.
func effective(static, reserved []mesos.Resource) ([]mesos.Resource, error) {
	if len(reserved) == 0 {
		return static, nil
	}
	all, err := resource.FromProto(static)
	if err != nil {
		return static, fmt.Errorf("resources: %w", err)
	}
	kept, err := resource.FromKept(reserved)
	if err != nil {
		return static, fmt.Errorf("checkpointed resources: %w", err)
	}
	total, ok := all.WithReservations(kept)
	if !ok {
		return static, fmt.Errorf("checkpointed resources %s are incompatible with agent resources %s", kept, all)
	}
	return total.Proto(""), nil
}

// resourcesNow adds to /state what the agent has, and what of it is reserved.
func (a *agent) resourcesNow() (total, reserved, unreserved, full mjson.Object) {
	all, err := effective(a.info.Resources, a.reserved)
	if err != nil { // the master keeps them together
		a.log.warningf("%v", err)
	}
	for _, role := range roles(all) {
		if role == "*" {
			continue
		}
		reserved = reserved.Put(role, resources(ofRole(all, role)))
		list := []mjson.Object{}
		for _, r := range ofRole(all, role) {
			list = append(list, mjson.ProtoByNumber(&r))
		}
		full = full.Put(role, list)
	}
	return resources(all), orEmpty(reserved), resources(ofRole(all, "*")), orEmpty(full)
}
