package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Prober does HTTP, HTTPS and TCP probes.
type Prober struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Probe looks once. An empty cause is a pass. ctx bounds it besides the
// check's own time-out.
func (p Prober) Probe(ctx context.Context, c app.HealthCheck, host string, port int) (cause string) {
	ctx, cancel := context.WithTimeout(ctx, max(time.Duration(c.TimeoutSeconds)*time.Second, time.Millisecond))
	defer cancel()
	address := net.JoinHostPort(host, strconv.Itoa(port))
	if c.Protocol == "TCP" {
		conn, err := p.Dial(ctx, "tcp", address)
		if err != nil {
			return "TCP: " + err.Error()
		}
		conn.Close()
		return ""
	}
	path := "/"
	if c.Path != nil {
		path = *c.Path
	}
	status, err := p.Get(ctx, strings.ToLower(c.Protocol), address, path, nil)
	switch {
	case err != nil:
		return c.Protocol + ": " + err.Error()
	case status < 200 || status > 399:
		return fmt.Sprintf("%d %s", status, http.StatusText(status))
	}
	return ""
}

// Get asks once over a connection of its own, follows no redirect and
// trusts any certificate. The body is handed to read if it is not nil.
func (p Prober) Get(ctx context.Context, scheme, address, path string, read func(http.Header, io.Reader)) (status int, err error) {
	t := &http.Transport{DialContext: p.Dial, DisableKeepAlives: true,
		// A task in the lab has no certificate anybody has signed.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer t.CloseIdleConnections()
	url := scheme + "://" + address + "/" + strings.TrimPrefix(path, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if read != nil {
		read(res.Header, io.LimitReader(res.Body, 10<<10))
	}
	return res.StatusCode, nil
}
