package master

import (
	"errors"
	"net/http"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	operator "github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// maintain answers /maintenance/… and /machine/… (Mesos' docs/maintenance.md).
func maintain(w http.ResponseWriter, r *http.Request, name string, c *cluster.Cluster) {
	get, post := r.Method == http.MethodGet || r.Method == http.MethodHead, r.Method == http.MethodPost
	switch name {
	case "/maintenance/status":
		if !get {
			wrongMethod(w, r, "GET")
			return
		}
		endpoints.Answer(w, r, mjson.Proto(ptr(c.MaintenanceStatus())))
	case "/maintenance/schedule":
		switch {
		case get:
			endpoints.Answer(w, r, mjson.Proto(ptr(c.Schedule())))
		case post:
			var s maintenance.Schedule
			change(w, r, func(body []byte) error { return mjson.Decode(body, &s) }, func() error { return c.SetSchedule(s) })
		default:
			wrongMethod(w, r, "GET", "POST")
		}
	case "/machine/down", "/machine/up":
		if !post {
			wrongMethod(w, r, "POST")
			return
		}
		do := c.StartMaintenance
		if name == "/machine/up" {
			do = c.StopMaintenance
		}
		ids, err := []mesos.MachineID(nil), error(nil)
		change(w, r, func(body []byte) error { ids, err = machines(body); return err }, func() error { return do(ids) })
	}
}

// machines reads a list of machines.
func machines(body []byte) ([]mesos.MachineID, error) {
	var call operator.Call_StartMaintenance
	err := mjson.DecodeArray(body, "machines", &call)
	return call.Machines, err
}

// change reads a body and does what it asks for: 200, or 400 with what was
// wrong.
func change(w http.ResponseWriter, r *http.Request, read func([]byte) error, do func() error) {
	body, err := v1call.Body(w, r, v1call.MaxBody)
	if err != nil {
		v1call.Refuse(w, err)
		return
	}
	if err := read(body); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := do(); err != nil {
		refuseChange(w, err, err.Error())
	}
}

// refuseChange answers with why the cluster has not changed anything.
func refuseChange(w http.ResponseWriter, err error, text string) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, cluster.ErrOver): // of the real one nothing is left to answer
		status = http.StatusServiceUnavailable
	case errors.Is(err, cluster.ErrInsufficient):
		status = http.StatusConflict
	}
	refuse(w, status, text)
}

func ptr[T any](v T) *T { return &v }
