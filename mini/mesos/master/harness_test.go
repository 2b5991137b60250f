package master

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/flags"
)

const masterIP, masterAddr = "10.0.0.1", "10.0.0.1:5050"

// rig is a master, agents and schedulers on an in-memory network. It is used
// inside a synctest bubble.
type rig struct {
	t   *testing.T
	ctx context.Context
	net *labtest.Network
	// generation is what situations run as: "1.3" unless said otherwise.
	generation string
	scheds     []*sched                // all that subscribed
	keeper     func() cluster.Registry // of each run's registry; nil: as the flags say
	dir        string                  // one folder for every host: hosts differ in their paths only
}

func newRig(t *testing.T) *rig {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // runs inside the bubble, before it must be empty
	return &rig{t: t, ctx: ctx, net: labtest.NewNetwork(), dir: t.TempDir()}
}

// testMaster is one running master.
type testMaster struct {
	*master
	stop func()
	done chan struct{}
	err  error // once done
}

func (r *rig) env(ip string, args ...string) mini.Env {
	h := r.net.Host(ip)
	return mini.Env{Args: args, Root: r.dir, Hostname: "host-" + ip, Listen: h.Listen, Dial: h.Dial,
		Stdout: io.Discard, Stderr: testWriter{r.t}}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

// master starts a master with every change audited.
func (r *rig) master(ip string, group election.Group, args ...string) *testMaster {
	r.t.Helper()
	args = append([]string{"--ip=" + ip, "--registry=in_memory", "--hostname_lookup=false"}, args...)
	env := r.env(ip, args...)
	cfg, err := flags.Parse(args, flags.Source{Getenv: env.Getenv})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.start(env, cfg, group)
}

func (r *rig) start(env mini.Env, cfg flags.Config, group election.Group) *testMaster {
	m := newMaster(env, cfg)
	m.group = group
	if r.keeper != nil {
		m.keeper = r.keeper()
	}
	m.audit = func(err error) {
		if err != nil {
			r.t.Errorf("invariant broken: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	tm := &testMaster{master: m, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(tm.done)
		tm.err = m.run(ctx)
	}()
	r.t.Cleanup(func() { cancel(); <-tm.done })
	synctest.Wait()
	return tm
}

// get fetches a path of the master.
func (r *rig) get(addr, path string) (*http.Response, []byte) {
	r.t.Helper()
	resp, err := r.client("10.0.9.9").Get("http://" + addr + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, body
}

func (r *rig) client(ip string) *http.Client {
	c := r.env(ip).HTTPClient()
	r.t.Cleanup(c.CloseIdleConnections)
	return c
}

// state decodes /state.
func (r *rig) state() (s struct {
	Activated   float64 `json:"activated_slaves"`
	Deactivated float64 `json:"deactivated_slaves"`
	Slaves      []struct {
		ID     string
		Active bool
	}
	Frameworks []struct {
		ID             string
		Active         bool
		Tasks          []struct{ ID, State string }
		CompletedTasks []struct{ ID, State string } `json:"completed_tasks"`
		Offers         []struct{ ID string }
	}
	CompletedFrameworks []struct {
		ID             string
		CompletedTasks []struct{ ID, State string } `json:"completed_tasks"`
	} `json:"completed_frameworks"`
}) {
	r.t.Helper()
	_, body := r.get(masterAddr, "/state")
	if err := json.Unmarshal(body, &s); err != nil {
		r.t.Fatalf("/state: %v in %s", err, body)
	}
	return s
}
