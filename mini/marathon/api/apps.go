package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/change"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// embeds reads the embed parameters. Prefixes apps., app. and group.apps.
// mean the same; unknown words are ignored. tasks pulls deployments.
func (r *request) embeds(always view.Embed) view.Embed {
	e := always
	for _, v := range r.URL.Query()["embed"] {
		for _, p := range []string{"group.apps.", "apps.", "app."} {
			v = strings.TrimPrefix(v, p)
		}
		switch v {
		case "tasks":
			e.Tasks, e.Deployments = true, true
		case "counts", "count":
			e.Counts = true
		case "deployments":
			e.Deployments = true
		case "readiness":
			e.Readiness = true
		case "taskStats":
			e.TaskStats = true
		case "lastTaskFailure":
			e.LastTaskFailure = true
		case "failures":
			e.Tasks, e.Deployments, e.Counts, e.LastTaskFailure = true, true, true, true
		}
	}
	return e
}

func listApps(r *request) error {
	q := r.URL.Query()
	labels, err := parseSelector(q.Get("label"))
	if err != nil {
		return err
	}
	cmd, id := strings.ToLower(q.Get("cmd")), strings.ToLower(q.Get("id"))
	apps, err := view.Apps(r.core, r.embeds(view.Embed{Counts: true, Deployments: true}), func(a app.App) bool {
		if cmd != "" && (a.Cmd == nil || !strings.Contains(strings.ToLower(*a.Cmd), cmd)) {
			return false
		}
		return strings.Contains(strings.ToLower(a.ID), id) && labels.match(a.Labels)
	})
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, map[string]any{"apps": apps})
}

func postApp(r *request) error {
	body, err := r.body()
	if err != nil {
		return err
	}
	u, err := app.ParseNew(body)
	if err != nil {
		return err
	}
	id, res, err := change.CreateApp(r.core, u, r.force())
	if err != nil {
		return err
	}
	v, err := view.Created(r.core, id, res)
	if err != nil {
		return err
	}
	r.published(v.App)
	r.w.Header().Set("Location", "/v2/apps"+v.ID)
	return r.json(http.StatusCreated, v)
}

// published tells the event stream about a POST or PUT of one app.
func (r *request) published(a app.App) {
	r.bus.Publish(event.APIPost, event.Post{ClientIP: r.clientIP(), URI: r.URL.Path, AppDefinition: a})
}

func putApps(r *request) error {
	body, err := r.body()
	if err != nil {
		return err
	}
	us, err := app.ParseUpdates(body)
	if err != nil {
		return err
	}
	res, err := change.UpdateApps(r.core, us, r.force())
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, res)
}

// oneApp serves everything below /v2/apps/: ids hold slashes, so what is
// asked for is found from the end.
func oneApp(r *request) error {
	parts := app.Segments(r.PathValue("id"))
	n := len(parts)
	id := func(cut int) string { return "/" + strings.Join(parts[:n-cut], "/") }
	last := func(i int) string {
		if n < i {
			return ""
		}
		return parts[n-i]
	}
	switch {
	case n == 0:
		switch r.Method {
		case http.MethodGet:
			return listApps(r)
		case http.MethodPost:
			return postApp(r)
		case http.MethodPut:
			return putApps(r)
		}
		return errMethod
	case last(1) == "*" && r.Method == http.MethodGet:
		return appsBelow(r, id(1))
	case last(2) == "*" && last(1) == "tasks" && r.Method == http.MethodGet:
		return tasksBelow(r, id(2))
	case last(1) == "restart" && n > 1:
		return restartApp(r, id(1))
	case last(1) == "tasks" && n > 1:
		return appTasks(r, id(1))
	case last(2) == "tasks" && n > 2:
		return appTask(r, id(2), last(1))
	case last(1) == "versions" && n > 1:
		return appVersions(r, id(1))
	case last(2) == "versions" && n > 2:
		return appVersion(r, id(2), last(1))
	}
	return theApp(r, id(0))
}

func theApp(r *request, id string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		v, err := view.One(r.core, id, r.embeds(view.Embed{Counts: true, Deployments: true, Tasks: true, LastTaskFailure: true}))
		if err != nil {
			return err
		}
		return r.json(http.StatusOK, map[string]any{"app": v})
	case http.MethodPut:
		return putApp(r, id)
	case http.MethodDelete:
		res, err := change.DeleteApp(r.core, id, r.flag("force", true))
		if err != nil {
			return err
		}
		return r.json(http.StatusOK, res)
	}
	return errMethod
}

func putApp(r *request, id string) error {
	body, err := r.body()
	if err != nil {
		return err
	}
	u, err := app.ParseUpdate(body)
	if err != nil {
		return err
	}
	res, created, err := change.UpdateApp(r.core, id, u, r.force())
	if err != nil {
		return err
	}
	if v, err := view.One(r.core, id, view.Embed{}); err == nil {
		r.published(v.App)
	}
	if created {
		r.w.Header().Set("Location", "/v2/apps"+id)
		return r.json(http.StatusCreated, res)
	}
	return r.json(http.StatusOK, res)
}

func restartApp(r *request, id string) error {
	if r.Method != http.MethodPost {
		return errMethod
	}
	res, err := change.RestartApp(r.core, id, r.force())
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, res)
}

func appsBelow(r *request, groupID string) error {
	ids, err := view.Below(r.core, groupID)
	if err != nil {
		return err
	}
	apps, err := view.Apps(r.core, r.embeds(view.Embed{Counts: true, Deployments: true, Tasks: true}), func(a app.App) bool {
		return slices.Contains(ids, a.ID)
	})
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, map[string]any{"*": apps})
}

func appVersions(r *request, id string) error {
	if r.Method != http.MethodGet {
		return errMethod
	}
	vs, err := view.Versions(r.core, id)
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, map[string]any{"versions": vs})
}

func appVersion(r *request, id, version string) error {
	if r.Method != http.MethodGet {
		return errMethod
	}
	v, err := app.ParseTime(version)
	if err != nil {
		return &illegalError{http.StatusUnprocessableEntity, "Invalid format: \"" + version + "\""}
	}
	a, err := view.Version(r.core, id, v)
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, a)
}
