//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathon"
	"github.com/mesoslab/lab/mini/mesos"
	"github.com/mesoslab/lab/mini/supervise"
	"github.com/mesoslab/lab/mini/zookeeper"
)

// The platform of the benchmark: all in this process, on a network in memory,
// with real files and in real time. Agents are the mini agent, whole, but for
// the commands, which are none.
const (
	platformZK       = "10.0.0.1"
	platformMesos    = "10.0.0.2"
	platformMarathon = "10.0.0.3"
	platformAgents   = 100
)

// scaleRounds is how often each size is taken: rounds of them would take ten
// minutes.
const scaleRounds = 3

// BenchmarkScale takes the time from Marathon's scale call to the moment when
// all instances run, of an app without health checks, with 1.1.1's defaults
// (5 tasks per offer, 100 launch tokens), on 100 agents, for 10, 100 and 1000
// instances.
func BenchmarkScale(b *testing.B) {
	b.Log(machineSize())
	p := newPlatform(b)
	for b.Loop() {
		for _, n := range []int{10, 100, 1000} {
			f := in("ms")
			for range scaleRounds {
				f.addTime(timed(func() { p.scale(n) }))
				p.scale(0)
			}
			f.report(b, fmt.Sprintf("scale-to-%d", n))
		}
	}
}

// platform is a ZooKeeper, a Mesos with its agents, and a Marathon.
type platform struct {
	b      *testing.B
	client *http.Client
	net    *labtest.Network
}

func newPlatform(b *testing.B) *platform {
	p := &platform{b: b, net: labtest.NewNetwork()}
	p.client = mini.Env{Dial: p.net.Host("10.0.0.99").Dial}.HTTPClient()
	p.start(zookeeper.Run, platformZK)
	p.start(mesos.Run, platformMesos, "mesos-master", "--zk=zk://"+platformZK+":2181/mesos", "--quorum=1", "--ip="+platformMesos,
		"--work_dir=/var/lib/mesos", "--hostname_lookup=false")
	for i := range platformAgents {
		host := fmt.Sprintf("10.0.1.%d", i+1)
		p.start(mesos.Run, host, "mesos-slave", "--master=zk://"+platformZK+":2181/mesos", "--ip="+host, "--hostname_lookup=false",
			"--containerizers=mesos", "--work_dir=/var/lib/mesos", "--resources=cpus:8;mem:8192;disk:8192;ports:[31000-32000]")
	}
	p.start(marathon.Run, platformMarathon, "--master=zk://"+platformZK+":2181/mesos", "--zk=zk://"+platformZK+":2181/marathon", "--hostname="+platformMarathon)
	p.await("the agents", func() (string, bool) {
		var s struct {
			Slaves float64 `json:"activated_slaves"`
		}
		err := p.ask(http.MethodGet, platformMesos+":5050", "/state.json", "", &s)
		return fmt.Sprintf("%v agents, %v", s.Slaves, err), s.Slaves == platformAgents
	})
	p.await("Marathon", func() (string, bool) {
		err := p.ask(http.MethodPut, platformMarathon+":8080", "/v2/apps/many", `{"cmd":"sleep 1000000","cpus":0.1,"mem":16,"instances":0}`, nil)
		return fmt.Sprint(err), err == nil
	})
	return p
}

// start runs a program on a host of its own, with a disk of its own, until the
// benchmark ends.
func (p *platform) start(run mini.Program, host string, args ...string) {
	h := p.net.Host(host)
	root := p.b.TempDir()
	log, err := os.Create(filepath.Join(root, "log"))
	if err != nil {
		p.b.Fatal(err)
	}
	env := mini.Env{Args: args, Root: root, Hostname: host, Listen: h.Listen, Dial: h.Dial, Stdout: log, Stderr: log,
		Environ: []string{"LAB_ALLOW_ROOT_CMD=1", "USER=root"}, Launcher: &supervise.Memory{}}
	ctx, cancel := context.WithCancel(p.b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { run(ctx, env) })
	p.b.Cleanup(func() {
		cancel()
		wg.Wait()
		log.Close()
		if p.b.Failed() {
			if data, err := os.ReadFile(log.Name()); err == nil {
				p.b.Logf("%s:\n%.3000s", host, data)
			}
		}
	})
}

// scale asks for n instances and waits until that many run and no more.
func (p *platform) scale(n int) {
	p.b.Helper()
	if err := p.ask(http.MethodPut, platformMarathon+":8080", "/v2/apps/many?force=true", fmt.Sprintf(`{"instances":%d}`, n), nil); err != nil {
		p.b.Fatal(err)
	}
	p.await(fmt.Sprintf("%d instances", n), func() (string, bool) {
		var s struct {
			Apps []struct{ TasksStaged, TasksRunning int }
		}
		if err := p.ask(http.MethodGet, platformMarathon+":8080", "/v2/apps", "", &s); err != nil || len(s.Apps) != 1 {
			return fmt.Sprintf("%+v %v", s, err), false
		}
		a := s.Apps[0]
		return fmt.Sprintf("%d run, %d start", a.TasksRunning, a.TasksStaged), a.TasksRunning == n && a.TasksStaged == 0
	})
}

func (p *platform) await(what string, fn func() (string, bool)) {
	p.b.Helper()
	ctx, cancel := context.WithTimeout(p.b.Context(), 2*time.Minute)
	defer cancel()
	err := lab.Until(ctx, 20*time.Millisecond, what, func(context.Context) error {
		if seen, ok := fn(); !ok {
			return fmt.Errorf("%s", seen)
		}
		return nil
	})
	if err != nil {
		p.b.Fatal(err)
	}
}

// ask makes one request and decodes the answer.
func (p *platform) ask(method, host, path, body string, into any) error {
	req, err := http.NewRequestWithContext(p.b.Context(), method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s %.200s %w", method, path, res.Status, data, err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}
