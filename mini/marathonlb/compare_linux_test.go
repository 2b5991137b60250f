package marathonlb

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

// trial is one story that both balancers live through. What it notes and the
// counters after it must be the same.
type trial struct {
	name    string
	servers []string // kinds; they are called a, b, …
	change  func(s *service)
	run     func(w *twin, note func(format string, args ...any))
	// theirs and ours are the lines that only a real HAProxy 2.6 or only the
	// proxy in Go is known to have.
	theirs, ours []string
	// rough leaves out the counters that depend on how often was checked.
	rough bool
}

func (c trial) on(t *testing.T, name string) (lines []string) {
	w := newTwin(t, name)
	var servers []*testServer
	for i, kind := range c.servers {
		servers = append(servers, w.add(string(rune('a'+i)), kind))
	}
	s := w.service(servers...)
	if c.change != nil {
		c.change(&s)
	}
	w.start([]service{s})
	c.run(w, func(format string, args ...any) { lines = append(lines, w.plain(fmt.Sprintf(format, args...))) })
	w.quiet()
	for _, line := range w.asked.list() {
		lines = append(lines, "asked "+line)
	}
	return append(lines, c.counters(w)...)
}

// counters are the statistics in lines.
func (c trial) counters(w *twin) (lines []string) {
	columns := strings.Fields("status act stot lbtot econ eresp wretr wredis cli_abrt srv_abrt ereq req_tot hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other check_status check_code chkfail chkdown")
	if c.rough {
		columns = slices.DeleteFunc(columns, func(s string) bool { return s == "chkfail" })
	}
	rows := w.rows()
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		for _, column := range columns {
			if column == "req_tot" && !strings.HasSuffix(name, "/FRONTEND") {
				continue // 2.x counts them for servers, too
			}
			value := strings.TrimPrefix(rows[name][column], "* ") // 2.x: a check is under way
			lines = append(lines, name+" "+column+"="+value)
		}
	}
	return lines
}

func (c trial) test(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	theirs, ours := c.on(t, "haproxy"), c.on(t, "lab")
	if onlyTheirs, onlyOurs := without(theirs, ours), without(ours, theirs); !slices.Equal(onlyTheirs, c.theirs) || !slices.Equal(onlyOurs, c.ours) {
		t.Errorf("only HAProxy:\n%s\nonly ours:\n%s", quoted(onlyTheirs), quoted(onlyOurs))
	}
}

// without returns the lines of a that are not in b, in order.
func without(a, b []string) (rest []string) {
	b = slices.Clone(b)
	for _, line := range a {
		if i := slices.Index(b, line); i >= 0 {
			b[i] = "\x00"
		} else {
			rest = append(rest, line)
		}
	}
	return rest
}

func quoted(lines []string) string {
	var w strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&w, "\t%q,\n", line)
	}
	return w.String()
}

// ask sends one request over a connection of its own.
func (w *twin) ask(path string, header ...string) string {
	w.t.Helper()
	resp, body, err := w.get(path, header...)
	if err != nil {
		return "broken off"
	}
	return strings.Join(append([]string{strconv.Itoa(resp.StatusCode), body}, answerHeaders(resp.Header)...), " ")
}

func answerHeaders(h http.Header) (words []string) {
	for _, name := range []string{"X-Own", "Set-Cookie", "Cache-Control", "Content-Length", "ETag", "Server"} {
		if v := h.Values(name); len(v) > 0 {
			words = append(words, name+"="+strings.Join(v, "+"))
		}
	}
	return words
}

func (w *twin) get(path string, header ...string) (*http.Response, string, error) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", fmt.Sprintf("http://%s%s:%d%s", w.prefix, balancerHost, frontPort, path), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	client := &http.Transport{DisableKeepAlives: true, DialContext: w.dialer().DialContext}
	resp, err := client.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	text := string(body)
	if strings.Contains(text, "<html>") {
		text = "a page of the balancer"
	}
	return resp, text, err
}

func (w *twin) dialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(w.prefix + clientHost)}}
}

// dial opens a connection to the frontend.
func (w *twin) dial() (*net.TCPConn, *bufio.Reader) {
	w.t.Helper()
	c, err := w.dialer().DialContext(w.t.Context(), "tcp", fmt.Sprintf("%s%s:%d", w.prefix, balancerHost, frontPort))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn), bufio.NewReader(c)
}
