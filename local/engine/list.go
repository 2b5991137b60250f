package engine

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// listKeys are the filters of GET /containers/json.
var listKeys = []string{
	"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network",
	"publish", "since", "status", "volume",
}

// listFilter is what a request for a list wants.
type listFilter struct {
	api.Filters
	all           bool
	images        []string  // of the ancestors
	before, since time.Time // creation times
	exits         []int
}

func (e *Engine) listFilter(query string, all bool) (listFilter, error) {
	f, err := api.ParseFilters(query, listKeys...)
	l := listFilter{Filters: f, all: all || f.Has("status") || f.Has("exited")}
	if err != nil {
		return l, err
	}
	for _, s := range f["status"] {
		if !slices.Contains([]string{created, running, paused, restarting, removing, exited, dead}, s) {
			return l, api.BadRequest("invalid filter 'status=%s'", s)
		}
	}
	for _, v := range f["exited"] {
		n, err := strconv.Atoi(v)
		if err != nil {
			return l, api.BadRequest("invalid filter 'exited=%s'", v)
		}
		l.exits = append(l.exits, n)
	}
	for _, v := range f["ancestor"] {
		if i, err := e.images.find(v); err == nil {
			l.images = append(l.images, e.images.catalogue[i].Name)
		}
	}
	for key, t := range map[string]*time.Time{"before": &l.before, "since": &l.since} {
		for _, v := range f[key] {
			c, err := e.find(v)
			if err != nil {
				return l, err
			}
			*t = c.rec.Created
		}
	}
	return l, nil
}

// wants applies the filter to one container.
func (l listFilter) wants(r record, s api.Summary) bool {
	switch {
	case !l.all && !r.alive(),
		!l.Any("status", func(v string) bool { return v == r.Status }),
		!l.Any("id", func(v string) bool { return strings.HasPrefix(r.ID, v) }) && !l.Pattern("id", r.ID),
		!l.Pattern("name", r.Name) && !l.Pattern("name", "/"+r.Name),
		!l.Labels("label", r.Config.Labels),
		l.Has("ancestor") && !slices.Contains(l.images, r.Image),
		l.Has("exited") && (r.Status != exited || !slices.Contains(l.exits, r.ExitCode)),
		!l.before.IsZero() && !r.Created.Before(l.before),
		!l.since.IsZero() && !r.Created.After(l.since),
		!l.Any("health", func(v string) bool { return v == "none" }),
		!l.Any("is-task", func(v string) bool { return !api.Bool(v) }):
		return false
	}
	network := networkOf(r.HostConfig.NetworkMode)
	return l.Any("network", func(v string) bool { return v == network.name || v == network.id }) &&
		l.Any("volume", func(v string) bool {
			return slices.ContainsFunc(r.Mounts, func(m api.MountPoint) bool { return m.Name == v || m.Destination == v })
		}) && l.ports(r, s)
}

// ports applies publish and expose: "80", "80/tcp" or a range.
func (l listFilter) ports(r record, s api.Summary) bool {
	covers := func(v string, number int, proto string) bool {
		ports, p, ok := strings.Cut(v, "/")
		first, last, err := api.ParseHostPort(ports)
		return err == nil && number >= first && number <= last && (!ok && proto == "tcp" || p == proto)
	}
	published := l.Any("publish", func(v string) bool {
		return slices.ContainsFunc(s.Ports, func(p api.Port) bool {
			return p.PublicPort != 0 && covers(v, int(p.PublicPort), p.Type)
		})
	})
	return published && l.Any("expose", func(v string) bool {
		for key := range r.Config.ExposedPorts {
			if n, proto, err := api.ParsePort(key); err == nil && covers(v, n, proto) {
				return true
			}
		}
		return false
	})
}

func (e *Engine) containerList(w http.ResponseWriter, r *http.Request, _ vars) error {
	limit := -1
	if v := r.FormValue("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return api.BadRequest("invalid limit: %s", v)
		}
		limit = n
	}
	f, err := e.listFilter(r.FormValue("filters"), api.Bool(r.FormValue("all")) || limit > 0)
	if err != nil {
		return err
	}
	list := []api.Summary{}
	for _, c := range e.all() {
		if limit > 0 && len(list) == limit {
			break
		}
		s := c.summary(api.Bool(r.FormValue("size")))
		if f.wants(c.snapshot(), s) {
			list = append(list, s)
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

// containerPrune removes everything that does not run.
func (e *Engine) containerPrune(w http.ResponseWriter, r *http.Request, _ vars) error {
	f, err := api.ParseFilters(r.FormValue("filters"), "label", "label!", "until")
	if err != nil {
		return err
	}
	if f.Has("until") || f.Has("label!") {
		return api.BadRequest("lab-engine prunes containers by label only")
	}
	deleted, freed := []string{}, int64(0)
	for _, c := range e.all() {
		rec := c.snapshot()
		if rec.alive() || !f.Labels("label", rec.Config.Labels) {
			continue
		}
		size := e.tree.Size(c.root())
		if e.remove(r.Context(), c, false, false) == nil {
			deleted, freed = append(deleted, c.id()), freed+size
		}
	}
	return writeJSON(w, http.StatusOK, map[string]any{"ContainersDeleted": deleted, "SpaceReclaimed": freed})
}
