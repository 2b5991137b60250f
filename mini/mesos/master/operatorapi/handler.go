package operatorapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// newest is the last call that 1.3.2 knows.
const newest = master.Call_TEARDOWN

// Logging is the verbosity of a master's log.
type Logging interface {
	// Level is 0 unless somebody set it.
	Level() uint32
	// SetLevel sets it; after d it is 0 again.
	SetLevel(level uint32, d time.Duration)
}

// API is a leading master as the operator API sees it.
type API struct {
	Cluster *cluster.Cluster
	Master  endpoints.Master
	Logging Logging
}

// Serve answers one request. It returns when the request is done: for
// SUBSCRIBE, when the stream ends.
func (a API) Serve(w http.ResponseWriter, r *http.Request) { v1call.Refuse(w, a.serve(w, r)) }

func (a API) serve(w http.ResponseWriter, r *http.Request) error {
	call := new(master.Call)
	if err := v1call.Read(w, r, call); err != nil {
		return err
	}
	if err := validate(call); err != nil {
		return err
	}
	media, err := v1call.Accepted(r)
	if err != nil {
		return err
	}
	switch call.Type {
	case master.Call_SUBSCRIBE:
		return a.subscribe(w, r, media)
	case master.Call_LIST_FILES, master.Call_READ_FILE:
		return &v1call.Error{Status: http.StatusNotFound}
	}
	if done, err := a.change(w, call); done {
		return err
	}
	response := a.get(call.Type)
	if response == nil {
		return &v1call.Error{Status: http.StatusNotImplemented, Text: fmt.Sprintf("This master has no %s", call.Type)}
	}
	body, err := v1call.Encode(response, media)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", media)
	_, err = w.Write(body)
	return err
}

// validate checks that the call is one of 1.3.2 and that its part is there.
func validate(call *master.Call) error {
	if call.Type > newest && master.Call_Type_name[int32(call.Type)] != "" {
		return v1call.BadRequest("Failed to convert JSON into Call protobuf: Failed to find enum for '%s'", call.Type)
	}
	if call.Type <= master.Call_UNKNOWN || call.Type > newest {
		return v1call.BadRequest("Failed to validate master::Call: Expecting 'type' to be present")
	}
	part, present := "", true
	switch call.Type {
	case master.Call_GET_METRICS:
		part, present = "get_metrics", call.GetMetrics != nil
	case master.Call_SET_LOGGING_LEVEL:
		part, present = "set_logging_level", call.SetLoggingLevel != nil
	case master.Call_LIST_FILES:
		part, present = "list_files", call.ListFiles != nil
	case master.Call_READ_FILE:
		part, present = "read_file", call.ReadFile != nil
	case master.Call_UPDATE_WEIGHTS:
		part, present = "update_weights", call.UpdateWeights != nil
	case master.Call_TEARDOWN:
		part, present = "teardown", call.Teardown != nil
	case master.Call_RESERVE_RESOURCES:
		part, present = "reserve_resources", call.ReserveResources != nil
	case master.Call_UNRESERVE_RESOURCES:
		part, present = "unreserve_resources", call.UnreserveResources != nil
	case master.Call_CREATE_VOLUMES:
		part, present = "create_volumes", call.CreateVolumes != nil
	case master.Call_DESTROY_VOLUMES:
		part, present = "destroy_volumes", call.DestroyVolumes != nil
	case master.Call_UPDATE_MAINTENANCE_SCHEDULE:
		part, present = "update_maintenance_schedule", call.UpdateMaintenanceSchedule != nil
	case master.Call_START_MAINTENANCE:
		part, present = "start_maintenance", call.StartMaintenance != nil
	case master.Call_STOP_MAINTENANCE:
		part, present = "stop_maintenance", call.StopMaintenance != nil
	case master.Call_SET_QUOTA:
		part, present = "set_quota", call.SetQuota != nil
	case master.Call_REMOVE_QUOTA:
		part, present = "remove_quota", call.RemoveQuota != nil
	}
	if !present {
		return v1call.BadRequest("Failed to validate master::Call: Expecting '%s' to be present", part)
	}
	return nil
}
