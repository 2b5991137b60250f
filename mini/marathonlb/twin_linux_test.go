package marathonlb

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// twin is one of the two balancers that are compared: a real HAProxy or the
// proxy in Go, with servers and a client of its own on a loopback subnet.
type twin struct {
	t       *testing.T
	name    string // "haproxy" or "lab"
	prefix  string // of the subnet, "127.200.7."
	servers map[string]*testServer
	asked   asked
	csv     func() string
}

// Where the parts of a twin are on its subnet.
const (
	balancerHost = "1"
	clientHost   = "9"
	frontPort    = 10000
)

// twinLimits are the times of marathon-lb, shortened. The pause before a
// retry is HAProxy's min(1 s, connect).
func twinLimits() proxy.Limits {
	l := proxy.DefaultLimits()
	l.Connect, l.Request = 300*time.Millisecond, 500*time.Millisecond
	l.Client, l.Server = 600*time.Millisecond, 900*time.Millisecond
	return l
}

func newTwin(t *testing.T, name string) *twin {
	prefix := strings.TrimSuffix(labtest.Subnet(t), "0/24")
	return &twin{t: t, name: name, prefix: prefix, servers: map[string]*testServer{}}
}

// service is a service of HTTP that nobody probes.
func (w *twin) service(servers ...*testServer) service {
	s := service{appID: "/web", port: frontPort, bindAddr: w.prefix + balancerHost, mode: proxy.HTTP, balance: proxy.RoundRobin}
	for _, server := range servers {
		s.servers = append(s.servers, server.task())
	}
	return s
}

// start brings the services into force.
func (w *twin) start(services []service) {
	w.t.Helper()
	if w.name == "lab" {
		w.startProxy(services)
		return
	}
	w.startHAProxy(render(services, shared{}, twinLimits(), "9090"))
}

func (w *twin) startProxy(services []service) {
	w.t.Helper()
	dialer := &net.Dialer{}
	p := proxy.New(proxy.Network{Listen: new(net.ListenConfig).Listen, Dial: dialer.DialContext}, twinLimits(), w.t.Logf)
	w.t.Cleanup(p.Close)
	if err := p.Apply(w.t.Context(), model(services, shared{})); err != nil {
		w.t.Fatal(err)
	}
	w.csv = func() string {
		var b strings.Builder
		if err := proxy.WriteCSV(&b, p.Stats()); err != nil {
			w.t.Error(err)
		}
		return b.String()
	}
}

// unprivileged takes out of our haproxy.cfg what needs root or the folders of
// its container, moves the statistics to an address of the test, and asks for
// one thread, as 1.6 has it.
func unprivileged(text, host string) string {
	var kept []string
	for line := range strings.SplitSeq(text, "\n") {
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "daemon":
			line = "  nbthread 1\n  maxconn 1000"
		case "server-state-file", "server-state-base", "load-server-state-from-file":
			continue
		}
		if strings.HasPrefix(line, "  stats socket ") || line == "  maxconn 50000" {
			continue
		}
		kept = append(kept, strings.Replace(line, "bind *:", "bind "+host+":", 1))
	}
	return strings.Join(kept, "\n")
}

// startHAProxy runs a real one in the foreground until the test ends; the
// kernel ends it should this process die before.
func (w *twin) startHAProxy(text string) {
	w.t.Helper()
	program := labtest.NeedProgram(w.t, "haproxy")
	file := filepath.Join(w.t.TempDir(), "haproxy.cfg")
	host := w.prefix + balancerHost
	if err := os.WriteFile(file, []byte(unprivileged(text, host)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(program, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig means the thread
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if w.t.Failed() {
			w.t.Logf("haproxy says: %s", said.String())
		}
	})
	client := &http.Transport{DisableKeepAlives: true}
	w.csv = func() string {
		req, _ := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+host+":9090/haproxy?stats;csv", nil)
		resp, err := client.RoundTrip(req)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	w.until("HAProxy answers", func() bool {
		select {
		case <-ended:
			w.t.Fatalf("haproxy ended: %s", said.String())
		default:
		}
		return strings.HasPrefix(w.csv(), "# pxname,")
	})
}

// until waits for a condition.
func (w *twin) until(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s: not until now; statistics:\n%s", what, w.csv())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// rows returns the statistics without those of the statistics' own listener:
// by "proxy/server", in words without the subnet.
func (w *twin) rows() map[string]proxy.Stat {
	w.t.Helper()
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(w.csv(), "# ")))
	r.FieldsPerRecord = -1
	lines, err := r.ReadAll()
	if err != nil || len(lines) == 0 {
		w.t.Fatalf("statistics: %d lines, %v", len(lines), err)
	}
	rows := map[string]proxy.Stat{}
	for _, line := range lines[1:] {
		row := proxy.Stat{}
		for i, column := range lines[0] {
			if i < len(line) {
				row[column] = line[i]
			}
		}
		if row["pxname"] != "stats" {
			rows[row["pxname"]+"/"+w.plain(row["svname"])] = row
		}
	}
	return rows
}

// plain removes the subnet from a text.
func (w *twin) plain(s string) string {
	for name, server := range w.servers {
		s = strings.ReplaceAll(s, server.task().cookie(), "cookie-of-"+name)
	}
	s = strings.ReplaceAll(s, w.prefix, "")
	return strings.ReplaceAll(s, strings.ReplaceAll(w.prefix, ".", "_"), "")
}

// quiet waits until no session is left.
func (w *twin) quiet() {
	w.t.Helper()
	w.until("all sessions have ended", func() bool {
		for _, row := range w.rows() {
			if row["scur"] != "0" {
				return false
			}
		}
		return true
	})
}

// status waits until a server of the service has a status.
func (w *twin) status(server, word string) {
	w.t.Helper()
	w.until(server+" is "+word, func() bool {
		return w.rows()["web_10000/"+w.plain(w.servers[server].task().name())]["status"] == word
	})
}
