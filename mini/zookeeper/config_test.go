package zookeeper

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini"
)

func TestConfigure(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  []string
		file string
		want func(*config)
	}{
		{name: "defaults", want: func(*config) {}},
		{name: "seed's words", args: []string{"start-foreground"}, want: func(*config) {}},
		{name: "file", args: []string{"start-foreground", "/conf/zoo.cfg"},
			file: "# a comment\n\n tickTime = 500 \ndataDir=/data\nclientPort:12181\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\ninitLimit=5\n4lw.commands.whitelist=*\nsnapCount=7\nforceSync=no\n",
			want: func(c *config) {
				c.tick, c.min, c.max = 500*time.Millisecond, time.Second, 10*time.Second
				c.dataDir, c.port, c.host, c.perHost, c.snapCount, c.sync = "/data", 12181, "127.0.0.1", 0, 7, false
			}},
		{name: "timeouts", args: []string{"conf/zoo.cfg"}, file: "minSessionTimeout=1\nmaxSessionTimeout=60000\n",
			want: func(c *config) { c.min, c.max = time.Millisecond, time.Minute }},
		{name: "default timeouts", args: []string{"/conf/zoo.cfg"}, file: "minSessionTimeout=-1\n", want: func(*config) {}},
		{name: "environment", env: []string{"ZOO_PORT=3", "LOCAL_IP=10.0.0.1"},
			want: func(c *config) { c.port, c.host = 3, "10.0.0.1" }},
		{name: "Java's flags", env: []string{"JVMFLAGS=-Xmx512m -Dzookeeper.forceSync=no -Dzookeeper.skipACL=yes"},
			want: func(c *config) { c.sync = false }},
		{name: "file over Java's flags", args: []string{"/conf/zoo.cfg"}, env: []string{"JVMFLAGS=-Dzookeeper.forceSync=no"}, file: "forceSync=yes\n",
			want: func(*config) {}},
		{name: "file over environment", args: []string{"/conf/zoo.cfg"}, env: []string{"ZOO_PORT=3"}, file: "clientPort=4\n",
			want: func(c *config) { c.port = 4 }},
	}
	for _, tt := range tests {
		root := t.TempDir()
		zooCfg(t, root, tt.file)
		want := config{port: 2181, dataDir: "/tmp/zookeeper", tick: 2 * time.Second, min: 4 * time.Second, max: 40 * time.Second, perHost: 60, snapCount: 10_000, sync: true}
		tt.want(&want)
		got, notes, err := configure(mini.Env{Args: tt.args, Environ: tt.env, Root: root})
		if err != nil || got != want || len(notes) > 0 {
			t.Errorf("%s: got %+v, %v, %v\nwant %+v", tt.name, got, notes, err, want)
		}
	}
}

func TestUnknownKeyIsNoted(t *testing.T) {
	root := t.TempDir()
	zooCfg(t, root, "ticktime=3\n")
	_, notes, err := configure(mini.Env{Args: []string{"/conf/zoo.cfg"}, Root: root})
	if err != nil || len(notes) != 1 || !strings.HasPrefix(notes[0], "/conf/zoo.cfg:1: ticktime: ") {
		t.Errorf("%q, %v", notes, err)
	}
}

func TestBadConfigurationExitsWith2(t *testing.T) {
	tests := []struct {
		name, file string
		args, env  []string
		want       []string
	}{
		{name: "all at once", args: []string{"start-foreground", "/conf/zoo.cfg"},
			file: "clientPort=http\n\ntickTime=0\ndataDir=data\nclientPortAddress=a b\nforceSync=maybe\njust words\nserver.1=a:2888:3888\n",
			want: []string{
				`/conf/zoo.cfg:1: clientPort: "http" is not a whole number from 1 to 65535`,
				`/conf/zoo.cfg:3: tickTime: "0"`, `/conf/zoo.cfg:4: dataDir: "data"`, `/conf/zoo.cfg:5: clientPortAddress: "a b"`,
				`/conf/zoo.cfg:6: forceSync: "maybe"`, `/conf/zoo.cfg:7: "just words" is not key=value`, `/conf/zoo.cfg:8: server.1: this is a single server`,
			}},
		{name: "timeouts", args: []string{"/conf/zoo.cfg"}, file: "minSessionTimeout=50000\n",
			want: []string{"/conf/zoo.cfg: minSessionTimeout (50s) must not be larger than maxSessionTimeout (40s)"}},
		{name: "no file", args: []string{"/nowhere/zoo.cfg"}, want: []string{"/nowhere/zoo.cfg: open configuration: no such file"}},
		{name: "environment", env: []string{"ZOO_PORT=x"}, want: []string{"environment: ZOO_PORT: \"x\""}},
		{name: "words", args: []string{"status"}, want: []string{"usage: zkServer.sh"}},
	}
	for _, tt := range tests {
		root := t.TempDir()
		zooCfg(t, root, tt.file)
		var out, errs output
		code := Run(t.Context(), mini.Env{Args: tt.args, Environ: tt.env, Root: root, Stdout: &out, Stderr: &errs,
			Listen: func(context.Context, string, string) (net.Listener, error) { return nil, errors.New("listened") }})
		if code != 2 {
			t.Errorf("%s: exit code %d", tt.name, code)
		}
		for _, w := range tt.want {
			if !strings.Contains(errs.String(), w) {
				t.Errorf("%s: %s\nhas no %s", tt.name, errs.String(), w)
			}
		}
		if strings.Contains(errs.String(), root) {
			t.Errorf("%s: names the path outside of the container: %s", tt.name, errs.String())
		}
	}
}

func FuzzZooCfg(f *testing.F) {
	f.Add("tickTime=500\ndataDir=/data\nclientPort=12181\n")
	f.Add("clientPortAddress=::1\n= \n:\nserver.1=x\n#\n!")
	f.Fuzz(func(t *testing.T, text string) {
		root := t.TempDir()
		zooCfg(t, root, text)
		cfg, _, err := configure(mini.Env{Args: []string{"/conf/zoo.cfg"}, Root: root})
		if err != nil {
			return
		}
		if cfg.min < 0 || cfg.min > cfg.max || cfg.port < 1 || cfg.port > 65535 || !strings.HasPrefix(cfg.dataDir, "/") || cfg.snapCount < 2 {
			t.Errorf("%q gave %+v", text, cfg)
		}
	})
}
