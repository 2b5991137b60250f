package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/zookeeper"
)

// ensemble is three masters on one ZooKeeper.
type ensemble struct {
	*rig
	ips     []string
	masters []*testMaster
}

func newEnsemble(r *rig) *ensemble { return newEnsembleOn(r, func() error { return nil }) }

// newEnsembleOn has a ZooKeeper on a disk, see zookeeper.OnDisk.
func newEnsembleOn(r *rig, before func() error) *ensemble {
	e := &ensemble{rig: r, ips: []string{"10.0.0.1", "10.0.0.11", "10.0.0.12"}}
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		zookeeper.OnDisk(before)(ctx, r.env("10.0.0.99"))
	}()
	r.t.Cleanup(func() { cancel(); <-done })
	for i := range e.ips {
		e.masters = append(e.masters, nil)
		e.up(i)
		e.leader() // the next one comes second
	}
	return e
}

func (e *ensemble) up(i int) {
	e.masters[i] = e.master(e.ips[i], nil, "--compat=1.3", "--zk=zk://10.0.0.99:2181/mesos", "--quorum=2",
		"--registry=replicated_log", "--work_dir=/var/lib/mesos/"+e.ips[i])
}

// leader waits until one master leads and all others send there; it returns
// its address.
func (e *ensemble) leader() string {
	e.t.Helper()
	last := ""
	for range 600 {
		synctest.Wait()
		var leading []string
		agree := true
		for i, m := range e.masters {
			if m == nil || m.isDone() {
				continue
			}
			if m.leading() != nil {
				leading = append(leading, e.ips[i]+":5050")
			}
		}
		for _, m := range e.masters {
			if m != nil && !m.isDone() && (len(leading) != 1 || m.view().Leader.Addr() != leading[0]) {
				agree = false
			}
		}
		if len(leading) > 1 {
			e.t.Fatalf("%v lead at once", leading)
		}
		if agree && len(leading) == 1 {
			return leading[0]
		}
		last = fmt.Sprint(leading)
		time.Sleep(100 * time.Millisecond)
	}
	e.t.Fatalf("no single leader within a minute: %s lead", last)
	return ""
}

func (m *testMaster) isDone() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// TestThreeMasters: three masters on one ZooKeeper elect one. When its machine
// dies the next leads after the session's end (10 s, as measured: 8.5 to 10
// s), agents register again, the scheduler subscribes under its id, and the
// tasks were not disturbed. Twice, until the last one leads.
func TestThreeMasters(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := newEnsemble(r)
		addr := e.leader()
		if addr != masterAddr {
			t.Fatalf("%s leads, not the first that came", addr)
		}
		a, b := newAgentDouble(r, "10.0.0.2"), newAgentDouble(r, "10.0.0.3")
		a.connect(addr)
		b.connect(addr)
		synctest.Wait()
		s := r.scheduler(framework("f"))
		offers := s.offers()
		s.call(launch(offers[a.agentID()], time.Hour, task("ta", a.agentID(), 1, 64)))
		s.call(launch(offers[b.agentID()], time.Hour, task("tb", b.agentID(), 1, 64)))
		s.new()
		ids := []string{a.agentID(), b.agentID()}
		for round := range 2 {
			ip, _, _ := strings.Cut(addr, ":")
			dead := slices.Index(e.ips, ip)
			r.net.Crash(ip)
			died := time.Now()
			e.masters[dead].stop()
			<-e.masters[dead].done
			<-s.done
			addr = e.leader()
			if d := time.Since(died); d > 15*time.Second {
				t.Errorf("round %d: %s leads after %v", round, addr, d)
			}
			a.die()
			b.die()
			a.connect(addr)
			b.connect(addr)
			synctest.Wait()
			if got := []string{a.agentID(), b.agentID()}; !slices.Equal(got, ids) {
				t.Errorf("round %d: the agents have ids %v, had %v", round, got, ids)
			}
			s2 := r.schedulerAt(addr, again(s, framework("f")))
			if s2.id != s.id {
				t.Errorf("round %d: the framework is %s, was %s", round, s2.id, s.id)
			}
			s2.new()
			s2.call(calls.Reconcile())
			got := brief(s2.new())
			slices.Sort(got)
			want := []string{`ta TASK_RUNNING REASON_RECONCILIATION "Reconciliation: Latest task state"`,
				`tb TASK_RUNNING REASON_RECONCILIATION "Reconciliation: Latest task state"`}
			if !slices.Equal(got, want) {
				t.Errorf("round %d: reconciliation says %v", round, got)
			}
			if a.runs["ta"] != 1 || b.runs["tb"] != 1 {
				t.Errorf("round %d: tasks were started %d and %d times", round, a.runs["ta"], b.runs["tb"])
			}
			if len(a.tasks) != 1 || *a.tasks["ta"].State != mesos.TASK_RUNNING {
				t.Errorf("round %d: on the agent: %v", round, a.tasks)
			}
			s = s2
		}
		if addr != "10.0.0.12:5050" {
			t.Errorf("%s leads in the end", addr)
		}
	})
}

// TestOldLeaderInAPartition: a leading master that ZooKeeper does not hear
// ends by itself; with it back as a follower there is still one leader only.
func TestOldLeaderInAPartition(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := newEnsemble(r)
		e.leader()
		r.net.CutBetween("10.0.0.1", "10.0.0.99")
		cut := time.Now()
		<-e.masters[0].done
		if !errors.Is(e.masters[0].err, errLostLeadership) {
			t.Errorf("the cut-off leader ended with %v", e.masters[0].err)
		}
		// Silence is noticed after 2/3 of a session at most; from then on a
		// session's time counts, as in the real one.
		if d := time.Since(cut); d > 18*time.Second {
			t.Errorf("it led for another %v", d)
		}
		if got := e.leader(); got != "10.0.0.11:5050" {
			t.Errorf("%s leads", got)
		}
		r.net.MendBetween("10.0.0.1", "10.0.0.99")
		e.up(0)
		time.Sleep(time.Minute)
		if got := e.leader(); got != "10.0.0.11:5050" {
			t.Errorf("%s leads after the first is back", got)
		}
		resp, _ := r.at(masterAddr, "GET", "/state", "", nil)
		if resp.StatusCode != 307 || resp.Header.Get("Location") != "//10.0.0.11:5050/master/state" {
			t.Errorf("the first answers %d %s", resp.StatusCode, resp.Header.Get("Location"))
		}
	})
}
