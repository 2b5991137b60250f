package app

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

func TestIDs(t *testing.T) {
	for _, c := range []struct{ id, base, want string }{
		{"nginx", "/", "/nginx"}, {"/nginx", "/x", "/nginx"}, {"../db", "/shop/web", "/shop/db"}, {"./a//b/", "/", "/a/b"},
		{"../../../x", "/a", "/x"}, {"", "/a", "/a"}, {"/", "/a", "/"},
	} {
		if got := Absolute(c.id, c.base); got != c.want {
			t.Errorf("%q seen from %s is %s, want %s", c.id, c.base, got, c.want)
		}
	}
	for id, want := range map[string]bool{"/a": true, "/a-b/c.d-e": true, "/": false, "/A": false, "/a_b": false, "/-a": false, "/a-": false, "/a..b": false, "/a b": false} {
		if ValidID(id) != want {
			t.Errorf("%q is valid: %v", id, !want)
		}
	}
	if Parent("/a/b") != "/a" || Parent("/a") != "/" || Parent("/") != "/" {
		t.Error("parents")
	}
	if !Within("/a/b", "/a") || Within("/ab", "/a") || !Within("/a", "/") || !Within("/a", "/a") {
		t.Error("within")
	}
	if id, ok := OfTask("a_b-c.0c2f7a1e-e70b-11f1-ae43-c67be11b7305"); !ok || id != "/a/b-c" {
		t.Errorf("app of a task: %s", id)
	}
}

func TestTimesAreVersions(t *testing.T) {
	v, err := ParseTime("2016-07-06T13:18:47.1239+02:00")
	if err != nil || v.String() != "2016-07-06T11:18:47.123Z" {
		t.Errorf("%s, %v", v, err)
	}
	b, _ := json.Marshal(struct{ A, B Time }{A: v})
	if string(b) != `{"A":"2016-07-06T11:18:47.123Z","B":null}` {
		t.Errorf("printed %s", b)
	}
	var back struct{ A, B Time }
	if err := json.Unmarshal(b, &back); err != nil || !back.A.Equal(v) || !back.B.IsZero() {
		t.Errorf("read back %v, %v", back, err)
	}
	if !At(time.Unix(5, 999999)).Equal(At(time.Unix(5, 0))) {
		t.Error("not cut to milliseconds")
	}
}

// make reads, merges, completes and checks a new app.
func makeApp(t testing.TB, body string) (App, error) {
	u, err := ParseNew([]byte(body))
	if err != nil {
		return App{}, err
	}
	a := u.Apply(Default(Absolute(*u.ID, "/"))).Normalize()
	return a, a.Validate()
}

func TestExamplesOfMarathonAreRead(t *testing.T) {
	dir := labtest.Contracts(t)
	files, _ := filepath.Glob(filepath.Join(dir, "marathon", "app-examples-v1.1.1", "*.json"))
	if len(files) < 8 {
		t.Fatalf("%d examples in %s", len(files), dir)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "Group.json") {
			continue
		}
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := makeApp(t, string(body)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestDefaultsAndDerivedFields(t *testing.T) {
	a, err := makeApp(t, `{"id":"x/y","cmd":"c","uris":["http://a/b.tgz"],"dependencies":["z","../w"],"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"},
	 "healthChecks":[{},{"protocol":"TCP","port":80},{"protocol":"COMMAND","command":{"value":"true"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Fetch, []Fetch{{"http://a/b.tgz", true, false, false}}) || !reflect.DeepEqual(a.URIs, []string{"http://a/b.tgz"}) {
		t.Errorf("fetch %v, uris %v", a.Fetch, a.URIs)
	}
	if !reflect.DeepEqual(a.Dependencies, []string{"/x/z", "/w"}) {
		t.Errorf("dependencies %v", a.Dependencies)
	}
	if a.UpgradeStrategy != (UpgradeStrategy{0, 0}) {
		t.Errorf("strategy of a single instance: %v", a.UpgradeStrategy)
	}
	h := a.HealthChecks
	if *h[0].PortIndex != 0 || *h[0].Path != "/" || h[0].IntervalSeconds != 60 || h[0].GracePeriodSeconds != 300 || h[0].TimeoutSeconds != 20 || h[0].MaxConsecutiveFailures != 3 {
		t.Errorf("check %+v", h[0])
	}
	if h[1].PortIndex != nil || h[1].Path != nil || h[2].PortIndex != nil {
		t.Errorf("checks %+v %+v", h[1], h[2])
	}
	if !reflect.DeepEqual(a.Ports, []int{0}) || a.CPUs != 1 || a.Mem != 128 || a.Instances != 1 {
		t.Errorf("defaults %+v", a)
	}
	b, err := makeApp(t, `{"id":"b","container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[
	 {"containerPort":80,"servicePort":9000},{"containerPort":161,"protocol":"udp"}]}}}`)
	if err != nil || !reflect.DeepEqual(b.Ports, []int{9000, 0}) || len(b.PortDefinitions) != 2 || b.Container.Type != "DOCKER" {
		t.Errorf("bridged: %v %+v", err, b)
	}
	c := b.WithServicePorts([]int{9000, 10000})
	if c.Container.Docker.PortMappings[1].ServicePort != 10000 || c.Ports[1] != 10000 || b.Container.Docker.PortMappings[1].ServicePort != 0 {
		t.Errorf("service ports %+v, the original %+v", c.Container.Docker, b.Container.Docker)
	}
}

// TestCommandOrContainer: cmd, args and container as 1.1.1 takes them. An app
// without ports has one of its own, so that PORT0 is given.
func TestCommandOrContainer(t *testing.T) {
	const image = `"container":{"docker":{"image":"i"}}`
	for body, ok := range map[string]bool{
		`{"id":"a","cmd":"x"}`: true, `{"id":"a","args":["x","y"]}`: true, `{"id":"a",` + image + `}`: true,
		`{"id":"a","cmd":"x",` + image + `}`: true, `{"id":"a","args":["x"],` + image + `}`: true, `{"id":"a","container":{"type":"MESOS"},"cmd":"x"}`: true,
		`{"id":"a"}`: false, `{"id":"a","cmd":"x","args":["y"]}`: false, `{"id":"a","cmd":"x","args":["y"],` + image + `}`: false,
	} {
		a, err := makeApp(t, body)
		if (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
		if ok && !reflect.DeepEqual(a.Ports, []int{0}) {
			t.Errorf("%s has ports %v", body, a.Ports)
		}
	}
}

func TestRulesAreCheckedAllAtOnce(t *testing.T) {
	for _, c := range []struct{ body, path string }{
		{`{"id":"A","cmd":"x"}`, "/id"}, {`{"id":"a","cmd":""}`, "/cmd"}, {`{"id":"a"}`, "/"},
		{`{"id":"a","cmd":"x","instances":-1}`, "/instances"}, {`{"id":"a","cmd":"x","cpus":-0.1}`, "/cpus"}, {`{"id":"a","cmd":"x","mem":-1}`, "/mem"},
		{`{"id":"a","cmd":"x","disk":-1}`, "/disk"}, {`{"id":"a","cmd":"x","backoffFactor":0.5}`, "/backoffFactor"},
		{`{"id":"a","cmd":"x","upgradeStrategy":{"maximumOverCapacity":1.1}}`, "/upgradeStrategy/maximumOverCapacity"},
		{`{"id":"a","cmd":"x","ports":[70000]}`, "/portDefinitions(0)/port"}, {`{"id":"a","cmd":"x","portDefinitions":[{"port":80},{"port":80}]}`, "/portDefinitions"},
		{`{"id":"a","cmd":"x","portDefinitions":[{"protocol":"sctp"}]}`, "/portDefinitions(0)/protocol"},
		{`{"id":"a","cmd":"x","portDefinitions":[{"name":"a"},{"name":"a"}]}`, "/portDefinitions"},
		{`{"id":"a","cmd":"x","portDefinitions":[{"name":"A"}]}`, "/portDefinitions(0)/name"},
		{`{"id":"a","container":{"docker":{"image":""}}}`, "/container/docker/image"}, {`{"id":"a","container":{}}`, "/container/docker"},
		{`{"id":"a","container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[{"hostPort":-1}]}}}`, "/container/docker/portMappings(0)/hostPort"},
		{`{"id":"a","cmd":"x","constraints":[["hostname","UNIQUE","v"]]}`, "/constraints(0)"}, {`{"id":"a","cmd":"x","constraints":[["rack","LIKE","["]]}`, "/constraints(0)"},
		{`{"id":"a","cmd":"x","constraints":[["rack","GROUP_BY","two"]]}`, "/constraints(0)"}, {`{"id":"a","cmd":"x","constraints":[["rack","LIKE"]]}`, "/constraints(0)"},
		{`{"id":"a","cmd":"x","healthChecks":[{"portIndex":1}]}`, "/healthChecks(0)"}, {`{"id":"a","cmd":"x","ports":[],"healthChecks":[{}]}`, "/healthChecks(0)"},
		{`{"id":"a","cmd":"x","healthChecks":[{"protocol":"COMMAND"}]}`, "/healthChecks(0)"}, {`{"id":"a","cmd":"x","healthChecks":[{"intervalSeconds":-1}]}`, "/healthChecks(0)/intervalSeconds"},
		{`{"id":"a","cmd":"x","readinessChecks":[{}]}`, "/readinessChecks(0)/portName"}, {`{"id":"a","cmd":"x","instances":2,"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}}`, "/instances"},
		{`{"id":"a","cmd":"x","residency":{}}`, "/residency"}, {`{"id":"a","cmd":"x","ipAddress":{}}`, "/ipAddress"}, {`{"id":"a","cmd":"x","executor":"./mine"}`, "/executor"},
		{`{"id":"a","container":{"docker":{"image":"i"},"volumes":[{"containerPath":"d","mode":"RW","persistent":{"size":1}}]}}`, "/container/volumes(0)"},
	} {
		_, err := makeApp(t, c.body)
		var bad *InvalidError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if bad.Problems[0].Path != c.path || len(bad.Problems) != 1 || bad.Problems[0].Errors[0] == "" {
			t.Errorf("%s: %+v, want %s", c.body, bad.Problems, c.path)
		}
	}
	_, err := makeApp(t, `{"id":"A","cmd":"x","cpus":-1,"mem":-1}`)
	var bad *InvalidError
	if !errors.As(err, &bad) || len(bad.Problems) != 3 {
		t.Errorf("three problems give %v", err)
	}
}

func TestPutMerges(t *testing.T) {
	base, err := makeApp(t, `{"id":"a","cmd":"x","env":{"A":"1"},"ports":[8000],"instances":3}`)
	if err != nil {
		t.Fatal(err)
	}
	u, err := ParseUpdate([]byte(`{"env":{"B":"2"},"mem":64,"cmd":null}`))
	if err != nil {
		t.Fatal(err)
	}
	a := u.Apply(base)
	if a.Instances != 3 || *a.Cmd != "x" || a.Mem != 64 || !reflect.DeepEqual(a.Env, map[string]string{"B": "2"}) || a.Ports[0] != 8000 {
		t.Errorf("%+v", a)
	}
	if base.Mem != 128 || base.Env["A"] != "1" {
		t.Error("the base was changed")
	}
	scaled := base.Clone()
	scaled.Instances = 9
	if !base.Scaling(scaled) || base.Scaling(a) || !base.SameConfig(base.Clone()) {
		t.Error("scaling is not told from a change of configuration")
	}
}

func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		n           int
		least, over float64
		running     int
		low, high   int
	}{{4, 1, 1, 4, 4, 8}, {4, 0.5, 0, 4, 2, 4}, {1, 1, 0, 1, 1, 2}, {3, 0.34, 0.34, 3, 2, 4}, {4, 1, 0, 4, 4, 5}, {4, 1, 0, 2, 4, 4}, {0, 1, 1, 0, 0, 1}} {
		a := App{Instances: c.n, UpgradeStrategy: UpgradeStrategy{c.least, c.over}}
		if low, high := a.Capacity(c.running); low != c.low || high != c.high {
			t.Errorf("%+v gives %d to %d", c, low, high)
		}
	}
}

// TestContradictionsAreFoundWhileReading: 1.1.1 answers them with 400.
func TestContradictionsAreFoundWhileReading(t *testing.T) {
	for body, want := range map[string]Problem{
		`{"id":"a","ports":[1],"portDefinitions":[{"port":2}]}`: {"/", []string{"You cannot specify both ports and port definitions"}},
		`{"id":"a","uris":["u"],"fetch":[{"uri":"u"}]}`:         {"/", []string{"You cannot specify both uris and fetch fields"}},
		`{"id":"a","ports":[80,0,0,80]}`:                        {"/ports", []string{"Ports must be unique."}},
	} {
		_, err := ParseUpdate([]byte(body))
		var bad *TypeError
		if !errors.As(err, &bad) || !reflect.DeepEqual(bad.Problems, []Problem{want}) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, body := range []string{`{"ports":[1,0,0],"portDefinitions":[{"port":1},{},{}]}`, `{"uris":["u.zip"],"fetch":[]}`, `{"uris":[],"fetch":[{"uri":"u"}]}`} {
		if _, err := ParseUpdate([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	a, err := makeApp(t, `{"id":"a","cmd":"x","uris":["http://h/a.tar.gz","http://h/run.sh"]}`)
	if err != nil || !a.Fetch[0].Extract || a.Fetch[1].Extract {
		t.Errorf("%+v, %v", a.Fetch, err)
	}
}

// FuzzApp reads anything. What is accepted must be printable and, read
// again, be the same app.
func FuzzApp(f *testing.F) {
	for _, s := range []string{`{"id":"nginx","instances":2,"cpus":0.2,"mem":20,"labels":{"HAPROXY_GROUP":"external"},"container":{"type":"DOCKER","docker":{"image":"nginx:1.10","network":"BRIDGE","portMappings":[{"containerPort":80,"hostPort":0,"servicePort":10000,"protocol":"tcp"}]}},"healthChecks":[{"path":"/"}]}`,
		`{"id":"a","cmd":"x","constraints":[["hostname","LIKE","a.*"]],"ports":[0,80],"fetch":[{"uri":"u"}]}`, `{"id":7}`, `[1,{}]`, `{"id":"a","args":["x"],"upgradeStrategy":{},"readinessChecks":[{}]}`, `{"id":"a","cmd":"x","instances":1e3,"cpus":1e400}`, `nul`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a, err := makeApp(t, body)
		if err != nil {
			var s *SyntaxError
			var ty *TypeError
			var in *InvalidError
			if !errors.As(err, &s) && !errors.As(err, &ty) && !errors.As(err, &in) {
				t.Fatalf("an error without a shape: %v", err)
			}
			return
		}
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var again App
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		if !a.SameConfig(again) {
			t.Fatalf("%s\nbecame %+v", b, again)
		}
	})
}
