package master

import (
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	operator "github.com/mesos/mesos-go/api/v1/lib/master"
	mcalls "github.com/mesos/mesos-go/api/v1/lib/master/calls"
	"github.com/mesos/mesos-go/api/v1/lib/quota"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// operatorChanges makes mesos-go's calls that change quota, reservations, volumes
// and maintenance, and looks at what they did, with an agent that no task is on.
func operatorChanges(t *testing.T, ask func(*operator.Call) *operator.Response, agent mesos.AgentInfo) {
	t.Helper()
	role := "web"
	ask(mcalls.SetQuota(quota.QuotaRequest{Role: &role, Guarantee: resource.CPUMem(1, 64).Proto("")}))
	if q := ask(mcalls.GetQuota()).GetQuota.Status.Infos; len(q) != 1 || q[0].GetRole() != role || len(q[0].Guarantee) != 2 {
		t.Errorf("quota: %v", q)
	}
	ask(mcalls.RemoveQuota(role))
	if q := ask(mcalls.GetQuota()).GetQuota.Status.Infos; len(q) != 0 {
		t.Errorf("quota: %v", q)
	}

	some := reserved(role, "ops", 1, 64)
	reservedThere := func() (n int) {
		for _, a := range ask(mcalls.GetAgents()).GetAgents.Agents {
			for _, r := range a.TotalResources {
				if a.AgentInfo.ID.Value == agent.ID.Value && r.Reservation.GetPrincipal() == "ops" && r.GetRole() == role {
					n++
				}
			}
		}
		return n
	}
	ask(mcalls.ReserveResources(*agent.ID, some...))
	if n := reservedThere(); n != 2 {
		t.Errorf("%d resources are reserved", n)
	}
	vol := volumeOf(disk(role, "ops", 64), "data", "d")
	volumes := func() (n int) {
		for _, a := range ask(mcalls.GetAgents()).GetAgents.Agents {
			for _, r := range a.TotalResources {
				if a.AgentInfo.ID.Value == agent.ID.Value && r.GetDisk().GetPersistence().GetID() == "data" && r.GetDisk().GetVolume().GetContainerPath() == "d" {
					n++
				}
			}
		}
		return n
	}
	ask(mcalls.ReserveResources(*agent.ID, disk(role, "ops", 64)))
	ask(mcalls.CreateVolumes(*agent.ID, vol))
	if n := volumes(); n != 1 {
		t.Errorf("%d volumes", n)
	}
	ask(mcalls.DestroyVolumes(*agent.ID, vol))
	if n := volumes(); n != 0 {
		t.Errorf("%d volumes still", n)
	}
	ask(mcalls.UnreserveResources(*agent.ID, append(some, disk(role, "ops", 64))...))
	if n := reservedThere(); n != 0 {
		t.Errorf("%d resources are reserved still", n)
	}

	ip := "10.0.0.3"
	id := mesos.MachineID{Hostname: &agent.Hostname, IP: &ip}
	start := mesos.Unavailability{Start: mesos.TimeInfo{Nanoseconds: time.Now().UnixNano()}}
	ask(mcalls.UpdateMaintenanceSchedule(maintenance.Schedule{Windows: []maintenance.Window{{MachineIDs: []mesos.MachineID{id}, Unavailability: start}}}))
	status := func() maintenance.ClusterStatus {
		return ask(mcalls.GetMaintenanceStatus()).GetMaintenanceStatus.Status
	}
	if s := status(); len(s.DrainingMachines) != 1 || !s.DrainingMachines[0].ID.Equal(id) {
		t.Errorf("planned: %v", s)
	}
	ask(mcalls.StartMaintenance(id))
	if s := status(); len(s.DownMachines) != 1 || len(ask(mcalls.GetAgents()).GetAgents.Agents) != 1 {
		t.Errorf("down: %v", s)
	}
	ask(mcalls.StopMaintenance(id))
	if s := ask(mcalls.GetMaintenanceSchedule()).GetMaintenanceSchedule.Schedule; len(s.Windows) != 0 {
		t.Errorf("up: %v", s)
	}
}
