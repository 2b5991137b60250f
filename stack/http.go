package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// callTimeout bounds one call, so that a machine without power costs seconds,
// not minutes. Streams have no limit.
const callTimeout = 5 * time.Second

// Clients are clients of everything on the master.
type Clients struct {
	ZooKeeper *ZooKeeper
	Mesos     *Mesos
	Marathon  *Marathon
	LB        *LoadBalancer
	// HTTP is the client below them, for the application's own port.
	HTTP *http.Client
}

// Clients returns clients that dial through dial; nil means this computer's
// network.
func (p Platform) Clients(dial DialFunc) Clients {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	h := &http.Client{CheckRedirect: onlyOnce, Transport: &http.Transport{
		DialContext: bounded(dial), MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second,
	}}
	ip := p.Master().IP.String()
	base := func(port int) string { return "http://" + net.JoinHostPort(ip, strconv.Itoa(port)) }
	return Clients{
		ZooKeeper: &ZooKeeper{Addr: net.JoinHostPort(ip, strconv.Itoa(p.Spec.Ports.ZooKeeper)), Dial: dial},
		Mesos:     &Mesos{Base: base(p.Spec.Ports.Mesos), HTTP: h},
		Marathon:  &Marathon{Base: base(p.Spec.Ports.Marathon), HTTP: h},
		LB:        &LoadBalancer{Base: base(p.Spec.Ports.LBStats), HTTP: h},
		HTTP:      h,
	}
}

// errCircle ends redirects that lead back to where they came by.
var errCircle = errors.New("redirected in a circle")

// onlyOnce follows ten redirects as http.Client does by itself, and no circle.
func onlyOnce(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 || slices.ContainsFunc(via, func(v *http.Request) bool { return v.URL.String() == req.URL.String() }) {
		return errCircle
	}
	return nil
}

// bounded gives each dial its own time-out: http.Transport goes on dialling for
// the next request when the one that asked has given up.
func bounded(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return dial(ctx, network, addr)
	}
}

// StatusError is an answer with another status than 2xx.
type StatusError struct {
	Method, URL string
	Status      int
	Body        []byte // at most 64 KiB
}

func (e *StatusError) Error() string {
	text := strings.TrimSpace(string(e.Body))
	if len(text) > 200 {
		text = text[:200] + " …"
	}
	if text != "" {
		text = ": " + text
	}
	return fmt.Sprintf("%s %s: %d %s%s", e.Method, e.URL, e.Status, http.StatusText(e.Status), text)
}

// maxAnswer bounds what is read of an answer; a state with 500 slaves has 250
// kB.
const maxAnswer = 64 << 20

// call does one request and returns the body of a 2xx answer.
func call(ctx context.Context, h *http.Client, method, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, err // names method and URL
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, &StatusError{Method: method, URL: url, Status: resp.StatusCode, Body: text}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read answer: %w", method, url, err)
	}
	return data, nil
}

// getJSON reads a JSON document.
func getJSON(ctx context.Context, h *http.Client, url string, out any) error {
	data, err := call(ctx, h, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	return nil
}
