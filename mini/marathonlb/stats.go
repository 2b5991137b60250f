package marathonlb

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

const (
	healthPath = "/_haproxy_health_check"
	spoiltPath = "/_lab_spoilt" // ours; the original knows no such app
)

// stats serves the statistics' port.
func (lb *balance) stats() http.Handler {
	mux := http.NewServeMux()
	page := template.Must(template.New("stats").Parse(statsPage))
	mux.HandleFunc("GET /haproxy", func(w http.ResponseWriter, r *http.Request) { lb.serveStats(w, r, page) })
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, r *http.Request) {
		if pids, err := lb.balancer.Pids(r.Context()); err != nil || len(pids) == 0 {
			http.Error(w, "nothing balances", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintln(w, "<html><body><h1>200 OK</h1>\nService ready.\n</body></html>")
	})
	plain := func(path string, text func(ctx context.Context) string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, text(r.Context()))
		})
	}
	plain("/_haproxy_getconfig", func(context.Context) string {
		if c := lb.inForce.Load(); c != nil {
			return c.text
		}
		return ""
	})
	mux.HandleFunc("GET "+spoiltPath, lb.serveSpoilt)
	plain("/_haproxy_getvhostmap", lb.vhostMap)
	plain("/_haproxy_getpids", func(ctx context.Context) string {
		list, err := lb.balancer.Pids(ctx)
		if err != nil {
			return "" // pidof says nothing if there is no process
		}
		var pids []string
		for _, p := range list {
			pids = append(pids, strconv.Itoa(p))
		}
		return strings.Join(pids, " ") + "\n"
	})
	return mux
}

// spoilt is a service port that is not served as its app asks, for programs.
type spoilt struct {
	App       string `json:"app"`
	Version   string `json:"version"` // Marathon's, in which it was found
	PortIndex int    `json:"port_index"`
	Problem   string `json:"problem"`
	ServedBy  string `json:"served_by,omitempty"` // "earlier labels"; absent: it is left out
}

// serveSpoilt lists them, as a JSON array.
func (lb *balance) serveSpoilt(w http.ResponseWriter, _ *http.Request) {
	list := []spoilt{}
	if problems := lb.problems.Load(); problems != nil {
		for _, p := range *problems {
			s := spoilt{App: p.appID, Version: p.version, PortIndex: p.index, Problem: p.words()}
			if p.earlier != "" {
				s.ServedBy = "earlier " + p.earlier
			}
			list = append(list, s)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_ = json.NewEncoder(w).Encode(list) // a client that is gone misses it
}

// vhostMap lists host and backend, one a line, if --haproxy-map was given.
func (lb *balance) vhostMap(context.Context) string {
	var w strings.Builder
	c := lb.inForce.Load()
	if c == nil || !lb.options.vhostMap {
		return ""
	}
	for _, s := range hosted(c.services) {
		for _, h := range s.vhosts {
			fmt.Fprintf(&w, "%s %s\n", h, s.name())
		}
	}
	return w.String()
}

// serveStats answers /haproxy?stats as a page and /haproxy?stats;csv as CSV.
func (lb *balance) serveStats(w http.ResponseWriter, r *http.Request, page *template.Template) {
	words := strings.Split(r.URL.RawQuery, ";")
	if words[0] != "stats" {
		http.NotFound(w, r)
		return
	}
	served, err := lb.balancer.Stats(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	rows := append(statsRows(), served...)
	w.Header().Set("Cache-Control", "no-cache")
	for _, word := range words[1:] {
		if word == "csv" {
			w.Header().Set("Content-Type", "text/plain")
			_ = proxy.WriteCSV(w, rows)
			return
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, map[string]any{"Host": lb.env.Hostname, "Rows": rows, "Problems": lb.problems.Load()})
}

// statsRows are the rows of the statistics' own listener.
func statsRows() []proxy.Stat {
	return []proxy.Stat{
		{"pxname": "stats", "svname": "FRONTEND", "status": "OPEN", "pid": "1", "iid": "1", "sid": "0", "type": "0"},
		{"pxname": "stats", "svname": "BACKEND", "status": "UP", "pid": "1", "iid": "1", "sid": "0", "type": "1"},
	}
}

const statsPage = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>load balancer{{with .Host}} on {{.}}{{end}}</title>
<style>
body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#222}
table{border-collapse:collapse}
th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2),th:nth-child(3),td:nth-child(3){text-align:left}
tr.FRONTEND td{background:#eef3fa} tr.BACKEND td{background:#f4f4f4;border-bottom:2px solid #aaa}
.up{color:#080} .down{color:#c00;font-weight:bold} .other{color:#a60}
</style></head><body>
<h1>Load balancer{{with .Host}} on {{.}}{{end}}</h1>
{{with .Problems}}{{range .}}<p class="down">{{.}}</p>
{{end}}{{end}}<table><tr><th>proxy</th><th>server</th><th>status</th><th>sessions</th><th>now</th><th>max</th><th>bytes in</th><th>bytes out</th>
<th>2xx</th><th>3xx</th><th>4xx</th><th>5xx</th><th>retries</th><th>redispatched</th><th>failed</th><th>last check</th></tr>
{{range .Rows}}<tr class="{{.svname}}"><td>{{.pxname}}</td><td>{{.svname}}</td>
<td class="{{if or (eq .status "UP") (eq .status "OPEN") (eq .status "no check")}}up{{else if eq .status "DOWN"}}down{{else}}other{{end}}">{{.status}}</td>
<td>{{.stot}}</td><td>{{.scur}}</td><td>{{.smax}}</td><td>{{.bin}}</td><td>{{.bout}}</td>
<td>{{.hrsp_2xx}}</td><td>{{.hrsp_3xx}}</td><td>{{.hrsp_4xx}}</td><td>{{.hrsp_5xx}}</td>
<td>{{.wretr}}</td><td>{{.wredis}}</td><td>{{.econ}}</td><td>{{.check_status}} {{.check_code}}</td></tr>
{{end}}</table>
<p>Refreshed every 2 s. For programs: <a href="/haproxy?stats;csv">/haproxy?stats;csv</a>.</p>
</body></html>
`
