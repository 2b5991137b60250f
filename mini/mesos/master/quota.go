package master

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mesos/mesos-go/api/v1/lib/quota"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// quotas answers GET and POST of /quota and DELETE of /quota/ROLE (Mesos'
// docs/quota.md).
func quotas(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		endpoints.Answer(w, r, mjson.Proto(ptr(c.Quotas())))
	case http.MethodPost:
		setQuota(w, r, c)
	case http.MethodDelete:
		removeQuota(w, r, c)
	default:
		wrongMethod(w, r, "GET", "POST", "DELETE")
	}
}

func setQuota(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	body, err := v1call.Body(w, r, maxForm)
	if err != nil {
		v1call.Refuse(w, err)
		return
	}
	var request quota.QuotaRequest
	if err := mjson.Decode(body, &request); err != nil {
		step := "validate"
		if syntax := (*mjson.SyntaxError)(nil); errors.As(err, &syntax) {
			step = "parse"
		}
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Failed to %s set quota request JSON '%s': %v", step, short(body), err))
		return
	}
	if err := c.SetQuota(request); err != nil {
		refuseChange(w, err, err.Error())
	}
}

func removeQuota(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	path := "/master" + strings.TrimPrefix(r.URL.Path, "/master")
	role, _ := strings.CutPrefix(path, "/master/quota")
	role = strings.Trim(role, "/")
	if role == "" {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Failed to parse remove quota request for path '%s': expected 3 tokens, found 2 tokens", path))
		return
	}
	err := c.RemoveQuota(role)
	var unknown *cluster.UnknownRoleError
	switch {
	case errors.As(err, &unknown):
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Failed to validate remove quota request for path '%s': %v", path, err))
	case err != nil:
		refuseChange(w, err, fmt.Sprintf("Failed to remove quota for path '%s': %v", path, err))
	}
}
