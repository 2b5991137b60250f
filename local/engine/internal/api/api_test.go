package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestSplitVersion(t *testing.T) {
	for _, x := range []struct{ path, version, rest string }{
		{"/v1.44/info", "1.44", "/info"},
		{"/info", "", "/info"},
		{"/version", "", "/version"},
		{"/volumes", "", "/volumes"},
		{"/v1.44", "", "/v1.44"},
		{"/v1/info", "", "/v1/info"},
		{"/v1.x/info", "", "/v1.x/info"},
		{"/v1.24/containers/a/json", "1.24", "/containers/a/json"},
	} {
		if v, rest := SplitVersion(x.path); v != x.version || rest != x.rest {
			t.Errorf("%s: %q %q", x.path, v, rest)
		}
	}
}

func FuzzSplitVersion(f *testing.F) {
	for _, s := range []string{"/v1.44/info", "/info", "/v..//", "/v1.99999999999999999999/x", "v1.2/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		v, rest := SplitVersion(path)
		if v == "" && rest != path || v != "" && path != "/v"+v+rest {
			t.Errorf("%q is not %q and %q", path, v, rest)
		}
		if _, ok := ParseVersion(v); v != "" && !ok {
			t.Errorf("%q is no version", v)
		}
	})
}

func TestParseFilters(t *testing.T) {
	for _, x := range []struct{ in, err string }{
		{`{"label":{"a=b":true,"c":true}}`, ""},
		{`{"label":["a=b","c"]}`, ""},
		{`{"label":"a"}`, "invalid filter"},
		{`{"nonsense":["a"]}`, "invalid filter 'nonsense'"},
		{`[`, "invalid filter"},
	} {
		f, err := ParseFilters(x.in, "label", "name")
		if x.err != "" {
			if err == nil || err.Error() != x.err {
				t.Errorf("%s: %v, want %s", x.in, err, x.err)
			}
			continue
		}
		if err != nil || strings.Join(f["label"], " ") != "a=b c" {
			t.Errorf("%s: %v %v", x.in, f, err)
		}
		if f.Labels("label", map[string]string{"a": "b"}) || !f.Labels("label", map[string]string{"a": "b", "c": "x"}) || f.Labels("label", map[string]string{"a": "x", "c": ""}) {
			t.Errorf("%s: labels are matched wrongly", x.in)
		}
	}
}

func TestFilterMatches(t *testing.T) {
	f := Filters{"name": {"we+b$", "["}, "exact": {"yes"}}
	for have, want := range map[string]bool{"weeeb": true, "webs": false, "a[b": true} {
		if f.Pattern("name", have) != want {
			t.Errorf("%q matches: %v", have, !want)
		}
	}
	if !f.Exact("exact", "yes") || f.Exact("exact", "no") || !f.Exact("absent", "anything") {
		t.Error("exact is wrong")
	}
}

func FuzzFilters(f *testing.F) {
	for _, s := range []string{`{"label":{"a=b":true}}`, `{"label":["a"]}`, `{"name":{"(":true}}`, `null`, `{"":null}`} {
		f.Add(s, "have")
	}
	f.Fuzz(func(t *testing.T, in, have string) {
		filters, err := ParseFilters(in)
		if err != nil {
			return
		}
		for k := range filters {
			filters.Pattern(k, have)
			filters.Labels(k, map[string]string{have: have})
			if filters.Exact(k, have) && filters.Has(k) && !strings.Contains(strings.Join(filters[k], "\x00"), have) {
				t.Errorf("%s=%q matched %v", k, have, filters[k])
			}
		}
	})
}

func TestPorts(t *testing.T) {
	for _, x := range []struct {
		in, proto string
		number    int
		bad       bool
	}{
		{"80", "tcp", 80, false}, {"80/tcp", "tcp", 80, false}, {"53/UDP", "udp", 53, false}, {"80/", "tcp", 80, false},
		{"0", "", 0, true}, {"65536", "", 0, true}, {"-1", "", 0, true}, {"80/x", "", 0, true}, {"", "", 0, true}, {"1-2/tcp", "", 0, true},
	} {
		n, proto, err := ParsePort(x.in)
		if (err != nil) != x.bad || n != x.number || proto != x.proto {
			t.Errorf("%q: %d %q %v", x.in, n, proto, err)
		}
	}
	for _, x := range []struct {
		in          string
		first, last int
		bad         bool
	}{
		{"", 0, 0, false}, {"0", 0, 0, false}, {"8080", 8080, 8080, false}, {"8000-8010", 8000, 8010, false},
		{"8010-8000", 0, 0, true}, {"a", 0, 0, true}, {"1-", 0, 0, true}, {"70000", 0, 0, true},
	} {
		first, last, err := ParseHostPort(x.in)
		if (err != nil) != x.bad || first != x.first || last != x.last {
			t.Errorf("%q: %d %d %v", x.in, first, last, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	for _, x := range []struct {
		in   string
		want time.Time
		bad  bool
	}{
		{"", time.Time{}, false}, {"0", time.Time{}, false},
		{"1700000000", time.Unix(1700000000, 0), false},
		{"1700000000.000000123", time.Unix(1700000000, 123), false},
		{"1700000000.5", time.Unix(1700000000, 500000000), false},
		{"2026-01-02T03:04:05.5Z", time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC), false},
		{"yesterday", time.Time{}, true}, {"1.x", time.Time{}, true},
	} {
		got, err := ParseTime(x.in)
		if (err != nil) != x.bad || !got.Equal(x.want) {
			t.Errorf("%q: %v %v", x.in, got, err)
		}
	}
}

func TestReferences(t *testing.T) {
	for in, want := range map[string]string{
		"nginx": "nginx:latest", "nginx:1.10": "nginx:1.10", "docker.io/library/nginx:1.10": "nginx:1.10", "library/nginx": "nginx:latest",
		"lab/web": "lab/web:latest", "registry:5000/team/app": "registry:5000/team/app:latest", "registry:5000/app:2": "registry:5000/app:2",
		"nginx@sha256:abc": "nginx@sha256:abc", "kiwenlau/mesos:0.26.0": "kiwenlau/mesos:0.26.0",
	} {
		if got, err := ParseReference(in); err != nil || got.String() != want {
			t.Errorf("%s: %s %v", in, got, err)
		}
	}
	for _, in := range []string{"", "Nginx", "a b", "nginx:", "nginx:a b", "../x", "/x", "x/"} {
		if got, err := ParseReference(in); err == nil {
			t.Errorf("%q is %s", in, got)
		}
	}
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"nginx:1.10", "docker.io/library/nginx", "a/b@sha256:1", "h:1/x:2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := ParseReference(in)
		if err != nil {
			return
		}
		if again, err := ParseReference(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, which reads as %+v, %v", in, r, again, err)
		}
	})
}

func FuzzCreateRequest(f *testing.F) {
	f.Add([]byte(`{"Image":"nginx","Cmd":"one","Entrypoint":["a","b"],"ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"1"}]},"RestartPolicy":{"Name":"always"}}}`))
	f.Add([]byte(`{"Cmd":null,"Volumes":null,"HostConfig":null,"NetworkingConfig":{"EndpointsConfig":{"host":{}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var req CreateRequest
		if json.Unmarshal(b, &req) != nil {
			return
		}
		out, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		var again CreateRequest
		if err := json.Unmarshal(out, &again); err != nil {
			t.Errorf("%s does not read back: %v", out, err)
		}
	})
}

func TestStrings(t *testing.T) {
	for in, want := range map[string]string{`"one two"`: "one two", `["a","b"]`: "a|b", `null`: "", `[]`: ""} {
		var s Strings
		if err := json.Unmarshal([]byte(in), &s); err != nil || strings.Join(s, "|") != want {
			t.Errorf("%s: %q %v", in, s, err)
		}
	}
	var s Strings
	if err := json.Unmarshal([]byte(`{"a":1}`), &s); err == nil {
		t.Errorf("an object became %q", s)
	}
}

func TestBool(t *testing.T) {
	for in, want := range map[string]bool{"": false, "0": false, "no": false, "False": false, "none": false, "1": true, "true": true, "yes": true} {
		if Bool(in) != want {
			t.Errorf("%q is %v", in, !want)
		}
	}
}
