//go:build unix

package machine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDockerOptsIsWhatAShellReads(t *testing.T) {
	for file, want := range map[string]string{
		"":                      "",
		"# DOCKER_OPTS=\"x\"\n": "",
		`DOCKER_OPTS="-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock"`: "-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock",
		"export DOCKER_OPTS='-D'\n":                         "-D",
		"DOCKER_OPTS=-D\nDOCKER_OPTS=\"$DOCKER_OPTS -s x\"": "-D -s x",
		"DOCKER_OPTS=-D; DOCKER_OPTS+=' -l debug'":          "-D -l debug",
		"DOCKER=/usr/bin/docker\nDOCKER_OPTS=$(rm -rf /)":   "",
		"DOCKER_OPTS=a\nif true; then DOCKER_OPTS=b; fi":    "a",
	} {
		if got, err := dockerOpts(file); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", file, got, err, want)
		}
	}
	if _, err := dockerOpts(`DOCKER_OPTS="never closed`); err == nil {
		t.Error("an unclosed quote is no error")
	}
}

func TestParseDaemon(t *testing.T) {
	sock := endpoint{"unix", "/var/run/docker.sock"}
	for opts, want := range map[string][]endpoint{
		"": {sock},
		"-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock": {{"tcp", "0.0.0.0:2375"}, sock},
		"-H fd:// --tls=false --label a=b -s overlay2 -D":      {sock},
		"--host=tcp://127.0.0.1:2376 --label=x":                {{"tcp", "127.0.0.1:2376"}},
		"-Htcp://:2375":                                        {{"tcp", ":2375"}},
		"-H=unix:///tmp/x.sock":                                {{"unix", "/tmp/x.sock"}},
		"--tlsverify=false -H fd://":                           {sock},
	} {
		got, err := parseDaemon(opts)
		if diff := cmp.Diff(want, got.Endpoints); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", opts, err, diff)
		}
	}
	for opts, want := range map[string]string{
		"--nope":            "unknown flag: --nope",
		"-H":                "flag needs an argument: --H",
		"-H tcp://host":     "",
		"-H tcp://h:99999":  "invalid bind address format",
		"-H http://x":       "invalid bind address format",
		"-H unix://x":       "absolute path",
		"--tls":             "could not read CA certificate",
		"--tlsverify":       "could not read CA certificate",
		"--tls=maybe":       "invalid boolean value",
		"daemon":            "unknown command or argument",
		"-H tcp://1.2.3.4:": "invalid bind address format",
	} {
		if _, err := parseDaemon(opts); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", opts, err, want)
		}
	}
}

func FuzzDockerOpts(f *testing.F) {
	f.Add(`DOCKER_OPTS="-H tcp://0.0.0.0:2375"`)
	f.Add("export A=1\nDOCKER_OPTS=${A:-x}$((1+1))`x`~root")
	f.Fuzz(func(t *testing.T, file string) {
		opts, err := dockerOpts(file)
		if err != nil {
			return
		}
		if flags, err := parseDaemon(opts); err == nil && len(flags.Endpoints) == 0 {
			t.Fatalf("%q listens nowhere", opts)
		}
	})
}
