package master

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/v1call"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// reserve answers POSTs of /reserve and /unreserve: a form with the agent as
// slaveId and what to reserve as a JSON array.
func reserve(w http.ResponseWriter, r *http.Request, do func(agent string, list []mesos.Resource) error, done int) {
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
	case !form.Has("resources"):
		refuse(w, http.StatusBadRequest, "Missing 'resources' query parameter in the request body")
		return
	}
	list, err := resourcesOf(form.Get("resources"))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Error in parsing 'resources' query parameter in the request body: %v", err))
		return
	}
	switch err := do(form.Get("slaveId"), list); {
	case errors.Is(err, cluster.ErrInsufficient):
		refuse(w, http.StatusConflict, err.Error())
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		w.WriteHeader(done)
	}
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
