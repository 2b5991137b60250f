package operatorapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// change does what a call asks for; done is false for a call that changes
// nothing, or nothing that this master has.
func (a API) change(w http.ResponseWriter, call *master.Call) (done bool, err error) {
	switch call.Type {
	case master.Call_SET_LOGGING_LEVEL:
		c := call.SetLoggingLevel
		a.Logging.SetLevel(c.Level, time.Duration(c.Duration.Nanoseconds))
	case master.Call_UPDATE_WEIGHTS:
		err = badRequest(a.Cluster.SetWeights(call.UpdateWeights.WeightInfos))
	case master.Call_UPDATE_MAINTENANCE_SCHEDULE:
		err = badRequest(a.Cluster.SetSchedule(call.UpdateMaintenanceSchedule.Schedule))
	case master.Call_START_MAINTENANCE:
		err = badRequest(a.Cluster.StartMaintenance(call.StartMaintenance.Machines))
	case master.Call_STOP_MAINTENANCE:
		err = badRequest(a.Cluster.StopMaintenance(call.StopMaintenance.Machines))
	case master.Call_SET_QUOTA:
		err = conflict(a.Cluster.SetQuota(call.SetQuota.QuotaRequest))
	case master.Call_REMOVE_QUOTA:
		if err = a.Cluster.RemoveQuota(call.RemoveQuota.Role); err != nil {
			err = refused(err, "Failed to remove quota: "+err.Error())
		}
	case master.Call_RESERVE_RESOURCES:
		c := call.ReserveResources
		err = accepted(w, a.Cluster.Reserve(c.AgentID.Value, c.Resources))
	case master.Call_UNRESERVE_RESOURCES:
		c := call.UnreserveResources
		err = accepted(w, a.Cluster.Unreserve(c.AgentID.Value, c.Resources))
	case master.Call_CREATE_VOLUMES:
		c := call.CreateVolumes
		err = accepted(w, a.Cluster.CreateVolumes(c.AgentID.Value, c.Volumes))
	case master.Call_DESTROY_VOLUMES:
		c := call.DestroyVolumes
		err = accepted(w, a.Cluster.DestroyVolumes(c.AgentID.Value, c.Volumes))
	case master.Call_TEARDOWN:
		if !a.Cluster.Teardown(call.Teardown.FrameworkID.Value) {
			err = v1call.BadRequest("No framework found with specified ID")
		}
	default:
		return false, nil
	}
	return true, err
}

// badRequest is what the cluster refused to change, or nil.
func badRequest(err error) error {
	if err == nil {
		return nil
	}
	return refused(err, err.Error())
}

// refused is the answer for what the cluster has not changed: 503 if it could
// not be written down, of which nothing but silence comes from the real one.
func refused(err error, text string) error {
	status := http.StatusBadRequest
	if errors.Is(err, cluster.ErrOver) {
		status = http.StatusServiceUnavailable
	}
	return &v1call.Error{Status: status, Text: text}
}

// conflict is 409 if there was not enough of something, or badRequest.
func conflict(err error) error {
	if errors.Is(err, cluster.ErrInsufficient) {
		return &v1call.Error{Status: http.StatusConflict, Text: err.Error()}
	}
	return badRequest(err)
}

// accepted answers 202, or is a conflict.
func accepted(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusAccepted)
	}
	return conflict(err)
}
