package endpoints

import (
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
)

// MaintenanceStatus sorts the machines of the schedule by their mode. There
// are no inverse offers, so that no framework has answered one.
func MaintenanceStatus(machines []mesos.MachineInfo) maintenance.ClusterStatus {
	var s maintenance.ClusterStatus
	for _, m := range machines {
		if *m.Mode == mesos.DOWN {
			s.DownMachines = append(s.DownMachines, m.ID)
		} else {
			s.DrainingMachines = append(s.DrainingMachines, maintenance.ClusterStatus_DrainingMachine{ID: m.ID})
		}
	}
	return s
}
