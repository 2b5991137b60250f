package marathonlb

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// render writes haproxy.cfg: what limits and model say, in HAProxy's words.
func render(services []service, open shared, l proxy.Limits, statsPort string) string {
	var w text
	w.head(l, statsPort)
	w.proxies(services, open)
	return w.String()
}

// sections are what a real HAProxy gets of it: the lines of the defaults that
// are marathon-lb's, then frontends and backends.
func sections(services []service, open shared, l proxy.Limits) string {
	var w text
	w.defaults(l)
	w.proxies(services, open)
	return w.String()
}

func (w *text) proxies(services []service, open shared) {
	if open.vhosts {
		w.vhosts(hosted(services))
	}
	if open.appIDs {
		w.appIDs(services)
	}
	for _, s := range services {
		w.section("frontend %s", s.name())
		w.line("bind %s", s.bind())
		w.line("mode %s", s.mode)
		w.line("use_backend %s", s.name())
	}
	for _, s := range services {
		w.backend(s)
	}
}

// text is a configuration file under construction.
type text struct{ strings.Builder }

func (w *text) section(format string, args ...any) {
	fmt.Fprintf(w, "\n"+format+"\n", args...)
}

func (w *text) line(format string, args ...any) {
	fmt.Fprintf(w, "  "+format+"\n", args...)
}

func (w *text) head(l proxy.Limits, statsPort string) {
	w.WriteString("global\n")
	w.line("daemon")
	w.line("maxconn 50000")
	w.line("stats socket /var/run/haproxy/socket")
	w.line("server-state-file global")
	w.line("server-state-base /var/state/haproxy/")
	w.section("defaults")
	w.line("load-server-state-from-file global")
	w.defaults(l)
	w.section("listen stats")
	w.line("bind *:%s", statsPort)
	w.line("mode http")
	w.line("stats enable")
	w.line("monitor-uri %s", healthPath)
}

func (w *text) defaults(l proxy.Limits) {
	w.line("retries %d", l.Retries)
	w.line("maxconn %d", l.MaxConnection)
	for _, t := range []struct {
		name string
		d    time.Duration
	}{
		{"connect", l.Connect}, {"client", l.Client}, {"server", l.Server}, {"tunnel", l.Tunnel},
		{"http-keep-alive", l.KeepAlive}, {"http-request", l.Request}, {"queue", 30 * time.Second},
	} {
		w.line("timeout %s %s", t.name, span(t.d))
	}
	w.line("option http-server-close")
	w.line("option redispatch")
}

// span writes a time as HAProxy reads it.
func span(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return strconv.Itoa(int(d/time.Millisecond)) + "ms"
}

func (w *text) vhosts(services []service) {
	w.section("frontend %s", vhostFrontend)
	w.line("bind *:80")
	w.line("mode http")
	for _, s := range services {
		for _, h := range s.vhosts {
			w.line("acl host_%s hdr(host) -i %s", s.name(), h)
		}
		condition := "host_" + s.name()
		if s.path != "" {
			w.line("acl path_%s path_beg %s", s.name(), s.path)
			condition += " path_" + s.name()
		}
		w.line("use_backend %s if %s", s.name(), condition)
	}
}

func (w *text) appIDs(services []service) {
	w.section("frontend %s", appFrontend)
	w.line("bind *:9091")
	w.line("mode http")
	for _, s := range services {
		if s.mode == proxy.HTTP {
			w.line("acl app_%s hdr(x-marathon-app-id) -i %s", s.name(), s.appID)
			w.line("use_backend %s if app_%s", s.name(), s.name())
		}
	}
}

func (w *text) backend(s service) {
	w.section("backend %s", s.name())
	w.line("balance %s", s.balance)
	w.line("mode %s", s.mode)
	if s.mode == proxy.HTTP {
		w.line("option forwardfor")
		w.line("http-request set-header X-Forwarded-Port %%[dst_port]")
		w.line("http-request add-header X-Forwarded-Proto https if { ssl_fc }")
	}
	sticky := s.sticky && s.mode == proxy.HTTP
	if sticky {
		w.line("cookie %s insert indirect nocache", cookieName)
	}
	if s.check != nil && s.check.Path != "" {
		w.line("option  httpchk GET %s", s.check.Path)
		w.line("timeout check %s", span(s.check.Timeout))
	}
	for _, t := range s.servers {
		line := "server " + t.name() + " " + t.addr()
		if sticky {
			line += " check cookie " + t.cookie()
		}
		if s.check != nil {
			line += fmt.Sprintf(" check inter %s fall %d", span(s.check.Interval), s.check.Fall)
		}
		if t.disabled {
			line += " disabled"
		}
		w.line("%s", line)
	}
}
