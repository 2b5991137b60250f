package marathonlb

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args, environ string
		marathon      string
		groups        string
		want          func(o options) bool
	}{
		{"", "", "http://localhost:8080", "external", func(o options) bool { return o.follow == events && o.bindShared && o.statsPort == "9090" && !o.healthy }},
		{"start-marathonlb.sh", "LOCAL_IP=192.168.59.1", "http://192.168.59.1:8080", "external", nil},
		{"start-marathonlb.sh --health-check", "MARATHON_URL=http://a:1,http://b:2/ LAB_DONT_BIND_HTTP_HTTPS=1 LAB_LB_STATS_PORT=9999", "http://a:1 http://b:2", "external",
			func(o options) bool { return o.healthy && !o.bindShared && o.statsPort == "9999" }},
		{"-m http://a:1 http://b:2 --group x y --group=z -s -H --dont-bind-http-https --haproxy-map --haproxy-config /tmp/h.cfg --auth-credentials u:p:q",
			"", "http://a:1 http://b:2", "x y z", func(o options) bool {
				return o.follow == events && o.healthy && !o.bindShared && o.vhostMap && o.config == "/tmp/h.cfg" && o.user == "u" && o.pass == "p:q"
			}},
		{"/marathon-lb/marathon_lb.py --marathon http://a:1 --group * --ssl-certs /etc/ssl/cert.pem --syslog-socket /dev/null --command reload-haproxy.sh", "", "http://a:1", "*",
			func(o options) bool { return o.follow == once }},
		{"run sse -m http://a:1 --group x", "", "http://a:1", "x", func(o options) bool { return o.follow == events }},
		{"run poll -m http://a:1 --group x", "POLL_INTERVAL=5", "http://a:1", "x", func(o options) bool { return o.follow == polling && o.poll == 5*time.Second }},
	} {
		env := mini.Env{Args: strings.Fields(c.args), Environ: strings.Fields(c.environ)}
		o, err := parse(env)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		var groups []string
		for g := range o.groups {
			groups = append(groups, g)
		}
		slices.Sort(groups)
		if strings.Join(o.marathon, " ") != c.marathon || strings.Join(groups, " ") != c.groups || c.want != nil && !c.want(o) {
			t.Errorf("%s: %+v", c.args, o)
		}
	}
}

func TestWrongUse(t *testing.T) {
	for _, c := range []struct{ args, environ, says string }{
		{"--group x", "", "--marathon"}, {"-m http://a:1", "", "--group"}, {"-m http://a:1 --group x --colour blue", "", "colour"},
		{"-m a:1 --group x", "", "http://"}, {"start-marathonlb.sh", "MARATHON_URL=ftp://x", "ftp"}, {"-m http://a:1 --group x --listening", "", "--sse"},
		{"run", "", "mode"}, {"run event", "", "event"}, {"run poll -m http://a:1 --group x", "POLL_INTERVAL=often", "POLL_INTERVAL"},
		{"start-marathonlb.sh", "LAB_LB_STATS_PORT=70000", "LAB_LB_STATS_PORT"}, {"start-marathonlb.sh please", "", "please"},
		{"start-marathonlb.sh --haproxy sometimes", "", "\"sometimes\" is not never, auto or an absolute path"},
		{"start-marathonlb.sh --strict-mode", "", "strict-mode"}, // came after 1.3.0
	} {
		var said strings.Builder
		code := Run(t.Context(), mini.Env{Args: strings.Fields(c.args), Environ: strings.Fields(c.environ), Stdout: io.Discard, Stderr: &said})
		if code != 2 || !strings.Contains(said.String(), c.says) {
			t.Errorf("%q %q: exit %d, %q", c.args, c.environ, code, said.String())
		}
	}
	var help strings.Builder
	if code := Run(t.Context(), mini.Env{Args: []string{"-h"}, Stdout: &help, Stderr: io.Discard}); code != 0 || !strings.HasPrefix(help.String(), "usage:") {
		t.Errorf("-h: exit %d, %q", code, help.String())
	}
}

func TestDry(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		h := n.Host("10.0.0.1")
		m := startMarathon(t, h)
		m.set(nginx(one))
		env := mini.Env{Args: strings.Fields("-m http://10.0.0.1:8080 --group external --dry"), Listen: h.Listen, Dial: h.Dial, Stderr: io.Discard}
		var out strings.Builder
		env.Stdout = &out
		if code := Run(t.Context(), env); code != 0 || !strings.Contains(out.String(), "backend nginx_10000\n") {
			t.Errorf("exit %d, %s", code, out.String())
		}
	})
}

func TestStatsPortTaken(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := labtest.NewNetwork().Host("10.0.0.1")
		l, err := h.Listen(t.Context(), "tcp", ":9090")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if code := Run(context.Background(), mini.Env{Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: io.Discard}); code != 1 {
			t.Errorf("exit %d", code)
		}
	})
}

// run poll needs no events.
func TestPolls(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := run(t, n, mini.Env{Args: strings.Fields("run poll -m http://10.0.0.1:8080 --group external"), Environ: []string{"POLL_INTERVAL=5"}})
		serve(t, n, one)
		synctest.Wait()
		m.set(nginx(one))
		synctest.Wait()
		l.wantClosed()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		l.wantAnswers(one)
	})
}

// Without a HAProxy that can be run, auto is the proxy in Go, and a path is an
// error.
func TestHAProxyThatIsNotThere(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n, "--haproxy", "auto")
		serve(t, n, one)
		m.set(nginx(one))
		synctest.Wait()
		l.wantAnswers(one)
		if !strings.Contains(l.log.String(), "the proxy in Go balances: no HAProxy 2.2 or later: programs cannot be run here") {
			t.Errorf("log:\n%s", l.log.String())
		}
	})
	bubble.Test(t, func(t *testing.T) {
		h := labtest.NewNetwork().Host("10.0.0.1")
		var log logText
		env := mini.Env{Args: []string{"start-marathonlb.sh", "--haproxy", "/opt/haproxy"}, Root: t.TempDir(), Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: &log}
		if code := Run(t.Context(), env); code != 1 || !strings.Contains(log.String(), "--haproxy /opt/haproxy: no HAProxy") {
			t.Errorf("exit %d: %s", code, log.String())
		}
	})
}
