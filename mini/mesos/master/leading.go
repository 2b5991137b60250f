package master

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	operator "github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/operatorapi"
	"github.com/mesoslab/lab/mini/mesos/master/schedulerapi"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/v1call"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// maxForm is the longest form that is read, in bytes.
const maxForm = 1 << 16

func needsLeader(name string) bool {
	return isPostOnly(name) || slices.Contains([]string{
		"/state", "/state.json", "/state-summary", "/slaves", "/frameworks", "/tasks", "/tasks.json",
		"/roles", "/roles.json", "/weights", "/quota", "/maintenance/schedule", "/maintenance/status",
		"/api/v1", "/api/v1/scheduler", wire.Path,
	}, name)
}

// isPostOnly says whether a path only takes POST.
func isPostOnly(name string) bool {
	return slices.Contains([]string{
		"/teardown", "/machine/down", "/machine/up", "/reserve", "/unreserve", "/create-volumes", "/destroy-volumes",
	}, name)
}

// serveLeading answers what only a leading master can.
func (m *master) serveLeading(w http.ResponseWriter, r *http.Request, name string, reign *reign) {
	switch name {
	case "/api/v1":
		operatorapi.API{Cluster: reign.cluster, Master: m.view(), Logging: m.log}.Serve(w, r)
		return
	case "/api/v1/scheduler":
		schedulerapi.Serve(w, r, reign.cluster)
		return
	case wire.Path:
		m.serveAgent(w, r, reign)
		return
	case "/weights":
		weights(w, r, reign.cluster)
		return
	case "/maintenance/schedule", "/maintenance/status", "/machine/down", "/machine/up":
		maintain(w, r, name, reign.cluster)
		return
	case "/quota":
		quotas(w, r, reign.cluster)
		return
	}
	if isPostOnly(name) {
		post(w, r, name, reign.cluster)
		return
	}
	var v any
	s := reign.cluster.Snapshot()
	switch strings.TrimSuffix(name, ".json") {
	case "/state":
		v = endpoints.State(m.view(), s)
	case "/state-summary":
		v = endpoints.Summary(m.view(), s)
	case "/slaves":
		v = endpoints.Slaves(s, r.URL.Query().Get("slave_id"))
	case "/frameworks":
		v = endpoints.Frameworks(s, r.URL.Query().Get("framework_id"))
	case "/tasks":
		v = endpoints.Tasks(s, r.URL.Query())
	case "/roles":
		v = endpoints.Roles(s)
	}
	endpoints.Answer(w, r, v)
}

func post(w http.ResponseWriter, r *http.Request, name string, c *cluster.Cluster) {
	switch {
	case strings.HasSuffix(name, "-volumes") && c.Generation() == cluster.V026: // they are later
		w.WriteHeader(http.StatusNotFound)
	case r.Method != http.MethodPost:
		wrongMethod(w, r, "POST")
	case name == "/teardown":
		teardown(w, r, c)
	case name == "/reserve":
		reserve(w, r, "resources", c.Reserve, reservedStatus(c))
	case name == "/unreserve":
		reserve(w, r, "resources", c.Unreserve, reservedStatus(c))
	case name == "/create-volumes":
		reserve(w, r, "volumes", c.CreateVolumes, http.StatusAccepted)
	case name == "/destroy-volumes":
		reserve(w, r, "volumes", c.DestroyVolumes, http.StatusAccepted)
	}
}

// wrongMethod is the answer to a method that a path does not take.
func wrongMethod(w http.ResponseWriter, r *http.Request, allowed ...string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	refuse(w, http.StatusMethodNotAllowed,
		fmt.Sprintf("Expecting one of { '%s' }, but received '%s'", strings.Join(allowed, "', '"), r.Method))
}

func teardown(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	body, err := v1call.Body(w, r, maxForm)
	if err != nil {
		v1call.Refuse(w, err)
		return
	}
	form, err := url.ParseQuery(string(body))
	id := form.Get("frameworkId")
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "Unable to decode query string")
	case id == "":
		refuse(w, http.StatusBadRequest, "Missing 'frameworkId' query parameter in the request body")
	case !c.Teardown(id):
		refuse(w, http.StatusBadRequest, "No framework found with specified ID")
	}
}

// weights answers GET and PUT of /weights.
func weights(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		endpoints.Answer(w, r, endpoints.Weights(c.Snapshot()))
		return
	case http.MethodPut:
	default:
		wrongMethod(w, r, "GET", "PUT")
		return
	}
	body, err := v1call.Body(w, r, maxForm)
	if err != nil {
		v1call.Refuse(w, err)
		return
	}
	var call operator.Call_UpdateWeights
	if err := mjson.DecodeArray(body, "weight_infos", &call); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Failed to parse update weights request JSON '%s': %v", short(body), err))
		return
	}
	if err := c.SetWeights(call.WeightInfos); err != nil {
		refuseChange(w, err, err.Error())
	}
}

// short is what of a body is repeated in an answer.
func short(body []byte) string {
	const most = 200
	if len(body) <= most {
		return string(body)
	}
	return string(body[:most]) + "…"
}
