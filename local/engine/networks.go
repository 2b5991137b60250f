package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// network is one of the three networks there are.
type network struct{ id, name, driver string }

func makeNetwork(name, driver string) network {
	sum := sha256.Sum256([]byte(ServerName + " network " + name))
	return network{hex.EncodeToString(sum[:]), name, driver}
}

func networks() []network {
	return []network{makeNetwork("bridge", "bridge"), makeNetwork("host", "host"), makeNetwork("none", "null")}
}

// networkOf is the network of a NetworkMode.
func networkOf(mode string) network {
	for _, n := range networks() {
		if n.name == mode {
			return n
		}
	}
	return networks()[0]
}

// endpoint is a container's place in its network. In bridge mode its address
// is the machine's: there are no network namespaces.
func (c *container) endpoint(r record) (string, api.Endpoint) {
	n := networkOf(r.HostConfig.NetworkMode)
	ep := api.Endpoint{NetworkID: n.id}
	if c.life != nil {
		sum := sha256.Sum256([]byte(r.ID + api.FormatTime(r.StartedAt)))
		ep.EndpointID = hex.EncodeToString(sum[:])
		if n.name == "bridge" {
			ep.IPAddress, ep.Gateway, ep.IPPrefixLen = c.e.cfg.IP, c.e.cfg.IP, 24
		}
	}
	return n.name, ep
}

func (e *Engine) networkJSON(n network) map[string]any {
	members := map[string]any{}
	for _, c := range e.all() {
		c.mu.Lock()
		name, ep := c.endpoint(c.rec)
		if c.life != nil && name == n.name {
			address := ""
			if ep.IPAddress != "" {
				address = ep.IPAddress + "/24"
			}
			members[c.id()] = map[string]string{
				"Name": c.rec.Name, "EndpointID": ep.EndpointID, "MacAddress": "", "IPv4Address": address, "IPv6Address": "",
			}
		}
		c.mu.Unlock()
	}
	ipam := map[string]any{"Driver": "default", "Options": nil, "Config": []any{}}
	return map[string]any{
		"Name": n.name, "Id": n.id, "Created": e.since.UTC().Format(time.RFC3339Nano), "Scope": "local", "Driver": n.driver,
		"EnableIPv4": true, "EnableIPv6": false, "IPAM": ipam, "Internal": false, "Attachable": false, "Ingress": false,
		"ConfigFrom": map[string]string{"Network": ""}, "ConfigOnly": false, "Containers": members,
		"Options": map[string]string{}, "Labels": map[string]string{},
	}
}

func (e *Engine) networkList(w http.ResponseWriter, r *http.Request, _ vars) error {
	f, err := api.ParseFilters(r.FormValue("filters"), "dangling", "driver", "id", "label", "name", "scope", "type")
	if err != nil {
		return err
	}
	list := []map[string]any{}
	for _, n := range networks() {
		id := f.Any("id", func(v string) bool { return strings.HasPrefix(n.id, v) })
		dangling := f.Any("dangling", func(v string) bool { return !api.Bool(v) })
		if id && dangling && f.Pattern("name", n.name) && f.Exact("driver", n.driver) && f.Exact("scope", "local") &&
			f.Exact("type", "builtin") && f.Labels("label", nil) {
			list = append(list, e.networkJSON(n))
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

func (e *Engine) findNetwork(ref string) (network, error) {
	for _, n := range networks() {
		if n.name == ref || len(ref) >= 4 && strings.HasPrefix(n.id, ref) {
			return n, nil
		}
	}
	return network{}, api.NotFound("network %s not found", ref)
}

func (e *Engine) networkInspect(w http.ResponseWriter, _ *http.Request, v vars) error {
	n, err := e.findNetwork(v["id"])
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e.networkJSON(n))
}

func (e *Engine) networkRemove(_ http.ResponseWriter, _ *http.Request, v vars) error {
	n, err := e.findNetwork(v["id"])
	if err != nil {
		return err
	}
	return api.Errorf(http.StatusForbidden, "%s is a pre-defined network and cannot be removed", n.name)
}

func (e *Engine) networkPrune(w http.ResponseWriter, _ *http.Request, _ vars) error {
	return writeJSON(w, http.StatusOK, map[string]any{"NetworksDeleted": []string{}})
}
