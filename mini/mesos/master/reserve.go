package master

import (
	"fmt"
	"net/http"
	"net/url"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// reserve answers POSTs of /reserve and /unreserve, /create-volumes and
// /destroy-volumes: a form with the agent as slaveId and, in a part of its own,
// what to reserve, or the volumes, as a JSON array.
func reserve(w http.ResponseWriter, r *http.Request, part string, do func(agent string, list []mesos.Resource) error, done int) {
	body, err := v1call.Body(w, r, maxForm)
	if err != nil {
		v1call.Refuse(w, err)
		return
	}
	form, err := url.ParseQuery(string(body))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "Unable to decode query string: "+err.Error())
		return
	case !form.Has("slaveId"):
		refuse(w, http.StatusBadRequest, "Missing 'slaveId' query parameter in the request body")
		return
	case !form.Has(part):
		refuse(w, http.StatusBadRequest, "Missing '"+part+"' query parameter in the request body")
		return
	}
	list, err := resourcesOf(form.Get(part))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Error in parsing '%s' query parameter in the request body: %v", part, err))
		return
	}
	if err := do(form.Get("slaveId"), list); err != nil {
		refuseChange(w, err, err.Error())
		return
	}
	w.WriteHeader(done)
}

// resourcesOf reads a JSON array of resources.
func resourcesOf(text string) ([]mesos.Resource, error) {
	var op mesos.Offer_Operation_Reserve
	err := mjson.DecodeArray([]byte(text), "resources", &op)
	return op.Resources, err
}

// reservedStatus is 200 in 0.26 (contracts 6.1).
func reservedStatus(c *cluster.Cluster) int {
	if c.Generation() == cluster.V026 {
		return http.StatusOK
	}
	return http.StatusAccepted
}
