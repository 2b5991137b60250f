package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/change"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// oneGroup serves /v2/groups and everything below it.
func oneGroup(r *request) error {
	parts := app.Segments(r.PathValue("id"))
	n := len(parts)
	if n > 0 && r.Method == http.MethodGet {
		switch {
		case parts[n-1] == "versions":
			return groupVersions(r, "/"+strings.Join(parts[:n-1], "/"))
		case n > 1 && parts[n-2] == "versions":
			return groupVersion(r, "/"+strings.Join(parts[:n-2], "/"), parts[n-1])
		case parts[n-1] == "apps":
			return groupApps(r, "/"+strings.Join(parts[:n-1], "/"))
		}
	}
	id := "/" + strings.Join(parts, "/")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return getGroup(r, id)
	case http.MethodPost, http.MethodPut:
		return changeGroup(r, id)
	case http.MethodDelete:
		res, err := change.DeleteGroup(r.core, id, r.force())
		if err != nil {
			return err
		}
		return r.json(http.StatusOK, res)
	}
	return errMethod
}

func getGroup(r *request, id string) error {
	deep, apps := groupEmbeds(r)
	v, err := view.Group(r.core, id, nil, deep, apps)
	if err != nil {
		// Like 1.1.1: the path of an app shows the app.
		if a, appErr := view.One(r.core, id, view.Embed{}); appErr == nil {
			return r.json(http.StatusOK, a.App)
		}
		return err
	}
	return r.json(http.StatusOK, v)
}

// groupEmbeds reads what to show of a group: without any embed, child
// groups and apps.
func groupEmbeds(r *request) (deep bool, apps *view.Embed) {
	words := r.URL.Query()["embed"]
	if len(words) == 0 {
		return true, &view.Embed{}
	}
	deep = slices.Contains(words, "group.groups")
	if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "group.apps") }) {
		e := r.embeds(view.Embed{})
		apps = &e
	}
	return deep, apps
}

func changeGroup(r *request, id string) error {
	body, err := r.body()
	if err != nil {
		return err
	}
	u, err := group.ParseUpdate(body)
	if err != nil {
		return err
	}
	if u.ID != nil { // seen from the path, for PUT too: PUT /v2/groups/a of "b" is /a/b
		id = app.Absolute(*u.ID, id)
	}
	if r.flag("dryRun", false) && r.Method == http.MethodPut {
		steps, err := change.PlanGroup(r.core, id, u)
		if err != nil {
			return err
		}
		return r.json(http.StatusOK, map[string]any{"steps": steps})
	}
	carry, status := change.UpdateGroup, http.StatusOK
	if r.Method == http.MethodPost {
		carry, status = change.CreateGroup, http.StatusCreated
	}
	res, err := carry(r.core, id, u, r.force())
	if err != nil {
		return err
	}
	if status == http.StatusCreated {
		r.w.Header().Set("Location", "/v2/groups"+id)
	}
	return r.json(status, res)
}

func groupVersions(r *request, id string) error {
	vs, err := view.GroupVersions(r.core, id)
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, vs)
}

func groupVersion(r *request, id, version string) error {
	v, err := app.ParseTime(version)
	if err != nil {
		return &illegalError{http.StatusUnprocessableEntity, "Invalid format: \"" + version + "\""}
	}
	g, err := view.Group(r.core, id, &v, true, &view.Embed{})
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, g)
}

func groupApps(r *request, id string) error {
	ids, err := view.Below(r.core, id)
	var none *core.NotFoundError
	if errors.As(err, &none) {
		return getGroup(r, app.Absolute("apps", id)) // a group may be called apps
	}
	if err != nil {
		return err
	}
	apps, err := view.Apps(r.core, r.embeds(view.Embed{}), func(a app.App) bool { return slices.Contains(ids, a.ID) })
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, apps)
}
