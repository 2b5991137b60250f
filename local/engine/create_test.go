package engine

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// do sends a request to the handler and returns status and body.
func (b *bench) do(t testing.TB, method, target, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	b.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestCreateRefusals(t *testing.T) {
	b := newBench(t, "")
	for _, x := range []struct {
		name, query, body string
		status            int
		words             string
	}{
		{"no image", "", `{}`, 400, "no image"},
		{"bad JSON", "", `{`, 400, "invalid JSON"},
		{"wrong type", "", `{"Image":7}`, 400, "invalid JSON"},
		{"foreign image", "", `{"Image":"redis"}`, 404, "No such image: redis:latest"},
		{"bad image", "", `{"Image":"Nginx"}`, 400, "must be lowercase"},
		{"bad name", "?name=a/b", `{"Image":"nginx"}`, 400, "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"},
		{"short name", "?name=a", `{"Image":"nginx"}`, 400, "Invalid container name"},
		{"network", "", `{"Image":"nginx","HostConfig":{"NetworkMode":"mine"}}`, 404, "network mine not found"},
		{"another's network", "", `{"Image":"nginx","HostConfig":{"NetworkMode":"container:x"}}`, 400, "only host, bridge and none"},
		{"policy", "", `{"Image":"nginx","HostConfig":{"RestartPolicy":{"Name":"sometimes"}}}`, 400, "unknown policy 'sometimes'"},
		{"policy count", "", `{"Image":"nginx","HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":3}}}`, 400, "maximum retry count"},
		{"policy and rm", "", `{"Image":"nginx","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}`, 400, "AutoRemove"},
		{"port", "", `{"Image":"nginx","HostConfig":{"PortBindings":{"99999/tcp":[{}]}}}`, 400, "invalid port"},
		{"host port", "", `{"Image":"nginx","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"x"}]}}}`, 400, "invalid port specification"},
		{"exposed", "", `{"Image":"nginx","ExposedPorts":{"80/http":{}}}`, 400, "invalid proto"},
		{"memory", "", `{"Image":"nginx","HostConfig":{"Memory":1000}}`, 400, "Minimum memory limit"},
		{"working dir", "", `{"Image":"nginx","WorkingDir":"srv"}`, 400, "absolute path"},
		{"signal", "", `{"Image":"nginx","StopSignal":"BANG"}`, 400, "invalid signal: BANG"},
		{"no command", "", `{"Image":"lab/tool","Entrypoint":[""]}`, 400, "no command specified"},
		{"bind", "", `{"Image":"nginx","HostConfig":{"Binds":["/a"]}}`, 400, "invalid volume specification: '/a'"},
		{"bind mode", "", `{"Image":"nginx","HostConfig":{"Binds":["/a:/b:rx"]}}`, 400, "invalid mode: rx"},
		{"volume name", "", `{"Image":"nginx","HostConfig":{"Binds":["./a:/b"]}}`, 400, "includes invalid characters"},
		{"relative target", "", `{"Image":"nginx","HostConfig":{"Binds":["/a:b"]}}`, 400, "must be absolute"},
		{"target root", "", `{"Image":"nginx","HostConfig":{"Binds":["/a:/"]}}`, 400, "can't be '/'"},
		{"twice", "", `{"Image":"nginx","HostConfig":{"Binds":["/a:/x","/b:/x/"]}}`, 400, "Duplicate mount point: /x"},
		{"nested", "", `{"Image":"nginx","HostConfig":{"Binds":["/a:/x","/b:/x/y"]}}`, 400, "lies inside another one"},
		{"missing source", "", `{"Image":"nginx","HostConfig":{"Mounts":[{"Type":"bind","Source":"/none","Target":"/x"}]}}`, 400, "bind source path does not exist: /none"},
		{"mount type", "", `{"Image":"nginx","HostConfig":{"Mounts":[{"Type":"npipe","Source":"/none","Target":"/x"}]}}`, 400, "mount type unknown"},
	} {
		t.Run(x.name, func(t *testing.T) {
			status, body := b.do(t, "POST", "/containers/create"+x.query, x.body)
			var answer struct{ Message string }
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			if status != x.status || !strings.Contains(answer.Message, x.words) {
				t.Errorf("%d %s, want %d %q", status, body, x.status, x.words)
			}
		})
	}
	if left, err := os.ReadDir(filepath.Join(b.cfg.Dir, "containers")); err != nil || len(left) > 0 || len(b.names) > 0 {
		t.Errorf("refused requests left folders %v and names %v, %v", left, b.names, err)
	}
}

// TestCommandLine: how image and request make the command line and the rest.
func TestCommandLine(t *testing.T) {
	for _, x := range []struct{ name, config, argv string }{
		{"defaults", `"Image":"lab/tool"`, "say hello"},
		{"command", `"Image":"lab/tool","Cmd":["a","b"]`, "a b"},
		{"command as a string", `"Image":"lab/tool","Cmd":"a"`, "a"},
		{"image's entry point", `"Image":"nginx","Cmd":["x"]`, "/lab mini web x"},
		{"own entry point", `"Image":"lab/tool","Entrypoint":["e"]`, "e"},
		{"own entry point and command", `"Image":"nginx","Entrypoint":["e"],"Cmd":["c"]`, "e c"},
		{"no entry point", `"Image":"nginx","Entrypoint":[""],"Cmd":["c"]`, "c"},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := newBench(t, "")
			status, body := b.do(t, "POST", "/containers/create?name=it", "{"+x.config+"}")
			if status != http.StatusCreated {
				t.Fatal(body)
			}
			c, err := b.find("it")
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.snapshot().Argv, " "); got != x.argv {
				t.Errorf("%q, want %q", got, x.argv)
			}
		})
	}
}

// TestCommandToStart: what Start is told.
func TestCommandToStart(t *testing.T) {
	b := newBench(t, "")
	body := `{"Image":"lab/data:1","Env":["A=1","PATH=/x","B=2","A=3"],"Tty":true,"User":"me","Labels":{"l":"v"},
		"HostConfig":{"NetworkMode":"host","Privileged":true,"Binds":["/tmp/mesos:/tmp/mesos","/sys:/sys"]}}`
	if status, answer := b.do(t, "POST", "/v1.24/containers/create?name=slave", body); status != 201 {
		t.Fatal(answer)
	}
	if status, answer := b.do(t, "POST", "/containers/slave/start", ""); status != 204 {
		t.Fatal(answer)
	}
	c := b.started[0]
	if c.Name != "slave" || c.Hostname != "node1" || c.Image != "lab/data:1" || c.WorkingDir != "/data" || c.User != "me" ||
		c.NetworkMode != "host" || !c.Privileged || !c.Tty || c.Labels["l"] != "v" || len(c.ContainerID) != 64 {
		t.Errorf("command: %+v", c)
	}
	want := []string{"PATH=/x", "HOSTNAME=node1", "TERM=xterm", "HOME=/root", "A=3", "B=2"}
	if !slices.Equal(c.Env, want) {
		t.Errorf("environment %v, want %v", c.Env, want)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "tmp/mesos/file"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(b.root, "tmp/mesos/file")); err != nil {
		t.Errorf("written through the bind: %v", err)
	}
	if fi, err := os.Lstat(filepath.Join(c.Dir, "data")); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the image's volume is no link: %v %v", fi, err)
	}
}

func TestMergeEnv(t *testing.T) {
	for _, x := range []struct{ base, over, want string }{
		{"A=1 B=2", "C=3", "A=1 B=2 C=3"}, {"A=1 B=2", "A=9", "A=9 B=2"}, {"A=1 B=2 C=3", "A", "B=2 C=3"},
		{"A=1 B=2 C=3", "A C=4", "B=2 C=4"}, {"A=1", "X", "A=1"}, {"A=1", "A A=2", "A=2"}, {"", "E=", "E="},
	} {
		if got := strings.Join(mergeEnv(strings.Fields(x.base), strings.Fields(x.over)), " "); got != x.want {
			t.Errorf("%s over %s: %s, want %s", x.over, x.base, got, x.want)
		}
	}
}

func TestSignals(t *testing.T) {
	for in, want := range map[string]int{"KILL": 9, "sigterm": 15, "SIGUSR1": 10, "15": 15, "RTMIN": 34, "SIGRTMIN+3": 37, "RTMAX-1": 63} {
		if got, err := parseSignal(in); err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "65", "SIG", "BANG", "RTMIN+99", "RTMAX+1", "TERM+1"} {
		if got, err := parseSignal(in); err == nil {
			t.Errorf("%q is %d", in, got)
		}
	}
}

// FuzzCreate: no body crashes the engine or leaves anything behind when it is
// refused, and what is accepted can be inspected and removed.
func FuzzCreate(f *testing.F) {
	f.Add("name", []byte(`{"Image":"nginx","HostConfig":{"Binds":["/a:/b","vol:/c"],"PortBindings":{"80":[{"HostPort":"1-2"}]},"PublishAllPorts":true}}`))
	f.Add("", []byte(`{"Image":"lab/data:1","Volumes":{"/data/../x":{}},"HostConfig":{"Tmpfs":{"/t":""},"Mounts":[{"Type":"volume","Target":"/v"}]}}`))
	f.Add("../x", []byte(`{"Image":"lab/tool","Env":["=","A"],"Cmd":[""],"HostConfig":{"ExtraHosts":["a"],"Binds":["/../..:/../x"]}}`))
	b := newBench(f, f.TempDir())
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		if !utf8.ValidString(name) || strings.ContainsAny(name, "\x00 \t\r\n?#%&+;") {
			t.Skip()
		}
		var req api.CreateRequest
		if err := json.Unmarshal(body, &req); err != nil {
			return
		}
		c, _, err := b.create(name, req)
		if err != nil {
			if left, _ := os.ReadDir(filepath.Join(b.cfg.Dir, "containers")); len(left) > 0 {
				t.Fatalf("%v left %v", err, left)
			}
			return
		}
		if _, err := json.Marshal(c.inspect(true)); err != nil {
			t.Error(err)
		}
		if err := b.remove(t.Context(), c, false, true); err != nil {
			t.Error(err)
		}
	})
}

func TestRouter(t *testing.T) {
	b := newBench(t, "")
	for _, x := range []struct {
		method, target string
		status         int
		words          string
	}{
		{"GET", "/_ping", 200, "OK"}, {"HEAD", "/_ping", 200, ""}, {"GET", "/v1.44/_ping", 200, "OK"}, {"GET", "/v1.24/version", 200, "lab-engine"},
		{"GET", "/v1.45/info", 400, "client version 1.45 is too new. Maximum supported API version is 1.44"},
		{"GET", "/v1.23/info", 400, "client version 1.23 is too old. Minimum supported API version is 1.24"},
		{"GET", "/nonsense", 404, "page not found"}, {"GET", "/", 404, "page not found"}, {"PATCH", "/info", 404, "page not found"},
		{"GET", "/containers/none/json", 404, "No such container: none"}, {"POST", "/containers/none/start", 404, "No such container: none"},
		{"POST", "/containers/none/exec", 404, "No such container"}, {"GET", "/exec/none/json", 404, "No such exec instance: none"},
		{"GET", "/images/lab/web/json", 200, "lab/web:latest"}, {"GET", "/images/docker.io/library/nginx:9/json", 200, "nginx"},
		{"GET", "/images/none/json", 404, "No such image: none:latest"}, {"POST", "/images/load", 400, "catalogue"}, {"GET", "/images/search?term=x", 200, "[]"},
		{"POST", "/build", 501, "catalogue"}, {"GET", "/containers/none/export", 501, "catalogue"},
		{"GET", "/swarm", 503, "This node is not a swarm manager"}, {"GET", "/services", 503, "swarm manager"}, {"GET", "/plugins", 200, "[]"},
		{"DELETE", "/networks/bridge", 403, "pre-defined network"}, {"GET", "/networks/none9", 404, "network none9 not found"},
		{"GET", "/volumes/none", 404, "get none: no such volume"}, {"DELETE", "/volumes/none?force=1", 204, ""},
		{"GET", "/events?since=x", 400, "invalid value for a time"}, {"GET", "/containers/json?limit=x", 400, "invalid limit"},
		{"POST", "/auth", 200, "Login Succeeded"}, {"POST", "/containers/prune", 200, "ContainersDeleted"},
	} {
		status, body := b.do(t, x.method, x.target, "")
		if status != x.status || !strings.Contains(body, x.words) {
			t.Errorf("%s %s: %d %s, want %d %q", x.method, x.target, status, bytes.TrimSpace([]byte(body)), x.status, x.words)
		}
	}
}

func TestImageNames(t *testing.T) {
	b := newBench(t, "")
	for name, want := range map[string]string{
		"nginx": "lab/web", "nginx:1.10": "lab/web", "docker.io/library/nginx": "lab/web", "lab/web:any": "lab/web", "lab/data:1": "lab/data:1",
		b.images.ids[1]: "lab/tool", b.images.ids[1][7:19]: "lab/tool", "lab/data:2": "", "lab/data": "", "web": "", "other/nginx": "",
	} {
		i, err := b.images.find(name)
		if want == "" {
			wantStatus(t, err, 404, "No such image")
		} else if err != nil || b.images.catalogue[i].Name != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if status, body := b.do(t, "POST", "/images/lab/tool/tag?repo=mine&tag=2", ""); status != 201 {
		t.Fatal(body)
	}
	if status, _ := b.do(t, "POST", "/images/lab/tool/tag?repo=nginx", ""); status != 409 {
		t.Errorf("a catalogue name was given away: %d", status)
	}
	again := newBench(t, b.root)
	if i, err := again.images.find("mine:2"); err != nil || again.images.catalogue[i].Name != "lab/tool" {
		t.Errorf("the tag did not survive: %v", err)
	}
	if status, body := again.do(t, "DELETE", "/images/mine:2", ""); status != 200 || !strings.Contains(body, "Untagged") {
		t.Errorf("untag: %d %s", status, body)
	}
	_, err := again.images.find("mine:2")
	wantStatus(t, err, 404, "catalogue")
}
