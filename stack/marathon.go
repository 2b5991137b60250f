package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mesoslab/lab"
)

// Marathon speaks REST API v2 of Marathon 1.1.1 and later (contracts 1). App
// ids may be given with or without the slash in front. Refused changes are
// *lab.Error with the id app-refused (app-locked while a deployment runs);
// missing apps wrap lab.ErrNotFound.
type Marathon struct {
	Base string // http://192.168.59.1:8080
	HTTP *http.Client
}

// Ping returns nil if Marathon answers at all.
func (m *Marathon) Ping(ctx context.Context) error {
	_, err := m.call(ctx, http.MethodGet, "/ping", nil)
	return err
}

// Leader returns host:port of the leading Marathon.
func (m *Marathon) Leader(ctx context.Context) (string, error) {
	var out struct{ Leader string }
	if err := m.get(ctx, "/v2/leader", &out); err != nil {
		return "", err
	}
	if out.Leader == "" {
		return "", errors.New("marathon: no leader")
	}
	return out.Leader, nil
}

// Info reads /v2/info.
func (m *Marathon) Info(ctx context.Context) (MarathonInfo, error) {
	var out MarathonInfo
	return out, m.get(ctx, "/v2/info", &out)
}

// Apps returns all apps with their tasks and last failures.
func (m *Marathon) Apps(ctx context.Context) ([]App, error) {
	var out struct{ Apps []App }
	err := m.get(ctx, "/v2/apps?embed=apps.tasks&embed=apps.lastTaskFailure", &out)
	return out.Apps, err
}

// AppsLabelled returns the apps with a label of that value, with their tasks.
func (m *Marathon) AppsLabelled(ctx context.Context, label, value string) ([]App, error) {
	var out struct{ Apps []App }
	err := m.get(ctx, "/v2/apps?embed=apps.tasks&label="+url.QueryEscape(label+"=="+value), &out)
	return out.Apps, err
}

// App returns one app with its tasks.
func (m *Marathon) App(ctx context.Context, id string) (App, error) {
	var out struct{ App App }
	return out.App, m.get(ctx, appPath(id), &out)
}

// Version returns an app as it was in one of its versions.
func (m *Marathon) Version(ctx context.Context, id, version string) (App, error) {
	var out App
	return out, m.get(ctx, appPath(id)+"/versions/"+url.PathEscape(version), &out)
}

// Tasks returns an app's tasks.
func (m *Marathon) Tasks(ctx context.Context, id string) ([]Task, error) {
	var out struct{ Tasks []Task }
	return out.Tasks, m.get(ctx, appPath(id)+"/tasks", &out)
}

// Deployments returns the deployments in progress.
func (m *Marathon) Deployments(ctx context.Context) ([]Deployment, error) {
	var out []Deployment
	return out, m.get(ctx, "/v2/deployments", &out)
}

// Queue returns the apps that wait to be launched.
func (m *Marathon) Queue(ctx context.Context) ([]QueueItem, error) {
	var out struct{ Queue []QueueItem }
	return out.Queue, m.get(ctx, "/v2/queue", &out)
}

// Create makes a new app; an id that exists is refused.
func (m *Marathon) Create(ctx context.Context, d Definition) (App, error) {
	data, err := m.call(ctx, http.MethodPost, "/v2/apps", d.JSON)
	if err != nil {
		return App{}, err
	}
	var out App
	if err := json.Unmarshal(data, &out); err != nil {
		return App{}, fmt.Errorf("marathon: answer to POST /v2/apps: %w", err)
	}
	return out, nil
}

// Update changes an app; what the definition does not name stays (1.1.1 merges
// in every case). force overrides a running deployment.
func (m *Marathon) Update(ctx context.Context, d Definition, force bool) (Change, error) {
	return m.change(ctx, http.MethodPut, appPath(d.ID)+query("force", force), d.JSON)
}

// Scale sets the number of instances.
func (m *Marathon) Scale(ctx context.Context, id string, instances int, force bool) (Change, error) {
	body := fmt.Appendf(nil, `{"instances":%d}`, instances)
	return m.change(ctx, http.MethodPut, appPath(id)+query("force", force), body)
}

// Restart replaces all tasks of an app by its upgrade strategy.
func (m *Marathon) Restart(ctx context.Context, id string) (Change, error) {
	return m.change(ctx, http.MethodPost, appPath(id)+"/restart", nil)
}

// Delete removes an app and its tasks.
func (m *Marathon) Delete(ctx context.Context, id string) (Change, error) {
	return m.change(ctx, http.MethodDelete, appPath(id), nil)
}

// KillTask ends one task; Marathon replaces it unless scale is set.
func (m *Marathon) KillTask(ctx context.Context, app, task string, scale bool) error {
	_, err := m.call(ctx, http.MethodDelete, appPath(app)+"/tasks/"+url.PathEscape(task)+query("scale", scale), nil)
	return err
}

// KillTasks ends tasks of any apps, in one request; Marathon replaces them
// unless scale is set. Ids that it does not know are no error.
func (m *Marathon) KillTasks(ctx context.Context, ids []string, scale bool) error {
	body, err := json.Marshal(map[string][]string{"ids": ids})
	if err != nil {
		return fmt.Errorf("marathon: %w", err)
	}
	_, err = m.call(ctx, http.MethodPost, "/v2/tasks/delete"+query("scale", scale), body)
	return err
}

// CancelDeployment reverts a deployment, or with force just ends it.
func (m *Marathon) CancelDeployment(ctx context.Context, id string, force bool) error {
	_, err := m.call(ctx, http.MethodDelete, "/v2/deployments/"+url.PathEscape(id)+query("force", force), nil)
	return err
}

func query(name string, set bool) string {
	if !set {
		return ""
	}
	return "?" + name + "=true"
}

// appPath is the path of an app; the parts of its id stay parts of the path.
func appPath(id string) string {
	parts := strings.Split(strings.Trim(id, "/"), "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/v2/apps/" + strings.Join(parts, "/")
}

func (m *Marathon) change(ctx context.Context, method, path string, body []byte) (Change, error) {
	data, err := m.call(ctx, method, path, body)
	if err != nil {
		return Change{}, err
	}
	var out Change
	if err := json.Unmarshal(data, &out); err != nil {
		return Change{}, fmt.Errorf("marathon: answer to %s %s: %w", method, path, err)
	}
	return out, nil
}

func (m *Marathon) get(ctx context.Context, path string, out any) error {
	data, err := m.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("marathon: answer to GET %s: %w", path, err)
	}
	return nil
}

func (m *Marathon) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	data, err := call(ctx, m.HTTP, method, m.Base+path, body)
	if err != nil {
		return nil, refusal(err)
	}
	return data, nil
}

// refusal turns Marathon's error bodies into words: message, and details as a
// text or as a list of {path, errors}.
func refusal(err error) error {
	status, ok := errors.AsType[*StatusError](err)
	if !ok || status.Status < 400 || status.Status >= 500 {
		return fmt.Errorf("marathon: %w", err)
	}
	text, locked := refusalText(status.Body)
	if text == "" {
		return fmt.Errorf("marathon: %w", err)
	}
	switch status.Status {
	case http.StatusNotFound:
		return fmt.Errorf("marathon: %s: %w", text, lab.ErrNotFound)
	case http.StatusConflict:
		if locked {
			return &lab.Error{ID: "app-locked", Op: "change app", Err: errors.Join(errors.New(text), status),
				Advice: "wait for the deployment to end, or cancel it in Marathon"}
		}
	}
	return &lab.Error{ID: "app-refused", Op: "change app", Err: errors.New(text),
		Advice: "correct what Marathon names; nothing was changed"}
}

func refusalText(body []byte) (text string, locked bool) {
	var answer struct {
		Message     string
		Details     json.RawMessage
		Deployments *[]DeploymentRef
	}
	if json.Unmarshal(body, &answer) != nil || answer.Message == "" {
		return "", false
	}
	text = "Marathon says: " + answer.Message
	var list []struct {
		Path   string
		Errors []string
	}
	var words string
	if json.Unmarshal(answer.Details, &list) == nil {
		for _, d := range list {
			text += fmt.Sprintf("; %s: %s", d.Path, strings.Join(d.Errors, ", "))
		}
	} else if json.Unmarshal(answer.Details, &words) == nil && words != "" {
		text += ": " + words
	}
	return text, answer.Deployments != nil
}
