package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

type exchangeKey struct{}

// exchange is one request on its way through the proxy.
type exchange struct {
	proxy     *Proxy
	backend   *backend
	client    string
	preferred *server // by cookie
	cookie    string  // name of the persistence cookie, "" for none
	link      *link
	body      *patientBody // nil: the request has none
}

// serveHTTP routes one request, forwards it and counts the answer.
func (f *frontend) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.proxy.enter() {
		panic(http.ErrAbortHandler)
	}
	defer f.proxy.tasks.Done()
	r.Context().Value(clientKey{}).(*clientConn).begin()
	f.counters.requests.Add(1)
	f.counters.requestRate.add(time.Now())
	rw := &answer{ResponseWriter: w, limit: f.proxy.limits.Client}
	b := f.route(r)
	if b == nil {
		fail(rw, http.StatusServiceUnavailable)
		f.counters.answered(rw.status)
		return
	}
	b.counters.begin()
	x := &exchange{proxy: f.proxy, backend: b, client: address(addr(r.RemoteAddr))}
	defer func() { x.finish(f, rw) }()
	if conf, _ := b.list(); conf.Cookie != "" {
		x.cookie = conf.Cookie
		if c, err := r.Cookie(conf.Cookie); err == nil {
			x.preferred = b.byCookie(c.Value)
		}
	}
	if r.Body != nil && r.Body != http.NoBody {
		x.body = &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w), limit: f.proxy.limits.Client}
		r.Body = x.body
	}
	f.proxy.reverse.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// finish ends the sessions of an exchange and counts its answer.
func (x *exchange) finish(f *frontend, rw *answer) {
	if x.link != nil {
		x.link.close()
		if rw.fromServer {
			x.link.server.counters.answered(rw.status)
		}
	}
	if rw.status != 0 {
		f.counters.answered(rw.status)
		x.backend.counters.answered(rw.status)
	}
	x.backend.counters.end()
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

// rewrite makes the request to the server out of the client's: unchanged but
// for hop-by-hop headers, "option forwardfor", X-Forwarded-Port and the
// persistence cookie.
func rewrite(pr *httputil.ProxyRequest) {
	x := pr.In.Context().Value(exchangeKey{}).(*exchange)
	pr.Out.URL.Scheme, pr.Out.URL.Host = "http", "server"
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	if path, _, _ := strings.Cut(pr.In.RequestURI, "?"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		pr.Out.URL.Opaque = path // to the letter
	}
	local, _ := pr.In.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if pr.Out.Host = pr.In.Host; pr.Out.Host == "" {
		pr.Out.Host = local.String() // HTTP/1.0 may name none, 1.1 must
	}
	h := pr.Out.Header
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := pr.In.Header[name]; ok {
			h[name] = append([]string(nil), v...)
		}
	}
	h["X-Forwarded-For"] = append(h["X-Forwarded-For"], x.client)
	if _, port, err := net.SplitHostPort(local.String()); err == nil {
		h.Set("X-Forwarded-Port", port)
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // keeps the transport from adding its own
	}
	if x.cookie != "" {
		dropCookie(h, x.cookie)
	}
}

// dropCookie takes one cookie out of a request ("indirect").
func dropCookie(h http.Header, name string) {
	lines := h["Cookie"]
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			if n, _, _ := strings.Cut(strings.TrimSpace(pair), "="); n != name {
				pairs = append(pairs, strings.TrimSpace(pair))
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	if h.Del("Cookie"); len(kept) > 0 {
		h["Cookie"] = kept
	}
}

// RoundTrip sends one request over a connection of its own. Only the
// connection is ever tried again.
func (p *Proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	x := r.Context().Value(exchangeKey{}).(*exchange)
	l, err := x.backend.connect(r.Context(), x.client, x.preferred)
	if err != nil {
		return nil, &connectError{err}
	}
	x.link = l
	cc, err := p.transport.NewClientConn(context.WithValue(r.Context(), exchangeKey{}, l.Conn), "http", "server:80")
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Upgrade") == "" {
		r = r.WithContext(r.Context()) // a copy
		r.Close = true                 // option http-server-close
	}
	resp, err := cc.RoundTrip(r)
	if err != nil {
		l.server.counters.failedAnswers.Add(1)
		x.backend.counters.failedAnswers.Add(1)
		return nil, err
	}
	x.persist(resp.Header)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil
	}
	resp.Body = &patientAnswer{ReadCloser: resp.Body, exchange: x, client: r.Context(), limit: p.limits.Server}
	// ReverseProxy flushes answers of unknown length by timers that are due at
	// once, and several of those at a time crash the race detector in a
	// synctest bubble (Go 1.26). Our answer flushes by itself; the headers do
	// not change by this.
	resp.ContentLength = max(resp.ContentLength, 0)
	return resp, nil
}

// persist gives the client the cookie of the server that answered, unless it
// has it already.
func (x *exchange) persist(h http.Header) {
	s := x.link.server
	if x.cookie == "" || s == x.preferred {
		return
	}
	if value := s.conf.Load().Cookie; value != "" {
		h.Add("Set-Cookie", x.cookie+"="+value+"; path=/")
		h.Set("Cache-Control", "private")
	}
}

// connectError is a request that reached no server.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// refuse answers a request that failed before its answer's headers.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var noServer *connectError
	x := r.Context().Value(exchangeKey{}).(*exchange)
	switch {
	case x.body.late():
		x.backend.counters.clientAbort.Add(1)
		fail(w, http.StatusRequestTimeout)
	case r.Context().Err() != nil: // the client has gone
		x.backend.counters.clientAbort.Add(1)
		panic(http.ErrAbortHandler)
	case errors.As(err, &noServer):
		fail(w, http.StatusServiceUnavailable)
	case timedOut(err):
		fail(w, http.StatusGatewayTimeout)
	default:
		fail(w, http.StatusBadGateway)
	}
}

// fail answers as HAProxy does by itself: a small page, and the connection
// is closed.
func fail(w http.ResponseWriter, status int) {
	body := page(status)
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Connection", "close")
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h["Date"] = nil
	if a, ok := w.(*answer); ok {
		a.own = true
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// page is the body of an answer of the proxy's own.
func page(status int) string {
	title, sentence := http.StatusText(status), ""
	switch status {
	case http.StatusRequestTimeout:
		title, sentence = "Request Time-out", "Your browser didn't send a complete request in time."
	case http.StatusBadGateway:
		sentence = "The server returned an invalid or incomplete response."
	case http.StatusServiceUnavailable:
		sentence = "No server is available to handle this request."
	case http.StatusGatewayTimeout:
		title, sentence = "Gateway Time-out", "The server didn't respond in time."
	}
	return "<html><body><h1>" + strconv.Itoa(status) + " " + title + "</h1>\n" + sentence + "\n</body></html>\n"
}
