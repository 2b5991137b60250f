package haproxy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/mini"
)

func TestVersions(t *testing.T) {
	for out, want := range map[string]struct {
		version string
		ok      bool
	}{
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n": {"2.6.12-1+deb12u4", true},
		"HA-Proxy version 2.2.9-2+deb11u6 2023/10/10\n":                        {"2.2.9-2+deb11u6", true},
		"HA-Proxy version 2.1.4 2020/04/02\n":                                  {"2.1.4", false},
		"HA-Proxy version 1.8.19-1+deb10u5 2024/01/01\n":                       {"1.8.19-1+deb10u5", false},
		"HAProxy version 10.0-dev1 2030/01/01\n":                               {"10.0-dev1", true},
		"nginx version: 2.6\n":                                                 {"", false},
		"":                                                                     {"", false},
	} {
		version, _ := parseVersion(out)
		if version != want.version || recent(version) != want.ok {
			t.Errorf("%q: %q, recent %v", out, version, recent(version))
		}
	}
}

// TestFindSaysWhy runs programs that only call themselves HAProxy.
func TestFindSaysWhy(t *testing.T) {
	env := envAt(t.TempDir(), "127.0.0.1")
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ path, want string }{
		"too old":  {script("old", "echo HA-Proxy version 1.6.3 2015/12/25"), "is version 1.6.3"},
		"another":  {script("other", "echo hello"), "does not say a version"},
		"failing":  {script("failing", "exit 3"), "exited with status 3"},
		"missing":  {filepath.Join(dir, "none"), "is no program"},
		"a folder": {dir, "is no program"},
	} {
		if _, err := Find(t.Context(), env, c.path); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if p, err := Find(t.Context(), env, script("good", "echo HAProxy version 2.2.0 2020/07/07")); err != nil || p.Version != "2.2.0" {
		t.Errorf("a good one: %+v, %v", p, err)
	}
	env.Environ = []string{"PATH=" + dir}
	os.Rename(filepath.Join(dir, "good"), filepath.Join(dir, "haproxy"))
	if p, err := Find(t.Context(), env, "auto"); err != nil || p.Path != filepath.Join(dir, "haproxy") {
		t.Errorf("by PATH: %+v, %v", p, err)
	}
	if _, err := Find(t.Context(), mini.Env{}, "auto"); !errors.Is(err, ErrNone) {
		t.Errorf("where nothing can be run: %v", err)
	}
}

func TestParseWorkers(t *testing.T) {
	for name, text := range map[string]string{
		"2.6": "#<PID>          <type>          <reloads>       <uptime>        <version>      \n" +
			"32141           master          2 [failed: 1]   0d00h00m31s     2.6.12-1+deb12u4\n# workers\n" +
			"1585            worker          1               0d00h00m10s     2.6.12-1+deb12u4\n# old workers\n" +
			"1212            worker          0               0d00h10m10s     2.6.12-1+deb12u4\n# programs\n\n",
		"2.2": "#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>      \n" +
			"1162            master          0               1               0d00h03m18s     2.2.9\n# workers\n" +
			"1585            worker          1               0               0d00h03m18s     2.2.9\n# old workers\n" +
			"1212            worker          [was: 1]        1               0d00h05m00s     2.2.9\n# programs\n",
	} {
		if got := parseWorkers(text); !slices.Equal(got, []int{1585, 1212}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRefused reads what HAProxy 2.6 says of wrong texts.
func TestRefused(t *testing.T) {
	const text = "global\n  maxconn 10\n\nfrontend web\n  bind *:80\n\nbackend web\n  balance roundrobbin\n  server a b check inter 9999999s\n"
	for said, want := range map[string]string{
		"[NOTICE]   (7) : haproxy version is 2.6.12\n" +
			"[ALERT]    (7) : config : parsing [candidate.cfg:8] : balance only supports 'roundrobin'\n" +
			"[ALERT]    (7) : config : [candidate.cfg:9] : 'server web/a' : timer overflow\n" +
			"[ALERT]    (7) : config : Error(s) found in configuration file : candidate.cfg\n" +
			"[ALERT]    (7) : config : Fatal errors found in configuration.\n": "HAProxy refuses it: balance only supports 'roundrobin' (backend web: balance roundrobbin); 'server web/a' : timer overflow (backend web: server a b check inter 9999999s)",
		"[ALERT]    (7) : Binding [haproxy.cfg:5] for frontend web: cannot bind socket\n": "HAProxy refuses it: for frontend web: cannot bind socket (frontend web: bind *:80)",
		"[ALERT] 333/041547 (7) : parsing [/dir/candidate.cfg:8]: no\n":                   "HAProxy refuses it: no (backend web: balance roundrobbin)",
		"[ALERT] (7) : config : Proxy 'web': unable to find required use_backend: 'x'.\n": "HAProxy refuses it: Proxy 'web': unable to find required use_backend: 'x'.",
		"[ALERT] (7) : config : parsing [candidate.cfg:99] : what\n":                      "HAProxy refuses it: parsing [candidate.cfg:99] : what",
		"[WARNING] (7) : config : parsing [candidate.cfg:8] : old\n":                      "",
		"haproxy: error while loading shared libraries\n":                                 "",
	} {
		got := ""
		if e := refused(said, text); e != nil {
			got = e.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", said, got, want)
		}
	}
}

func TestOrdinary(t *testing.T) {
	for words, want := range map[string]bool{
		"Proxy <HTTPCLIENT> stopped (cumulated conns: FE: 0, BE: 0).": true,
		"Proxy nginx_10000 stopped (cumulated conns: FE: 9, BE: 0).":  true,
		"Former worker (361) exited with code 0 (Exit)":               true,
		"Former worker (361) exited with code 137 (Killed)":           false,
		"Current worker (361) exited with code 0 (Exit)":              false,
		"Server web/a is DOWN.":                                       false,
	} {
		if ordinary.MatchString(words) != want {
			t.Errorf("%s: ordinary %v", words, !want)
		}
	}
}

func TestLogLines(t *testing.T) {
	for line, want := range map[string][2]string{
		"[ALERT]    (32141) : Binding [x:24] for frontend x: cannot bind socket": {"ALERT", "Binding [x:24] for frontend x: cannot bind socket"},
		"[WARNING] 333/041547 (123) : Server web/a is DOWN.\n":                   {"WARNING", "Server web/a is DOWN."},
		"[NOTICE] (1) : New worker (2) forked":                                   {"NOTICE", "New worker (2) forked"},
		"Warnings were found.":                                                   {"", "Warnings were found."},
		"[":                                                                      {"", ""},
	} {
		if severity, text := logLine(line); severity != want[0] || text != want[1] {
			t.Errorf("%q: %q, %q", line, severity, text)
		}
	}
}

// Whatever HAProxy says, reading it does not panic, and rows have names only
// of the first line.
func FuzzAnswers(f *testing.F) {
	f.Add("# pxname,svname,status,\nweb,FRONTEND,OPEN,\nweb,a,\"UP 1/2\",\n")
	f.Add("32141 master 0\n1585 worker 1\n[ALERT] (1) : x\n")
	f.Fuzz(func(t *testing.T, text string) {
		parseWorkers(text)
		alerts(text)
		field(text, "description")
		refused(text, text)
		if v, ok := parseVersion(text); ok {
			recent(v)
		}
		rows, err := parseStat(text)
		if err != nil {
			return
		}
		head, _, _ := strings.Cut(text, "\n")
		for _, row := range rows {
			for column := range row {
				if !strings.Contains(text, column) {
					t.Fatalf("column %q is not in %q", column, head)
				}
			}
		}
	})
}
