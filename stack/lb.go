package stack

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// LoadBalancer asks Marathon-LB's administrative port (contracts 11.2).
type LoadBalancer struct {
	Base string // http://192.168.59.1:9090
	HTTP *http.Client
}

// Stat is one line of HAProxy's statistics: a frontend (Server FRONTEND), a
// backend (BACKEND) or one server of a backend.
type Stat struct {
	Proxy        string  `json:"proxy"`  // pxname: nginx_10000
	Server       string  `json:"server"` // svname: 192_168_59_2_31005
	Status       string  `json:"status"` // UP, DOWN, MAINT, no check, OPEN
	Current      float64 `json:"current"`
	Queued       float64 `json:"queued"`
	Total        float64 `json:"total"` // sessions since the start
	BytesIn      float64 `json:"bytes_in"`
	BytesOut     float64 `json:"bytes_out"`
	Retries      float64 `json:"retries"`
	Redispatches float64 `json:"redispatches"`
	ConnErrors   float64 `json:"connection_errors"`
	RespErrors   float64 `json:"response_errors"`
	Responses2xx float64 `json:"responses_2xx"`
	Responses3xx float64 `json:"responses_3xx"`
	Responses4xx float64 `json:"responses_4xx"`
	Responses5xx float64 `json:"responses_5xx"`
}

// IsServer tells servers from the sums over them.
func (s Stat) IsServer() bool { return s.Server != "FRONTEND" && s.Server != "BACKEND" }

// Healthy returns nil if the load balancer answers its health check.
func (l *LoadBalancer) Healthy(ctx context.Context) error {
	if _, err := call(ctx, l.HTTP, http.MethodGet, l.Base+"/_haproxy_health_check", nil); err != nil {
		return fmt.Errorf("load balancer: %w", err)
	}
	return nil
}

// Config returns haproxy.cfg as it was read at the start of the process.
func (l *LoadBalancer) Config(ctx context.Context) ([]byte, error) {
	data, err := call(ctx, l.HTTP, http.MethodGet, l.Base+"/_haproxy_getconfig", nil)
	if err != nil {
		return nil, fmt.Errorf("load balancer: %w", err)
	}
	return data, nil
}

// Pids are HAProxy's processes: more than one while the connections of an
// older one live on after a reload.
func (l *LoadBalancer) Pids(ctx context.Context) ([]string, error) {
	data, err := call(ctx, l.HTTP, http.MethodGet, l.Base+"/_haproxy_getpids", nil)
	if err != nil {
		return nil, fmt.Errorf("load balancer: %w", err)
	}
	return strings.Fields(string(data)), nil
}

// Spoilt is a service port that the load balancer does not serve as its app
// asks.
type Spoilt struct {
	App       string `json:"app"`
	Version   string `json:"version"` // the app's, in which that was found
	PortIndex int    `json:"port_index"`
	Problem   string `json:"problem"`             // app /x: label …
	ServedBy  string `json:"served_by,omitempty"` // "earlier labels"; "" = not at all
}

// String says what is wrong and what follows.
func (s Spoilt) String() string {
	if s.ServedBy != "" {
		return s.Problem + "; it is served by its " + s.ServedBy
	}
	return s.Problem + "; it is left out"
}

// Spoilt lists what is not served as its app asks. A real Marathon-LB knows no
// such thing, and HAProxy answers 503 to an address that it has no server for:
// whatever is not a list is an empty one.
func (l *LoadBalancer) Spoilt(ctx context.Context) ([]Spoilt, error) {
	data, err := call(ctx, l.HTTP, http.MethodGet, l.Base+"/_lab_spoilt", nil)
	if _, ok := errors.AsType[*StatusError](err); ok {
		return nil, nil
	}
	var list []Spoilt
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("load balancer: what is spoilt: %w", err)
	}
	return list, nil
}

// Stats returns the statistics.
func (l *LoadBalancer) Stats(ctx context.Context) ([]Stat, error) {
	data, err := call(ctx, l.HTTP, http.MethodGet, l.Base+"/haproxy?stats;csv", nil)
	if err != nil {
		return nil, fmt.Errorf("load balancer: %w", err)
	}
	return ParseStats(strings.NewReader(string(data)))
}

// ParseStats reads HAProxy's statistics. Columns go by their names in the
// first line; columns that are missing and cells that hold no number are 0.
func ParseStats(r io.Reader) ([]Stat, error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord, reader.LazyQuotes, reader.ReuseRecord = -1, true, true
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	column := map[string]int{}
	for i, name := range head {
		column[strings.TrimPrefix(strings.TrimSpace(name), "# ")] = i
	}
	if _, ok := column["pxname"]; !ok {
		return nil, errors.New("read statistics: the first line names no column pxname")
	}
	var out []Stat
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read statistics: %w", err)
		}
		text := func(name string) string {
			if i, ok := column[name]; ok && i < len(record) {
				return record[i]
			}
			return ""
		}
		number := func(name string) float64 {
			v, err := strconv.ParseFloat(text(name), 64)
			if err != nil || v != v {
				return 0
			}
			return v
		}
		out = append(out, Stat{
			Proxy: text("pxname"), Server: text("svname"), Status: text("status"),
			Current: number("scur"), Queued: number("qcur"), Total: number("stot"),
			BytesIn: number("bin"), BytesOut: number("bout"), Retries: number("wretr"), Redispatches: number("wredis"),
			ConnErrors: number("econ"), RespErrors: number("eresp"),
			Responses2xx: number("hrsp_2xx"), Responses3xx: number("hrsp_3xx"),
			Responses4xx: number("hrsp_4xx"), Responses5xx: number("hrsp_5xx"),
		})
	}
}
