package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const nginx = `{"id":"nginx","instances":2,"cpus":0.2,"mem":20,"labels":{"HAPROXY_GROUP":"external"},
 "container":{"type":"DOCKER","docker":{"image":"nginx:1.10","network":"BRIDGE",
 "portMappings":[{"containerPort":80,"hostPort":0,"servicePort":0,"protocol":"tcp"}]}},
 "healthChecks":[{"path":"/"}]}`

const sleep = `{"id":"/a/sleep","cmd":"sleep 100","cpus":0.1,"mem":32}`

// keys111 are the keys of an app, in order, as Marathon 1.1.1 prints them.
var keys111 = []string{"id", "cmd", "args", "user", "env", "instances", "cpus", "mem", "disk", "executor", "constraints", "uris",
	"fetch", "storeUrls", "ports", "portDefinitions", "requirePorts", "backoffSeconds", "backoffFactor", "maxLaunchDelaySeconds",
	"container", "healthChecks", "readinessChecks", "dependencies", "upgradeStrategy", "labels", "acceptedResourceRoles",
	"ipAddress", "version", "residency", "versionInfo", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "deployments"}

func keysOf(t *testing.T, raw json.RawMessage) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(raw)))
	var keys []string
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k.(string))
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func TestCreatedAppIsPrintedAsBy111(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		w := r.ask("POST", "/v2/apps", nginx)
		if w.Code != 201 || w.Header().Get("Location") != "/v2/apps/nginx" || w.Header().Get("X-Marathon-Leader") != "http://me:8080" {
			t.Errorf("POST: %d %v", w.Code, w.Header())
		}
		want := slices.DeleteFunc(slices.Clone(keys111), func(k string) bool { return k == "versionInfo" })
		if got := keysOf(t, w.Body.Bytes()); !slices.Equal(got, append(want, "tasks")) {
			t.Errorf("keys of the answer\n%v, want\n%v", got, want)
		}
		var list struct{ Apps []json.RawMessage }
		if err := json.Unmarshal(r.ask("GET", "/v2/apps", "").Body.Bytes(), &list); err != nil || len(list.Apps) != 1 {
			t.Fatalf("list: %v %v", list, err)
		}
		if got := keysOf(t, list.Apps[0]); !slices.Equal(got, keys111) {
			t.Errorf("keys in the list\n%v, want\n%v", got, keys111)
		}
		r.pass(time.Second)
		v := at(r.want(200, "GET", "/v2/apps/nginx", ""), "app")
		for _, c := range []struct {
			path []any
			want string
		}{
			{[]any{"id"}, `"/nginx"`}, {[]any{"cmd"}, "null"}, {[]any{"args"}, "null"}, {[]any{"cpus"}, "0.2"}, {[]any{"mem"}, "20"},
			{[]any{"ports"}, "[10000]"}, {[]any{"portDefinitions"}, `[{"labels":{},"port":10000,"protocol":"tcp"}]`},
			{[]any{"container", "docker", "portMappings", 0, "servicePort"}, "10000"}, {[]any{"container", "volumes"}, "[]"},
			{[]any{"healthChecks"}, `[{"gracePeriodSeconds":300,"ignoreHttp1xx":false,"intervalSeconds":60,"maxConsecutiveFailures":3,"path":"/","portIndex":0,"protocol":"HTTP","timeoutSeconds":20}]`},
			{[]any{"upgradeStrategy"}, `{"maximumOverCapacity":1,"minimumHealthCapacity":1}`}, {[]any{"maxLaunchDelaySeconds"}, "3600"},
			{[]any{"tasksRunning"}, "2"}, {[]any{"ipAddress"}, "null"}, {[]any{"tasks", 0, "servicePorts"}, "[10000]"},
			{[]any{"tasks", 0, "healthCheckResults"}, "null"}, {[]any{"tasks", 0, "appId"}, `"/nginx"`},
		} {
			got, _ := json.Marshal(at(v, c.path...))
			if string(got) != c.want {
				t.Errorf("%v is %s, want %s", c.path, got, c.want)
			}
		}
		if ver := at(v, "version").(string); len(ver) != 24 || ver[19] != '.' || ver[23] != 'Z' {
			t.Errorf("version %q has not the shape of a timestamp", ver)
		}
	})
}

// TestErrors is contracts section 1, "Error bodies".
func TestErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", sleep)
		r.pass(time.Second)
		for _, c := range []struct {
			method, path, body string
			status             int
			contains           string
		}{
			{"POST", "/v2/apps", `{"id":`, 400, `"details":"`},
			{"POST", "/v2/apps", ``, 400, `"message":"Invalid JSON"`},
			{"POST", "/v2/apps", `{"id":7}`, 400, `{"message":"Invalid JSON","details":[{"path":"/id","errors":["error.expected.jsstring"]}]}`},
			{"POST", "/v2/apps", `{"cmd":"x"}`, 400, `{"path":"/id","errors":["error.path.missing"]}`},
			{"POST", "/v2/apps", `{"id":"x","cpus":"1","instances":1.5,"ports":[1,"2"]}`, 400, `{"path":"/ports(1)","errors":["error.expected.jsnumber"]}`},
			{"POST", "/v2/apps", `[]`, 400, `error.expected.jsobject`},
			{"POST", "/v2/apps", sleep, 409, `{"message":"An app with id [/a/sleep] already exists."}`},
			{"POST", "/v2/apps", `{"id":"x","cmd":"x","upgradeStrategy":{"minimumHealthCapacity":2}}`, 422,
				`{"message":"Object is not valid","details":[{"path":"/upgradeStrategy/minimumHealthCapacity","errors":["is greater than 1"]}]}`},
			{"POST", "/v2/apps", `{"id":"X_y","cmd":"x"}`, 422, `"path":"/id"`},
			{"POST", "/v2/apps", `{"id":"x"}`, 422, `AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.`},
			{"POST", "/v2/apps", `{"id":"x","cmd":"x","args":["y"]}`, 422, `AppDefinition must either`},
			{"POST", "/v2/apps", `{"id":"x","cmd":"x","dependencies":["/x"]}`, 422, `cyclic`},
			{"POST", "/v2/apps", `{"id":"a","cmd":"x"}`, 422, `may not have the same identifier: /a`},
			{"POST", "/v2/apps", `{"id":"x","cmd":"x","constraints":[["hostname","NEAR"]]}`, 422, `"path":"/constraints(0)"`},
			{"POST", "/v2/apps", `{"id":"x","cmd":"x","constraints":[["hostname","MAX_PER","2"]]}`, 422, `Operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE`},
			{"POST", "/v2/apps", `{"id":"x","cmd":"x","acceptedResourceRoles":[]}`, 422, `{"path":"/acceptedResourceRoles","errors":["must not be empty"]}`},
			{"PUT", "/v2/apps/a/sleep", `{"version":"2001-01-01T00:00:00.000Z","cpus":1}`, 422, `The 'version' field may only be combined with the 'id' field.`},
			{"PUT", "/v2/groups/a", `{"version":"2001-01-01T00:00:00.000Z"}`, 422, `Group /a not available in version 2001-01-01T00:00:00.000Z`},
			{"POST", "/v2/apps", `{"id":"x","cmd":"x","uris":["u"],"fetch":[{"uri":"v"}]}`, 400, `uris and fetch`},
			{"GET", "/v2/apps/no", "", 404, `{"message":"App '/no' does not exist"}`},
			{"DELETE", "/v2/apps/no", "", 404, `App '/no' does not exist`},
			{"POST", "/v2/apps/no/restart", "", 404, `App '/no' does not exist`},
			{"GET", "/v2/apps/no/tasks", "", 404, `App '/no' does not exist`},
			{"GET", "/v2/apps/no/versions", "", 404, `App '/no' does not exist`},
			{"GET", "/v2/apps/a/sleep/versions/2001-01-01T00:00:00.000Z", "", 404, `does not exist`},
			{"GET", "/v2/apps/a/sleep/versions/yesterday", "", 422, `Invalid format`},
			{"GET", "/v2/apps/no/*", "", 404, `Group '/no' does not exist`},
			{"DELETE", "/v2/apps/a/sleep/tasks/a_sleep.no", "", 404, `Task 'a_sleep.no' does not exist`},
			{"DELETE", "/v2/apps/a/sleep/tasks?scale=true&wipe=true", "", 400, `scale and wipe`},
			{"POST", "/v2/tasks/delete", `{"ids":["odd"]}`, 400, `Invalid task id 'odd'`},
			{"POST", "/v2/tasks/delete?scale=true&wipe=true", `{"ids":["a.b"]}`, 400, `scale and wipe`},
			{"POST", "/v2/tasks/delete", `{}`, 400, `error.path.missing`},
			{"GET", "/v2/groups/no", "", 404, `Group '/no' does not exist`},
			{"POST", "/v2/groups", `{"id":"/a"}`, 409, `Group /a is already created. Use PUT to change this group.`},
			{"POST", "/v2/groups", `{"id":"/a/sleep"}`, 409, `An app with id [/a/sleep] already exists.`},
			{"PUT", "/v2/groups/g", `{"apps":[{"id":"/other/app","cmd":"x"}]}`, 422, `{"path":"/apps(0)/id","errors":["identifier /other/app is not child of /g. Hint: use relative paths."]}`},
			{"PUT", "/v2/groups/g", `{"apps":[{"id":"app","cmd":"x","cpus":-1}]}`, 422, `{"path":"/apps(0)/cpus","errors":["got -1, expected 0 or more"]}`},
			{"DELETE", "/v2/deployments/no", "", 404, `{"message":"DeploymentPlan no does not exist"}`},
			{"DELETE", "/v2/queue/no/delay", "", 404, `not found in tasks queue`},
			{"GET", "/v2/nothing", "", 404, `{"message":`},
			{"GET", "/favicon.ico", "", 404, `{"message":`},
			{"PATCH", "/v2/apps/a/sleep", `{}`, 405, `Method Not Allowed`},
			{"GET", "/v2/eventSubscriptions", "", 400, `message`},
			{"PUT", "/v2/apps", `[{"id":"q","cmd":"x","cpus":-2}]`, 422, `"path":"(0)/cpus"`},
			{"PUT", "/v2/apps", `{}`, 400, `error.expected.jsarray`},
		} {
			w := r.ask(c.method, c.path, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) {
				t.Errorf("%s %s %s\n  is   %d %s  want %d …%s…", c.method, c.path, c.body, w.Code, w.Body, c.status, c.contains)
			}
			if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
				t.Errorf("%s %s: content type %q", c.method, c.path, w.Header().Get("Content-Type"))
			}
		}
	})
}

func TestLockAndForce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", sleep)
		r.pass(time.Second)
		hang := at(r.want(200, "PUT", "/v2/apps/a/sleep", `{"cpus":64}`), "deploymentId")
		locked := r.want(409, "PUT", "/v2/apps/a/sleep", `{"instances":2}`)
		if at(locked, "deployments", 0, "id") != hang || !strings.Contains(at(locked, "message").(string), "App is locked by one or more deployments.") {
			t.Errorf("locked: %v", locked)
		}
		r.want(409, "POST", "/v2/apps/a/sleep/restart", "")
		r.want(409, "DELETE", "/v2/apps/a/sleep?force=false", "")
		r.want(409, "DELETE", "/v2/groups/a", "")
		r.want(200, "PUT", "/v2/apps/a/sleep?force=true", `{"cpus":0.1}`)
		r.pass(5 * time.Second)
		if ds := r.want(200, "GET", "/v2/deployments", "").([]any); len(ds) != 0 {
			t.Errorf("deployments %v", ds)
		}
		id := at(r.want(200, "PUT", "/v2/apps/a/sleep", `{"cpus":64}`), "deploymentId").(string)
		d := r.want(200, "GET", "/v2/deployments", "")
		if at(d, 0, "steps", 0, "actions", 0, "type") != "RestartApplication" || at(d, 0, "currentActions", 0, "action") != "RestartApplication" ||
			at(d, 0, "affectedApps", 0) != "/a/sleep" || at(d, 0, "currentStep") != 1.0 || at(d, 0, "steps", 0, "actions", 0, "action") != nil {
			t.Errorf("deployment: %v", d)
		}
		if w := r.ask("DELETE", "/v2/deployments/"+id+"?force=true", ""); w.Code != 202 || w.Body.Len() != 0 {
			t.Errorf("forced: %d %s", w.Code, w.Body)
		}
		r.want(200, "DELETE", "/v2/apps/a/sleep", "") // forces by default
		r.pass(time.Second)
		r.want(404, "GET", "/v2/apps/a/sleep", "")
	})
}

func TestAppsAreFiltered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		for i, labels := range []string{`{"env":"prod","tier":"front"}`, `{"env":"test"}`, `{}`} {
			r.want(201, "POST", "/v2/apps", fmt.Sprintf(`{"id":"/g/app-%d","cmd":"Run %d","cpus":0.1,"mem":32,"labels":%s}`, i, i, labels))
		}
		for _, c := range []struct {
			query string
			want  string
		}{
			{"", "012"}, {"id=APP-1", "1"}, {"cmd=run", "012"}, {"cmd=run%202", "2"}, {"label=env", "01"}, {"label=env%3D%3Dprod", "0"},
			{"label=env!%3Dprod", "1"}, {"label=env%20in%20(prod,test)", "01"}, {"label=env%20notin%20(prod)", "1"},
			{"label=env,tier", "0"}, {"label=env%3D%3Dprod,tier%3D%3Dback", ""}, {"id=g&label=tier", "0"},
		} {
			v := at(r.want(200, "GET", "/v2/apps?"+c.query, ""), "apps")
			got := ""
			for i := range v.([]any) {
				id := at(v, i, "id").(string)
				got += id[len(id)-1:]
			}
			if got != c.want {
				t.Errorf("?%s gives %q, want %q", c.query, got, c.want)
			}
		}
		r.want(422, "GET", "/v2/apps?label=a%20b%20c", "")
		if at(r.want(200, "GET", "/v2/apps/g/*", ""), "*", 2, "id") != "/g/app-2" {
			t.Error("GET of a group's apps")
		}
	})
}

func TestTasks(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", strings.Replace(nginx, `[{"path":"/"}]`, "[]", 1))
		if v := at(r.want(200, "GET", "/v2/tasks?status=staging", ""), "tasks"); len(v.([]any)) != 2 || at(v, 0, "startedAt") != nil || at(v, 0, "ports", 0) == nil {
			t.Errorf("staging: %v", v)
		}
		r.pass(time.Second)
		v := at(r.want(200, "GET", "/v2/tasks?status[]=running", ""), "tasks")
		if len(v.([]any)) != 2 || at(v, 0, "servicePorts", 0) != 10000.0 || at(v, 0, "startedAt") == nil || at(v, 0, "state") != nil {
			t.Errorf("running: %v", v)
		}
		stats := at(r.want(200, "GET", "/v2/apps?embed=apps.taskStats", ""), "apps", 0, "taskStats")
		if at(stats, "totalSummary", "stats", "counts", "running") != 2.0 || at(stats, "withLatestConfig", "stats", "lifeTime", "medianSeconds") == nil || at(stats, "withOutdatedConfig") != nil {
			t.Errorf("task statistics %v", stats)
		}
		if v := at(r.want(200, "GET", "/v2/apps/nginx/tasks", ""), "tasks", 0, "servicePorts"); v != nil {
			t.Errorf("tasks of an app show service ports: %v", v)
		}
		w := r.ask("GET", "/v2/tasks", "", "Accept", "text/plain")
		want := "nginx\t10000\t"
		if !strings.HasPrefix(w.Body.String(), want) || strings.Count(w.Body.String(), "\t") != 4 || w.Header().Get("Content-Type") != "text/plain" {
			t.Errorf("as text: %q", w.Body)
		}
		id := at(v, 0, "id").(string)
		if got := at(r.want(200, "DELETE", "/v2/apps/nginx/tasks/"+id, ""), "task", "id"); got != id {
			t.Errorf("killed %v", got)
		}
		r.pass(time.Second)
		if v := at(r.want(200, "DELETE", "/v2/apps/nginx/tasks?host=nowhere", ""), "tasks").([]any); len(v) != 0 {
			t.Errorf("killed at nowhere: %v", v)
		}
		host := at(r.want(200, "GET", "/v2/tasks", ""), "tasks", 0, "host").(string)
		if v := at(r.want(200, "DELETE", "/v2/apps/nginx/tasks?host="+host, ""), "tasks").([]any); len(v) == 0 {
			t.Error("nothing killed at " + host)
		}
		r.pass(time.Second)
		ids := at(r.want(200, "GET", "/v2/tasks", ""), "tasks", 0, "id").(string)
		if at(r.want(200, "POST", "/v2/tasks/delete?scale=true", `{"ids":["`+ids+`","no.such"]}`), "deploymentId") == nil {
			t.Error("scaling down gives no deployment")
		}
		if at(r.want(200, "GET", "/v2/apps/nginx", ""), "app", "instances") != 1.0 {
			t.Error("not scaled down")
		}
	})
}

func TestPutMergesCreatesAndRollsBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		w := r.ask("PUT", "/v2/apps//a/sleep", `{"cmd":"x","cpus":0.1,"mem":32,"env":{"A":"1"}}`)
		if w.Code != 201 || w.Header().Get("Location") != "/v2/apps/a/sleep" {
			t.Errorf("PUT of a new app: %d %s", w.Code, w.Body)
		}
		r.pass(time.Second)
		res := r.want(200, "PUT", "/v2/apps/a/sleep", `{"mem":64}`)
		r.pass(5 * time.Second)
		v := at(r.want(200, "GET", "/v2/apps/a/sleep", ""), "app")
		if at(v, "mem") != 64.0 || at(v, "env", "A") != "1" || at(v, "version") != at(res, "version") {
			t.Errorf("merged: %v", v)
		}
		vs := at(r.want(200, "GET", "/v2/apps/a/sleep/versions", ""), "versions")
		if len(vs.([]any)) != 2 {
			t.Fatalf("versions %v", vs)
		}
		old := at(vs, 1).(string)
		if at(r.want(200, "GET", "/v2/apps/a/sleep/versions/"+old, ""), "mem") != 32.0 {
			t.Error("old version")
		}
		r.want(200, "PUT", "/v2/apps/a/sleep", `{"version":"`+old+`"}`)
		if at(r.want(200, "GET", "/v2/apps/a/sleep", ""), "app", "mem") != 32.0 {
			t.Error("not rolled back")
		}
		r.want(404, "PUT", "/v2/apps/a/sleep?force=true", `{"version":"2001-01-01T00:00:00.000Z"}`)
		r.pass(5 * time.Second)
		r.want(200, "PUT", "/v2/apps", `[{"id":"/a/sleep","instances":3},{"id":"/b","cmd":"y","cpus":0.1,"mem":32}]`)
		r.pass(time.Second)
		if n := len(r.twin.Tasks()); n != 4 {
			t.Errorf("%d tasks run", n)
		}
	})
}

func TestServicePortsAreKeptAndNeverGivenTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		ports := func(id string) string {
			b, _ := json.Marshal(at(r.want(200, "GET", "/v2/apps/"+id, ""), "app", "ports"))
			return string(b)
		}
		r.want(201, "POST", "/v2/apps", `{"id":"a","cmd":"x","ports":[0,10002,0],"cpus":0.1,"mem":32}`)
		r.want(201, "POST", "/v2/apps", `{"id":"b","cmd":"x","ports":[0,0],"cpus":0.1,"mem":32}`)
		if a, b := ports("a"), ports("b"); a != "[10000,10002,10001]" || b != "[10003,10004]" {
			t.Errorf("ports %s and %s", a, b)
		}
		r.pass(time.Second)
		r.want(200, "PUT", "/v2/apps/a", `{"ports":[0,0,0,0]}`)
		if a := ports("a"); a != "[10000,10002,10001,10005]" {
			t.Errorf("after an update %s", a)
		}
		r.want(422, "POST", "/v2/groups", `{"id":"g","apps":[
		 {"id":"a","container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[{"servicePort":80}]}}},
		 {"id":"b","container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[{"servicePort":80}]}}}]}`)
	})
}

func TestGroups(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		body := `{"id":"dep","apps":[{"id":"one","cmd":"x","cpus":0.1,"mem":32,"instances":2}],"groups":[{"id":"sub","apps":[{"id":"two","cmd":"x","cpus":0.1,"mem":32,"dependencies":["/dep/one"]}]}]}`
		if at(r.want(201, "POST", "/v2/groups", body), "deploymentId") == nil {
			t.Error("no deployment")
		}
		r.pass(2 * time.Second)
		g := r.want(200, "GET", "/v2/groups", "")
		if at(g, "id") != "/" || at(g, "groups", 0, "id") != "/dep" || at(g, "groups", 0, "apps", 0, "id") != "/dep/one" ||
			at(g, "groups", 0, "groups", 0, "apps", 0, "id") != "/dep/sub/two" {
			t.Errorf("groups %v", g)
		}
		if at(r.want(200, "GET", "/v2/groups/dep?embed=group.groups", ""), "apps") != nil {
			t.Error("apps are shown without being asked for")
		}
		if at(r.want(200, "GET", "/v2/groups/dep?embed=group.apps.counts", ""), "apps", 0, "tasksRunning") != 2.0 {
			t.Error("counts are not shown")
		}
		if steps := at(r.want(200, "PUT", "/v2/groups/dep?dryRun=true", `{"apps":[]}`), "steps"); at(steps, 0, "actions", 0, "type") != "StopApplication" {
			t.Errorf("dry run %v", steps)
		}
		r.want(200, "PUT", "/v2/groups/dep", `{"scaleBy":1.5}`)
		r.pass(2 * time.Second)
		if n := len(r.twin.Tasks()); n != 5 { // 2·1.5 + ⌈1·1.5⌉
			t.Errorf("%d tasks after scaleBy", n)
		}
		vs := r.want(200, "GET", "/v2/groups/dep/versions", "")
		if len(vs.([]any)) != 2 {
			t.Fatalf("versions %v", vs)
		}
		old := at(vs, 1).(string)
		if at(r.want(200, "GET", "/v2/groups/dep/versions/"+old, ""), "apps", 0, "instances") != 2.0 {
			t.Error("old version")
		}
		r.want(200, "PUT", "/v2/groups/dep", `{"version":"`+old+`"}`)
		r.pass(2 * time.Second)
		if n := len(r.twin.Tasks()); n != 3 {
			t.Errorf("%d tasks after the rollback", n)
		}
		r.want(200, "DELETE", "/v2/groups/dep", "")
		r.pass(2 * time.Second)
		if n := len(r.twin.Tasks()); n != 0 {
			t.Errorf("%d tasks are left", n)
		}
		r.want(404, "GET", "/v2/groups/dep", "")
	})
}

// TestIDsOfGroupsAreSeenFromThePath: in PUT as in POST (GroupsResource).
func TestIDsOfGroupsAreSeenFromThePath(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(200, "PUT", "/v2/groups/a", `{"id":"b","apps":[]}`)
		r.want(200, "PUT", "/v2/groups/a", `{"id":"/c","apps":[]}`)
		r.want(201, "POST", "/v2/groups/a", `{"id":"d","apps":[]}`)
		for _, id := range []string{"/a/b", "/c", "/a/d"} {
			if got := at(r.want(200, "GET", "/v2/groups"+id, ""), "id"); got != id {
				t.Errorf("%s is %v", id, got)
			}
		}
		// Versions of a group are those in which it was.
		if vs := r.want(200, "GET", "/v2/groups/c/versions", "").([]any); len(vs) != 2 {
			t.Errorf("versions of /c: %v", vs)
		}
	})
}

func TestQueueInfoLeaderAndOdds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", `{"id":"big","cmd":"x","cpus":100,"instances":3}`)
		q := at(r.want(200, "GET", "/v2/queue", ""), "queue", 0)
		if at(q, "count") != 3.0 || at(q, "delay", "overdue") != true || at(q, "delay", "timeLeftSeconds") != 0.0 || at(q, "app", "id") != "/big" {
			t.Errorf("queue %v", q)
		}
		if w := r.ask("DELETE", "/v2/queue/big/delay", ""); w.Code != 204 {
			t.Errorf("delay: %d", w.Code)
		}
		i := r.want(200, "GET", "/v2/info", "")
		if at(i, "version") != "1.1.1" || at(i, "leader") != "me:8080" || at(i, "frameworkId") != "twin-0000" || at(i, "elected") != true {
			t.Errorf("info %v", i)
		}
		if at(r.want(200, "GET", "/v2/leader", ""), "leader") != "me:8080" {
			t.Error("leader")
		}
		if at(r.want(200, "DELETE", "/v2/leader", ""), "message") != "Leadership abdicated" || r.abdicted != 1 {
			t.Error("abdication")
		}
		if w := r.ask("GET", "/ping", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "pong" {
			t.Errorf("ping %d %q", w.Code, w.Body)
		}
		if at(r.want(200, "GET", "/metrics", ""), "gauges", "service.mesosphere.marathon.app.count", "value") != 1.0 {
			t.Error("metrics")
		}
		if w := r.ask("GET", "/v2/events", ""); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("events without Accept: %d", w.Code)
		}
		if w := r.ask("GET", "/", ""); w.Code != http.StatusFound || w.Header().Get("Location") != "/ui/" {
			t.Errorf("/: %d %v", w.Code, w.Header())
		}
		if w := r.ask("GET", "/ui/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "<title>Marathon</title>") || strings.Contains(w.Body.String(), "http://") {
			t.Errorf("/ui/: %d, or it names something outside", w.Code)
		}
	})
}

func TestNoStoreAndNoLeaderAre503(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", sleep)
		r.pass(time.Second)
		r.store.SetAvailable(false)
		r.want(503, "PUT", "/v2/apps/a/sleep", `{"instances":2}`)
		r.store.SetAvailable(true)
		if at(r.want(200, "GET", "/v2/apps/a/sleep", ""), "app", "instances") != 1.0 {
			t.Error("a change that could not be written took effect")
		}
		r.want(200, "PUT", "/v2/apps/a/sleep", `{"instances":2}`)
		term := r.term
		r.term, r.leader = nil, ""
		start := time.Now()
		r.want(503, "GET", "/v2/apps", "")
		if d := time.Since(start); d < 2*time.Second || d > 4*time.Second {
			t.Errorf("waited %v for a leader", d)
		}
		r.term, r.leader = term, "me:8080"
	})
}
