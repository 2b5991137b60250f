package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/mesoslab/lab"
)

// What brings a platform back to an earlier state.

// passing are the fields of an app that are not its configuration: they change
// by themselves.
var passing = []string{
	"tasks", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "deployments", "lastTaskFailure", "taskStats",
	"readinessCheckResults", "version", "versionInfo",
}

// Config is an app's configuration, complete with Marathon's defaults, as
// Marathon shows it: what somebody has asked for, without what came of it.
func (a App) Config() (json.RawMessage, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(a.Raw, &doc); err != nil {
		return nil, fmt.Errorf("app %s: %w", a.ID, err)
	}
	for _, name := range passing {
		delete(doc, name)
	}
	if _, ok := doc["fetch"]; ok {
		delete(doc, "uris") // Marathon prints both and takes back only one of them
	}
	return json.Marshal(doc)
}

// SameConfig compares what Config gave at two times, but for the number of
// instances.
func SameConfig(a, b json.RawMessage) bool {
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	for _, doc := range []map[string]any{x, y} {
		delete(doc, "instances")
		if _, ok := doc["fetch"]; ok {
			delete(doc, "uris")
		}
	}
	return reflect.DeepEqual(x, y)
}

// ResetDelay lets an app that backs off after failures be launched at once.
// One that waits for nothing is no error.
func (m *Marathon) ResetDelay(ctx context.Context, id string) error {
	path := "/v2/queue/" + strings.TrimPrefix(appPath(id), "/v2/apps/") + "/delay"
	if _, err := m.call(ctx, http.MethodDelete, path, nil); err != nil && !errors.Is(err, lab.ErrNotFound) {
		return err
	}
	return nil
}

// Teardown ends a framework with all its tasks. One that is not there is
// lab.ErrNotFound.
func (m *Mesos) Teardown(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	form := strings.NewReader(url.Values{"frameworkId": {id}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Base+"/master/teardown", form)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := m.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("mesos: %w", err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case strings.Contains(string(text), "No framework found"):
		return fmt.Errorf("framework %s: %w", id, lab.ErrNotFound)
	}
	return fmt.Errorf("mesos: tear down framework %s: %s: %s", id, resp.Status, strings.TrimSpace(string(text)))
}
