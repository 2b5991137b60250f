package docker

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/mesoslab/lab/internal/labtest"
)

// apiServer speaks the part of the Engine API that Moby uses, over a Memory,
// so that both can run the same tests.
type apiServer struct {
	m       *Memory
	version string // what it says it speaks

	mu    sync.Mutex
	execs map[string]*execution
	seen  []string // API versions in paths
	made  []byte   // the last create request
}

type execution struct {
	name string
	cmd  []string
	code int
	done bool
}

// newMoby returns a Moby that speaks to an apiServer over m.
func newMoby(t *testing.T, m *Memory, version string) (*Moby, *apiServer) {
	t.Helper()
	s := &apiServer{m: m, version: version, execs: map[string]*execution{}}
	n := labtest.NewNetwork()
	l, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":2375")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.routes()}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	moby := NewMoby(func(ctx context.Context, network, address string) (net.Conn, error) {
		if network != "unix" || address != "/var/run/docker.sock" {
			return nil, fmt.Errorf("dialled %s %s", network, address)
		}
		return n.Host("10.0.0.1").Dial(ctx, "tcp", "10.0.0.1:2375")
	}, "/var/run/docker.sock")
	t.Cleanup(moby.Close)
	return moby, s
}

func (s *apiServer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		if s.version == "" {
			io.WriteString(w, "I am a web server")
			return
		}
		answer(w, 200, map[string]any{"Version": "9.9", "ApiVersion": s.version, "Platform": map[string]string{"Name": "Test Engine"}})
	})
	mux.HandleFunc("GET /{v}/images/{name...}", s.image)
	mux.HandleFunc("POST /{v}/images/create", s.pull)
	mux.HandleFunc("POST /{v}/containers/create", s.create)
	mux.HandleFunc("GET /{v}/containers/json", s.list)
	mux.HandleFunc("GET /{v}/containers/{name}/json", s.inspect)
	mux.HandleFunc("DELETE /{v}/containers/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if _, err := s.m.Inspect(r.Context(), name); err != nil {
			fault(w, err)
			return
		}
		done(w, s.m.Remove(r.Context(), name))
	})
	mux.HandleFunc("POST /{v}/containers/{name}/start", func(w http.ResponseWriter, r *http.Request) {
		done(w, s.m.Start(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("POST /{v}/containers/{name}/stop", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("t"))
		if err == nil {
			err = s.m.Stop(r.Context(), r.PathValue("name"), time.Duration(n)*time.Second)
		}
		done(w, err)
	})
	mux.HandleFunc("POST /{v}/containers/{name}/wait", s.wait)
	mux.HandleFunc("GET /{v}/containers/{name}/logs", s.logs)
	mux.HandleFunc("GET /{v}/containers/{name}/stats", s.stats)
	mux.HandleFunc("POST /{v}/containers/{name}/exec", s.execCreate)
	mux.HandleFunc("POST /{v}/exec/{id}/start", s.execStart)
	mux.HandleFunc("GET /{v}/exec/{id}/json", s.execInspect)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); ok {
			s.mu.Lock()
			s.seen = append(s.seen, v)
			s.mu.Unlock()
		}
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func fault(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, ErrNotFound) || strings.HasPrefix(err.Error(), "no such image") {
		status = http.StatusNotFound
	}
	answer(w, status, map[string]string{"message": err.Error()})
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		fault(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *apiServer) image(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.PathValue("name"), "/json")
	s.m.mu.Lock()
	there := s.m.images[name]
	s.m.mu.Unlock()
	if !there {
		fault(w, errors.New("no such image: "+name))
		return
	}
	answer(w, 200, map[string]string{"Id": "sha256:1"})
}

func (s *apiServer) pull(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name := strings.TrimPrefix(q.Get("fromImage"), "docker.io/library/") + ":" + q.Get("tag")
	if err := s.m.Pull(r.Context(), name, true); err != nil {
		// A real engine has sent 200 by now.
		answer(w, 200, map[string]any{"error": err.Error(), "errorDetail": map[string]string{"message": err.Error()}})
		return
	}
	answer(w, 200, map[string]string{"status": "Pull complete"})
}

func (s *apiServer) create(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var c container.CreateRequest
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err != nil {
		fault(w, err)
		return
	}
	s.mu.Lock()
	s.made = body
	s.mu.Unlock()
	if err := s.m.Create(r.Context(), Spec{Name: r.URL.Query().Get("name"), Image: c.Image, Network: string(c.HostConfig.NetworkMode)}); err != nil {
		fault(w, err)
		return
	}
	answer(w, 201, map[string]string{"Id": "1"})
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request) {
	var filters struct{ Name map[string]bool }
	if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters); err != nil || r.URL.Query().Get("all") != "1" {
		fault(w, fmt.Errorf("asked for %s: %w", r.URL.RawQuery, err))
		return
	}
	names, err := s.m.List(r.Context(), "")
	if err != nil {
		fault(w, err)
		return
	}
	out := []map[string]any{}
	for _, n := range names {
		for part := range filters.Name {
			if strings.Contains(n, part) {
				out = append(out, map[string]any{"Names": []string{"/" + n}})
			}
		}
	}
	answer(w, 200, out)
}

func (s *apiServer) inspect(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	info, err := s.m.Inspect(r.Context(), name)
	if err != nil {
		fault(w, err)
		return
	}
	status := "created"
	switch {
	case info.Running:
		status = "running"
	case info.Started:
		status = "exited"
	}
	networks := map[string]any{}
	for _, ip := range info.IPs {
		networks["bridge"] = map[string]any{"IPAddress": ip}
	}
	answer(w, 200, map[string]any{"Name": "/" + name,
		"State":           map[string]any{"Status": status, "Running": info.Running, "ExitCode": info.ExitCode, "Pid": info.PID},
		"NetworkSettings": map[string]any{"Networks": networks}})
}

func (s *apiServer) wait(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if _, err := s.m.Inspect(r.Context(), name); err != nil {
		fault(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	code, err := s.m.Wait(r.Context(), name)
	if err == nil {
		json.NewEncoder(w).Encode(map[string]int{"StatusCode": code})
	}
}

func (s *apiServer) logs(w http.ResponseWriter, r *http.Request) {
	if _, err := s.m.Inspect(r.Context(), r.PathValue("name")); err != nil {
		fault(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
	s.m.Logs(r.Context(), r.PathValue("name"), frames{w}, nil)
}

// frames writes standard output as the engine multiplexes it.
type frames struct{ w http.ResponseWriter }

func (f frames) Write(p []byte) (int, error) {
	head := binary.BigEndian.AppendUint32([]byte{1, 0, 0, 0}, uint32(len(p)))
	if _, err := f.w.Write(append(head, p...)); err != nil {
		return 0, err
	}
	return len(p), http.NewResponseController(f.w).Flush()
}

func (s *apiServer) execCreate(w http.ResponseWriter, r *http.Request) {
	var q struct{ Cmd []string }
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		fault(w, err)
		return
	}
	name := r.PathValue("name")
	if info, err := s.m.Inspect(r.Context(), name); err != nil || !info.Running {
		fault(w, errors.Join(err, errors.New("container is not running")))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strconv.Itoa(len(s.execs))
	s.execs[id] = &execution{name: name, cmd: q.Cmd}
	answer(w, 201, map[string]string{"Id": id})
}

func (s *apiServer) execStart(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil { // it may come after the head
		fault(w, err)
		return
	}
	s.mu.Lock()
	x := s.execs[r.PathValue("id")]
	s.mu.Unlock()
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fault(w, err)
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // the client hanging up ends the command's stream
		io.Copy(io.Discard, rw)
		cancel()
	}()
	code, _ := s.m.Exec(ctx, x.name, x.cmd, nil)
	s.mu.Lock()
	x.code, x.done = code, true
	s.mu.Unlock()
}

func (s *apiServer) execInspect(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.execs[r.PathValue("id")]
	answer(w, 200, map[string]any{"ID": r.PathValue("id"), "Running": !x.done, "ExitCode": x.code})
}

// stats answers as dockerd does under cgroups v1.
func (s *apiServer) stats(w http.ResponseWriter, r *http.Request) {
	u, err := s.m.Usage(r.Context(), r.PathValue("name"))
	switch q := r.URL.Query(); {
	case err != nil:
		fault(w, err)
	case q.Get("stream") != "false" || q.Get("one-shot") != "true":
		fault(w, fmt.Errorf("asked for a stream: %v", q))
	default:
		var st container.StatsResponse
		st.CPUStats.CPUUsage = container.CPUUsage{UsageInUsermode: uint64(u.User), UsageInKernelmode: uint64(u.System)}
		st.MemoryStats = container.MemoryStats{Usage: u.RSS + 1<<20, Stats: map[string]uint64{"rss": u.RSS}}
		answer(w, 200, st)
	}
}
