package scenarios

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// asker does the requests of a probe, each in the goroutine that asks. The
// client of net/http has three more of them for a connection and costs half as
// much again (BenchmarkTraffic: 22 instead of 15 % of a core); words and
// headers are read and written by net/http all the same.
type asker struct {
	address string // host:port
	request []byte
	dial    DialFunc
	keep    bool

	mu   sync.Mutex
	idle []*line
}

// line is a connection and what has been read from it too early.
type line struct {
	net.Conn
	*bufio.Reader
	used bool
}

// newAsker prepares GET requests to an address of HTTP.
func newAsker(target, agent string, connections Connections, dial DialFunc) (*asker, error) {
	u, err := url.Parse(target)
	if err == nil && (u.Scheme != "http" || u.Host == "") {
		err = fmt.Errorf("%s is no address of HTTP", target)
	}
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	a := &asker{address: u.Host, dial: dial, keep: connections == ConnectionsKept}
	if u.Port() == "" {
		a.address = net.JoinHostPort(u.Hostname(), "80")
	}
	if a.dial == nil {
		a.dial = (&net.Dialer{}).DialContext
	}
	req.Header.Set("User-Agent", agent)
	req.Close = !a.keep
	var text bytes.Buffer
	if err := req.Write(&text); err != nil {
		return nil, err
	}
	a.request = text.Bytes()
	return a, nil
}

// reply is what has come of a request.
type reply struct {
	status  string
	ok      bool
	header  http.Header
	cutOff  bool // the body has not come to its end
	nothing bool // not one byte has come
}

// ask does one request. The error is about connections; an answer that broke
// off has cutOff instead.
func (a *asker) ask(ctx context.Context, timeout time.Duration) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		l, err := a.line(ctx)
		if err != nil {
			return reply{}, err
		}
		again := l.used
		r, err := a.askOn(ctx, l)
		// A kept connection may have been closed while nobody looked.
		if err == nil || !again || !r.nothing || ctx.Err() != nil {
			return r, err
		}
	}
}

// line returns a connection that is idle, or a new one.
func (a *asker) line(ctx context.Context) (*line, error) {
	a.mu.Lock()
	if n := len(a.idle); n > 0 {
		l := a.idle[n-1]
		a.idle = a.idle[:n-1]
		a.mu.Unlock()
		return l, nil
	}
	a.mu.Unlock()
	c, err := a.dial(ctx, "tcp", a.address)
	if err != nil {
		return nil, err
	}
	return &line{Conn: c, Reader: bufio.NewReaderSize(c, 2<<10)}, nil
}

func (a *asker) askOn(ctx context.Context, l *line) (r reply, err error) {
	deadline, _ := ctx.Deadline()
	err = l.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	kept := false
	defer func() {
		if stop() && kept {
			a.mu.Lock()
			defer a.mu.Unlock()
			l.used = true
			a.idle = append(a.idle, l)
			return
		}
		_ = l.Close() // its errors are those of the answer
	}()
	if err == nil {
		_, err = l.Write(a.request)
	}
	if err == nil {
		_, err = l.Peek(1)
	}
	if err != nil {
		return reply{nothing: true}, err
	}
	resp, err := http.ReadResponse(l.Reader, nil)
	if err != nil {
		return reply{}, err
	}
	r = reply{status: resp.Status, ok: resp.StatusCode == http.StatusOK, header: resp.Header}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	r.cutOff = err != nil
	kept = a.keep && err == nil && !resp.Close
	return r, nil
}

// hangUp closes idle connections.
func (a *asker) hangUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.idle {
		_ = l.Close()
	}
	a.idle = nil
}
