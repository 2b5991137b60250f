package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
)

// slowDisk is a registry that masters share, as they do the real ones'
// replicated log: who has read it last may write. It takes the time that takes
// says, and fails with what fails says; nil is never.
type slowDisk struct {
	mu      sync.Mutex
	takes   func() time.Duration
	fails   func() error
	data    []byte
	readers int
	in      map[string]bool // agents
	known   map[string]bool // that are or were in it
	gone    map[string]bool // that were taken out
	asOf    time.Time       // when what is stored was so
	counts  struct{ stored, waited, late, failed int }
}

func newSlowDisk() *slowDisk {
	return &slowDisk{data: []byte("{}"), known: map[string]bool{}, gone: map[string]bool{}}
}

// set says anew what goes wrong.
func (d *slowDisk) set(takes func() time.Duration, fails func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.takes, d.fails = takes, fails
}

func (d *slowDisk) has(agent string) (now, ever, gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in[agent], d.known[agent], d.gone[agent]
}

// knowsOf says whether what happened at a time, in seconds since 1970, is
// stored.
func (d *slowDisk) knowsOf(at float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return float64(d.asOf.UnixNano())/1e9 >= at
}

// run is the disk as one run of a master has it.
func (d *slowDisk) run() cluster.Registry { return &diskRun{disk: d} }

type diskRun struct {
	disk *slowDisk
	read int
}

func (r *diskRun) Load() (data cluster.RegistryData, err error) {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	r.disk.readers++
	r.read = r.disk.readers
	return data, json.Unmarshal(r.disk.data, &data)
}

func (r *diskRun) Store(data cluster.RegistryData) error {
	d := r.disk
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	d.mu.Lock()
	var takes time.Duration
	if d.takes != nil {
		takes = d.takes()
	}
	if d.fails != nil {
		err = d.fails()
	}
	if takes > 0 {
		d.counts.waited++
	}
	if takes > 20*time.Second {
		d.counts.late++
	}
	d.mu.Unlock()
	asOf := time.Now()
	time.Sleep(takes)
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.read != d.readers {
		return errors.New("coordinator demoted")
	}
	if err != nil {
		d.counts.failed++
		return err
	}
	d.data, d.asOf = b, asOf
	d.counts.stored++
	in := map[string]bool{}
	for _, a := range data.Admitted {
		in[a.V.GetID().GetValue()] = true
	}
	for id := range d.known {
		d.gone[id] = d.gone[id] || !in[id]
	}
	for id := range in {
		d.known[id] = true
	}
	d.in = in
	return nil
}

// TestModelOnSlowDisks leads histories like those of TestModel through masters
// whose registry takes seconds to be written, now and then so long that the
// master gives up, and has no room sometimes. Agents hear that they are
// registered, and frameworks that one is gone, when the registry knows.
func TestModelOnSlowDisks(t *testing.T) {
	seeds, steps := 4, 200
	if testing.Short() {
		seeds = 1
	}
	var ended, waited, late, failed int
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				disk, rng := newSlowDisk(), rand.New(rand.NewPCG(uint64(seed), 44))
				disk.set(func() time.Duration {
					switch n := rng.IntN(30); {
					case n == 0:
						return 25 * time.Second
					case n < 20:
						return time.Duration(rng.IntN(8000)) * time.Millisecond
					}
					return 0
				}, func() error {
					if rng.IntN(20) == 0 {
						return labtest.ErrDiskFull
					}
					return nil
				})
				r := newRig(t)
				r.keeper = disk.run
				m := newModel(r, uint64(seed), disk)
				steps, cut := steps, map[string]bool{}
				chance := rand.New(rand.NewPCG(uint64(seed), 45))
				time.Sleep(5 * time.Second)
				for ; steps > 0; steps-- {
					m.step(chance, cut)
					ended += m.revive()
					m.look()
				}
				disk.set(nil, nil)
				ended += m.revive()
				m.settle(cut)
				m.check()
				disk.mu.Lock()
				defer disk.mu.Unlock()
				waited, late, failed = waited+disk.counts.waited, late+disk.counts.late, failed+disk.counts.failed
			})
		})
	}
	t.Logf("%d writes took time, %d of them too long, %d failed; %d masters ended by themselves", waited, late, failed, ended)
	if !testing.Short() && (waited < 20 || failed < 2 || ended < 3) {
		t.Error("the disks were too good")
	}
}

// revive starts the masters that have ended again, as their service would.
func (m *model) revive() (n int) {
	synctest.Wait()
	for i, tm := range m.masters {
		if tm.isDone() {
			m.start(i)
			n++
		}
	}
	return n
}

// onSlowDisk is a master whose registry is on a disk.
func onSlowDisk(t *testing.T, fn func(r *rig, m *testMaster, disk *slowDisk)) {
	bubble.Test(t, func(t *testing.T) {
		r, disk := newRig(t), newSlowDisk()
		r.keeper = disk.run
		m := r.master(masterIP, nil, "--compat=1.3", "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=3",
			"--registry=replicated_log", "--work_dir=/w")
		fn(r, m, disk)
	})
}

// TestRegistrationWaitsForTheDisk: an agent is registered when the registry
// has it. Pings do not wait for that, and one that loses patience in between
// is not taken in twice.
func TestRegistrationWaitsForTheDisk(t *testing.T) {
	onSlowDisk(t, func(r *rig, _ *testMaster, disk *slowDisk) {
		disk.set(labtest.Steady(12*time.Second), nil)
		a := newAgentDouble(r, "10.0.0.2")
		a.connect(masterAddr)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if id := a.agentID(); id != "" {
			r.t.Errorf("registered as %s, the registry takes another 2 s", id)
		}
		if s := r.state(); len(s.Slaves) != 0 {
			r.t.Errorf("/state tells of %v", s.Slaves)
		}
		a.die()
		a.connect(masterAddr)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		id := a.agentID()
		if now, _, _ := disk.has(id); id == "" || !now {
			r.t.Errorf("registered as %q, in the registry: %v", id, now)
		}
		time.Sleep(time.Minute)
		s := r.state()
		if len(s.Slaves) != 1 || s.Slaves[0].ID != id || !s.Slaves[0].Active {
			r.t.Errorf("/state tells of %v, the agent is %s", s.Slaves, id)
		}
	})
}

// TestLossIsToldWhenItIsStored: tasks of an agent that is gone are lost when the
// registry says that it is; meanwhile the frameworks' pings and subscriptions go
// on.
func TestLossIsToldWhenItIsStored(t *testing.T) {
	onSlowDisk(t, func(r *rig, _ *testMaster, disk *slowDisk) {
		a := newAgentDouble(r, "10.0.0.2")
		a.connect(masterAddr)
		synctest.Wait()
		id := a.agentID()
		s := r.scheduler(framework("f"))
		s.call(launch(s.offers()[id], time.Hour, task("t", id, 1, 64)))
		s.new()
		disk.set(labtest.Steady(7*time.Second), nil)
		r.net.Cut("10.0.0.2")
		time.Sleep(10 * time.Second) // 3 s to 4 s for the loss, 7 s for the disk
		synctest.Wait()
		if got := brief(s.new()); len(got) != 0 {
			r.t.Errorf("the framework heard of %v before it was stored", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := brief(s.new()); len(got) == 0 || !strings.HasPrefix(got[0], "t TASK_LOST REASON_AGENT_REMOVED") {
			r.t.Errorf("the framework heard of %v", got)
		}
		if now, _, gone := disk.has(id); !gone {
			r.t.Errorf("in the registry: %v, taken out: %v", now, gone)
		}
	})
}

// TestChangesAreAnsweredWhenTheyAreStored: by operators' requests.
func TestChangesAreAnsweredWhenTheyAreStored(t *testing.T) {
	onSlowDisk(t, func(r *rig, m *testMaster, disk *slowDisk) {
		disk.set(labtest.Steady(5*time.Second), nil)
		for _, c := range []struct{ method, path, body string }{
			{"PUT", "/weights", `[{"role":"web","weight":2}]`},
			{"POST", "/quota", `{"role":"web","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}],"force":true}`},
			{"DELETE", "/quota/web", ""},
			{"POST", "/maintenance/schedule", `{"windows":[{"machine_ids":[{"hostname":"h"}],"unavailability":{"start":{"nanoseconds":1}}}]}`},
			{"POST", "/machine/down", `[{"hostname":"h"}]`},
			{"POST", "/machine/up", `[{"hostname":"h"}]`},
		} {
			asked := time.Now()
			resp, body := r.at(masterAddr, c.method, c.path, c.body, nil)
			if d := time.Since(asked); resp.StatusCode != 200 || d != 5*time.Second {
				r.t.Errorf("%s %s: %s after %v %s", c.method, c.path, resp.Status, d, body)
			}
		}
		disk.set(labtest.Steady(time.Minute), nil)
		asked := time.Now()
		resp, body := r.at(masterAddr, "PUT", "/weights", `[{"role":"web","weight":3}]`, nil)
		if d := time.Since(asked); resp.StatusCode != 503 || d != 20*time.Second {
			r.t.Errorf("a weight that is not stored in time: %s after %v %s", resp.Status, d, body)
		}
		<-m.done
		if m.err == nil || !strings.Contains(m.err.Error(), "failed to perform store within 20s") {
			r.t.Errorf("the master ended with %v", m.err)
		}
		time.Sleep(time.Minute) // the disk ends, too
	})
}

// TestFullDiskEndsTheMaster: as the real one, and the next one knows nothing
// of what was not stored.
func TestFullDiskEndsTheMaster(t *testing.T) {
	onSlowDisk(t, func(r *rig, m *testMaster, disk *slowDisk) {
		a := newAgentDouble(r, "10.0.0.2")
		a.connect(masterAddr)
		synctest.Wait()
		s := r.scheduler(framework("f"))
		s.call(launch(s.offers()[a.agentID()], time.Hour, task("t", a.agentID(), 1, 64)))
		s.new()
		disk.set(nil, func() error { return fmt.Errorf("write: %w", labtest.ErrDiskFull) })
		b := newAgentDouble(r, "10.0.0.3")
		b.connect(masterAddr)
		<-m.done
		if !errors.Is(m.err, labtest.ErrDiskFull) {
			r.t.Errorf("the master ended with %v", m.err)
		}
		if id := b.agentID(); id != "" {
			r.t.Errorf("an agent was registered as %s", id)
		}
		<-s.done
		a.die()
		b.die()
		disk.set(nil, nil)
		r.master(masterIP, nil, "--compat=1.3", "--registry=replicated_log", "--work_dir=/w")
		before := a.agentID()
		a.connect(masterAddr)
		synctest.Wait()
		s2 := r.scheduler(again(s, framework("f")))
		s2.new()
		s2.call(calls.Reconcile())
		if got := brief(s2.new()); len(got) != 1 || !strings.HasPrefix(got[0], "t TASK_RUNNING") {
			r.t.Errorf("after the restart: %v", got)
		}
		if a.agentID() != before || a.runs["t"] != 1 || *a.tasks["t"].State != mesos.TASK_RUNNING {
			r.t.Errorf("agent %s was %s, tasks %v", a.agentID(), before, a.tasks)
		}
	})
}

// TestMastersOnASlowZooKeeper: three masters on a ZooKeeper whose disk takes
// seconds for a flush, of which sessions end and candidacies are in doubt. At no
// time more than one leads, and one does once the disk is well again; those that
// lost their leadership have ended, and are started again.
func TestMastersOnASlowZooKeeper(t *testing.T) {
	if bubble.Race {
		t.Skip("the ZooKeeper client library races by itself when it sets its watches anew")
	}
	seeds := 4
	if testing.Short() {
		seeds = 1
	}
	ended := 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				var disk labtest.SlowDisk
				e := newEnsembleOn(newRig(t), disk.Before)
				rng, chance := rand.New(rand.NewPCG(uint64(seed), 51)), rand.New(rand.NewPCG(uint64(seed), 52))
				disk.Set(func() time.Duration {
					if rng.IntN(6) == 0 {
						return time.Duration(rng.IntN(15000)) * time.Millisecond
					}
					return time.Duration(rng.IntN(3000)) * time.Millisecond
				}, nil)
				for range 600 {
					time.Sleep(time.Duration(chance.IntN(1000)) * time.Millisecond)
					synctest.Wait()
					var leading []string
					for i, m := range e.masters {
						if m.isDone() {
							ended++
							e.up(i)
						} else if m.leading() != nil {
							leading = append(leading, e.ips[i])
						}
					}
					if len(leading) > 1 {
						t.Fatalf("%v lead at once", leading)
					}
					if chance.IntN(60) == 0 {
						e.masters[chance.IntN(3)].stop()
					}
				}
				disk.Set(nil, nil)
				for range 60 { // sessions of those that have ended end, too
					time.Sleep(time.Second)
					for i, m := range e.masters {
						if m.isDone() {
							e.up(i)
						}
					}
				}
				e.leader()
			})
		})
	}
	t.Logf("%d masters ended", ended)
	if ended < 3*seeds {
		t.Error("nothing happened")
	}
}

// TestRegistryFile: what is there is whole, whatever becomes of a later write.
func TestRegistryFile(t *testing.T) {
	dir := t.TempDir()
	f := registryFile(dir)
	if d, err := f.Load(); err != nil || len(d.Weights) != 0 {
		t.Fatalf("an empty folder: %v, %v", d, err)
	}
	if err := f.Store(cluster.RegistryData{Weights: map[string]float64{"a": 1}}); err != nil {
		t.Fatal(err)
	}
	if err := registryFile(f.path()).Store(cluster.RegistryData{}); err == nil {
		t.Error("a file taken for a folder")
	}
	if d, err := f.Load(); err != nil || d.Weights["a"] != 1 {
		t.Errorf("found %v, %v", d, err)
	}
}
