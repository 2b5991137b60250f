package master

import (
	"net/http"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/webui"
)

// webui answers what the page asks below /webui/.
func (m *master) webui(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/webui/")
	agent := strings.HasPrefix(name, "agent/")
	if name != "offers" && !agent {
		webui.Assets(w, r)
		return
	}
	reign := m.leading()
	if reign == nil {
		refuse(w, http.StatusServiceUnavailable, "This master does not lead")
		return
	}
	if !agent {
		endpoints.Answer(w, r, webui.Offers(reign.cluster.OfferLog(), time.Now()))
		return
	}
	client := m.env.HTTPClient()
	defer client.CloseIdleConnections()
	webui.Agent(w, r, client, reign.cluster.AgentURL)
}
