package api_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// errorExamples tell how each error of the documents is brought about.
var errorExamples = map[string]func(*rest) *bytes.Buffer{
	"An app with id [/existing_app] already exists.": func(r *rest) *bytes.Buffer { // its id is not valid itself
		r.want(201, "POST", "/v2/apps", `{"id":"existing-app","cmd":"x"}`)
		b := r.ask("POST", "/v2/apps", `{"id":"existing-app","cmd":"x"}`).Body
		return bytes.NewBufferString(strings.ReplaceAll(b.String(), "existing-app", "existing_app"))
	},
	"Invalid JSON": func(r *rest) *bytes.Buffer { return r.ask("POST", "/v2/apps", `{"id":7}`).Body },
	"Object is not valid /upgradeStrategy/minimumHealthCapacity": func(r *rest) *bytes.Buffer {
		return r.ask("POST", "/v2/apps", `{"id":"x","cmd":"x","upgradeStrategy":{"minimumHealthCapacity":1.1}}`).Body
	},
	"Object is not valid /apps(0)/id": func(r *rest) *bytes.Buffer {
		return r.ask("PUT", "/v2/groups/group", `{"apps":[{"id":"/app","cmd":"x"}]}`).Body
	},
	"App '/not_existent' does not exist": func(r *rest) *bytes.Buffer { return r.ask("GET", "/v2/apps/not_existent", "").Body },
	"App '/not-existing' does not exist": func(r *rest) *bytes.Buffer { return r.ask("DELETE", "/v2/apps/not-existing", "").Body },
	"Task 'not-existing' does not exist": func(r *rest) *bytes.Buffer {
		r.want(201, "POST", "/v2/apps", sleep)
		return r.ask("DELETE", "/v2/apps/a/sleep/tasks/not-existing", "").Body
	},
	"Group / is already created. Use PUT to change this group.": func(r *rest) *bytes.Buffer {
		return r.ask("POST", "/v2/groups", `{"apps":[]}`).Body
	},
	"DeploymentPlan unknown_deployment does not exist": func(r *rest) *bytes.Buffer {
		return r.ask("DELETE", "/v2/deployments/unknown_deployment", "").Body
	},
	"There is no leader": func(r *rest) *bytes.Buffer {
		r.leader = ""
		return r.ask("GET", "/v2/leader", "").Body
	},
	"App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.": func(r *rest) *bytes.Buffer {
		r.want(201, "POST", "/v2/apps", `{"id":"x","cmd":"x","cpus":64}`)
		b := r.ask("PUT", "/v2/apps/x", `{"instances":2}`).Body.String()
		id := at(r.want(200, "GET", "/v2/deployments", ""), 0, "id").(string)
		return bytes.NewBufferString(strings.ReplaceAll(b, id, "97c136bf-5a28-4821-9d94-480d9fbb01c8"))
	},
	"Invalid username or password.":          nil, // plugins only; basic authentication has Jetty's own page
	"Not Authorized to perform this action!": nil, // plugins only
}

// TestErrorExamplesAreAnswered provokes every error of the documents and
// compares the whole bodies.
func TestErrorExamplesAreAnswered(t *testing.T) {
	done := map[string]bool{}
	for _, e := range examples(t) {
		if e.Status < "400" || e.Type != "application/json" || exceptions[e.String()] != "" {
			continue
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(e.Body), &want); err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		key := want["message"].(string)
		if d, ok := at(want, "details", 0, "path").(string); ok && key != "Invalid JSON" {
			key += " " + d
		}
		provoke, known := errorExamples[key]
		if !known {
			t.Errorf("%s: nobody knows how to provoke %q", e, key)
		}
		if provoke == nil || done[key] {
			continue
		}
		done[key] = true
		inBubble(t, func(t *testing.T, r *rest) {
			var got any
			if err := json.Unmarshal(provoke(r).Bytes(), &got); err != nil {
				t.Error(err)
			}
			for _, p := range differences("", want, got) {
				t.Errorf("%s: %s", e, p)
			}
		})
	}
	if len(done) < len(errorExamples)-2 {
		t.Errorf("only %d errors were provoked", len(done))
	}
}
