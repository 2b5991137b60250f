package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/view"
)

func ping(r *request) error {
	r.w.Header().Set("Content-Type", "text/plain;charset=ISO-8859-1")
	_, err := fmt.Fprintln(r.w, "pong")
	return err
}

// metrics has the shape of 1.1.1's and the few figures there are.
func metrics(r *request) error {
	var apps, running, staged int
	err := r.core.Read(func(s core.State) error {
		apps = len(s.Root().Apps)
		for _, id := range s.Owners() {
			for _, t := range s.TasksOf(id) {
				if t.Running() {
					running++
				} else {
					staged++
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	gauge := func(n int) any { return map[string]int{"value": n} }
	return r.json(http.StatusOK, map[string]any{"version": "3.0.0", "counters": map[string]any{}, "histograms": map[string]any{},
		"meters": map[string]any{}, "timers": map[string]any{}, "gauges": map[string]any{
			"service.mesosphere.marathon.app.count":           gauge(apps),
			"service.mesosphere.marathon.task.running.count":  gauge(running),
			"service.mesosphere.marathon.task.staged.count":   gauge(staged),
			"service.mesosphere.marathon.core.leader.current": gauge(1)}})
}

func listDeployments(r *request) error {
	ds, err := view.Deployments(r.core)
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, ds)
}

func deleteDeployment(r *request) error {
	force := r.force()
	res, err := r.core.CancelDeployment(r.PathValue("id"), force)
	if err != nil {
		return err
	}
	if force {
		r.w.WriteHeader(http.StatusAccepted)
		return nil
	}
	return r.json(http.StatusOK, res)
}

func getQueue(r *request) error {
	q, err := view.Queue(r.core)
	if err != nil {
		return err
	}
	return r.json(http.StatusOK, map[string]any{"queue": q})
}

func resetDelay(r *request) error {
	id, ok := strings.CutSuffix("/"+strings.Trim(r.PathValue("id"), "/"), "/delay")
	if !ok || id == "" {
		return noResource(r)
	}
	if err := r.core.ResetDelay(id); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) info(r *request) error {
	id, master := r.core.Framework()
	cfg := map[string]any{"mesos_leader_ui_url": nil}
	if master != "" {
		cfg["mesos_leader_ui_url"] = "http://" + master + "/"
	}
	for k, v := range s.Info.Marathon {
		cfg[k] = v
	}
	var framework *string
	if id != "" {
		framework = &id
	}
	return r.json(http.StatusOK, struct {
		Name      string         `json:"name"`
		Version   string         `json:"version"`
		Elected   bool           `json:"elected"`
		Leader    string         `json:"leader"`
		Framework *string        `json:"frameworkId"`
		Marathon  map[string]any `json:"marathon_config"`
		ZooKeeper map[string]any `json:"zookeeper_config"`
		Events    any            `json:"event_subscriber"`
		HTTP      map[string]any `json:"http_config"`
	}{"marathon", s.Info.Version, true, s.Lead.Leader(), framework, cfg, s.Info.ZooKeeper, s.Info.Events, s.Info.HTTP})
}

func (s *Server) leader(r *request) error {
	addr := s.Lead.Leader()
	if addr == "" {
		return &core.NotFoundError{Message: "There is no leader"}
	}
	return r.json(http.StatusOK, map[string]string{"leader": addr})
}

func (s *Server) abdicate(r *request) error {
	if s.Lead.Leader() == "" {
		return &core.NotFoundError{Message: "There is no leader"}
	}
	s.Lead.Abdicate()
	return r.json(http.StatusOK, message{"Leadership abdicated"})
}

// subscriptions lists, adds and removes endpoints that get events posted.
func subscriptions(r *request) error {
	if r.callbacks == nil {
		return &illegalError{http.StatusBadRequest, "http event callback system is not running on this Marathon instance. " +
			"Please re-start this instance with \"--event_subscriber http_callback\"."}
	}
	endpoint := r.URL.Query().Get("callbackUrl")
	change, kind := r.callbacks.Subscribe, "subscribe_event"
	switch r.Method {
	case http.MethodGet:
		return r.json(http.StatusOK, map[string]any{"callbackUrls": append([]string{}, r.callbacks.URLs()...)})
	case http.MethodDelete:
		change, kind = r.callbacks.Unsubscribe, "unsubscribe_event"
	}
	if err := change(r.Context(), endpoint); err != nil {
		return err
	}
	said := event.Callback{ClientIP: r.clientIP(), CallbackURL: endpoint}
	r.bus.Publish(kind, said)
	return r.json(http.StatusOK, json.RawMessage(event.Print(kind, said, time.Now())))
}
