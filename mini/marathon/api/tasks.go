package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/task"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// scaling reads scale and wipe, which exclude each other.
func (r *request) scaling() (bool, error) {
	scale := r.flag("scale", false)
	if scale && r.flag("wipe", false) {
		return false, &illegalError{http.StatusBadRequest, "You cannot use scale and wipe at the same time."}
	}
	return scale, nil
}

func appTasks(r *request, id string) error {
	switch r.Method {
	case http.MethodGet:
		if _, err := view.One(r.core, id, view.Embed{}); err != nil {
			return err
		}
		return showTasks(r, false, []string{id}, func(t *task.Task) bool { return t.AppID == id })
	case http.MethodDelete:
		host := r.URL.Query().Get("host")
		v, err := view.One(r.core, id, view.Embed{Tasks: true})
		if err != nil {
			return err
		}
		var ids []string
		for _, t := range v.Tasks {
			if host == "" || host == "*" || host == t.Host {
				ids = append(ids, t.ID)
			}
		}
		return kill(r, ids, func(ts []task.View) any { return map[string]any{"tasks": ts} })
	}
	return errMethod
}

func tasksBelow(r *request, groupID string) error {
	ids, err := view.Below(r.core, groupID)
	if err != nil {
		return err
	}
	return showTasks(r, false, append([]string{}, ids...), func(t *task.Task) bool { return slices.Contains(ids, t.AppID) })
}

func appTask(r *request, id, taskID string) error {
	if r.Method != http.MethodDelete {
		return errMethod
	}
	v, err := view.One(r.core, id, view.Embed{Tasks: true})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(v.Tasks, func(t task.View) bool { return t.ID == taskID }) {
		return &core.NotFoundError{Message: "Task '" + taskID + "' does not exist"}
	}
	return kill(r, []string{taskID}, func(ts []task.View) any {
		if len(ts) == 0 {
			return map[string]any{"task": nil}
		}
		return map[string]any{"task": ts[0]}
	})
}

// kill ends tasks and answers with them, or with the deployment that scales.
func kill(r *request, ids []string, show func([]task.View) any) error {
	scale, err := r.scaling()
	if err != nil {
		return err
	}
	ts, res, err := r.core.KillTasks(ids, scale, r.force())
	switch {
	case err != nil:
		return err
	case scale:
		return r.json(http.StatusOK, res)
	}
	return r.json(http.StatusOK, show(ts))
}

func listTasks(r *request) error {
	q := r.URL.Query()
	want := slices.Concat(q["status"], q["status[]"])
	return showTasks(r, true, nil, func(t *task.Task) bool {
		state := "running"
		if !t.Running() {
			state = "staging"
		}
		return len(want) == 0 || slices.Contains(want, state)
	})
}

// showTasks prints tasks as JSON or, if the client prefers it, as text with a
// line for each of the apps named; nil is all.
func showTasks(r *request, servicePorts bool, appIDs []string, keep func(*task.Task) bool) error {
	ts, err := view.Tasks(r.core, keep)
	if err != nil {
		return err
	}
	if r.plain() {
		apps, err := view.Apps(r.core, view.Embed{}, func(a app.App) bool { return appIDs == nil || slices.Contains(appIDs, a.ID) })
		if err != nil {
			return err
		}
		r.w.Header().Set("Content-Type", "text/plain")
		_, err = fmt.Fprint(r.w, endpoints(apps, ts))
		return err
	}
	if !servicePorts {
		for i := range ts {
			ts[i].ServicePorts = nil
		}
	}
	return r.json(http.StatusOK, map[string]any{"tasks": ts})
}

// endpoints prints one line for each service port of each app: the app, the
// port, and host:port of every running task, with tabs between. A task that
// has no such port (its app has got one more since) shows port 0.
func endpoints(apps []view.App, ts []task.View) string {
	running := map[string][]task.View{}
	for _, t := range ts {
		if !t.StartedAt.IsZero() {
			running[t.AppID] = append(running[t.AppID], t)
		}
	}
	var b strings.Builder
	for _, a := range apps {
		tasks := running[a.ID]
		slices.SortStableFunc(tasks, func(a, b task.View) int { return cmp.Compare(a.Host, b.Host) })
		if len(a.Ports) == 0 {
			fmt.Fprintf(&b, "%s\t \t", app.Underscored(a.ID))
			for _, t := range tasks {
				fmt.Fprintf(&b, "%s ", t.Host)
			}
			b.WriteByte('\n')
		}
		for i, port := range a.Ports {
			fmt.Fprintf(&b, "%s\t%d\t", app.Underscored(a.ID), port)
			for _, t := range tasks {
				at := 0
				if i < len(t.Ports) {
					at = t.Ports[i]
				}
				fmt.Fprintf(&b, "%s:%d\t", t.Host, at)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func deleteTasks(r *request) error {
	body, err := r.body()
	if err != nil {
		return err
	}
	var ids []string
	err = app.Read(body, func(v app.Value) {
		if f, ok := v.Field("ids"); ok {
			ids = f.Texts()
		} else if v.Object() {
			f.Fail("error.path.missing")
		}
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := app.OfTask(id); !ok {
			return &illegalError{http.StatusBadRequest, "Invalid task id '" + id + "'."}
		}
	}
	return kill(r, ids, func(ts []task.View) any { return map[string]any{"tasks": ts} })
}
