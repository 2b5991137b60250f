package master

import (
	"cmp"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// situation is one in which a real 1.3.2 was captured. bring leads a master
// there and returns its address.
type situation struct {
	name, who string
	bring     func(*rig) string
}

func situations() []situation {
	return []situation{
		{"empty", "master", func(r *rig) string { r.realMaster(); return masterAddr }},
		{"agents-idle", "master", func(r *rig) string { r.realMaster(); r.twoAgents(); return masterAddr }},
		{"framework-offers-outstanding", "master", func(r *rig) string {
			r.realMaster()
			r.twoAgents()
			r.scheduler(capA())
			return masterAddr
		}},
		{"task-running", "master", func(r *rig) string { r.capTaskRunning(); return masterAddr }},
		{"after-terminal-tasks", "master", func(r *rig) string { r.capTerminal(); return masterAddr }},
		{"framework-disconnected", "master", func(r *rig) string { r.capDisconnected(); return masterAddr }},
		{"after-teardown", "master", func(r *rig) string { r.capTeardown(); return masterAddr }},
		{"loss-default-agent1-dead-before-timeout", "master", func(r *rig) string { r.lossDead(false); return masterAddr }},
		{"loss-default-agent1-removed", "master", func(r *rig) string { r.lossRemoved(false); return masterAddr }},
		{"loss-default-agent1-back", "master", func(r *rig) string { r.lossBack(false); return masterAddr }},
		{"loss-fast-agent1-dead-before-timeout", "master", func(r *rig) string { r.lossDead(true); return masterAddr }},
		{"loss-fast-agent1-removed", "master", func(r *rig) string { r.lossRemoved(true); return masterAddr }},
		{"loss-fast-agent1-back", "master", func(r *rig) string { r.lossBack(true); return masterAddr }},
		{"loss-fast-agent1-sigstop", "master", func(r *rig) string { r.lossStopped(); return masterAddr }},
		{"loss-fast-agent1-sigcont", "master", func(r *rig) string { r.lossContinued(); return masterAddr }},
		{"restart-recovered", "master", func(r *rig) string { r.restartRecovered(); return masterAddr }},
		{"agent2-sigusr1", "master", func(r *rig) string { r.unregistered(); return masterAddr }},
		{"master-restarted-no-agents-yet", "master", func(r *rig) string { r.masterRestarted(); return masterAddr }},
		{"master-restarted-agents-back", "master", func(r *rig) string { r.masterRestartedAgentBack(); return masterAddr }},
		{"after-mesos-execute", "master", func(r *rig) string { r.mesosExecute(); return masterAddr }},
		{"after-failover-timeouts", "master", func(r *rig) string { r.failoverTimeouts(); return masterAddr }},
		{"zk", "leader", func(r *rig) string { r.threeMasters(); r.twoAgents(); return masterAddr }},
		{"zk", "nonleader", func(r *rig) string { r.threeMasters(); r.twoAgents(); return "10.0.0.11:5050" }},
		{"zk-after-failover", "newleader", func(r *rig) string { r.zkAfterFailover(); return "10.0.0.11:5050" }},
	}
}

// realMaster has the flags of the captured ones.
func (r *rig) realMaster(more ...string) *testMaster {
	return r.master(masterIP, nil, append([]string{"--compat=" + cmp.Or(r.generation, "1.3"), "--cluster=labcap", "--registry=replicated_log",
		"--work_dir=/var/lib/mesos", "--logbufsecs=0"}, more...)...)
}

func (r *rig) twoAgents() (a, b *agentDouble) { return r.agent("10.0.0.2"), r.agent("10.0.0.3") }

// capA is the framework of the captures.
func capA() *mesos.FrameworkInfo {
	f := named("capA")
	principal, host, web := "probe", "sched.lab", "http://sched.lab:8080"
	f.Principal, f.Hostname, f.WebUiURL = &principal, &host, &web
	return f
}

// capABack is how it subscribed again.
func capABack() *mesos.FrameworkInfo {
	f := capA()
	f.Hostname, f.WebUiURL = nil, nil
	return f
}

// named has what most frameworks of the captures told.
func named(name string) *mesos.FrameworkInfo {
	f := framework(name)
	role := "*"
	f.Role = &role
	return f
}

func (r *rig) capTaskRunning() (a, b *agentDouble, s *sched) {
	r.realMaster()
	a, b = r.twoAgents()
	s = r.scheduler(capA())
	run, web := task("t-run", a.agentID(), 0.5, 64), "web"
	run.Labels = &mesos.Labels{Labels: []mesos.Label{{Key: "app", Value: &web}}}
	s.call(launch(s.offers()[a.agentID()], 0, run))
	time.Sleep(3 * time.Second)
	synctest.Wait()
	return a, b, s
}

// capTerminal ends tasks in every way; t-p2's last update is left unanswered.
func (r *rig) capTerminal() (a *agentDouble, s *sched) {
	a, b, s := r.capTaskRunning()
	on := func(agent *agentDouble, ids ...string) {
		var list []mesos.TaskInfo
		for _, id := range ids {
			t := task(id, agent.agentID(), 0.1, 32)
			if id == "t-p1" || id == "t-p2" {
				name, port := id, uint64(31000+len(list))
				t.Resources = append(t.Resources, ports(port)...)
				t.Discovery = &mesos.DiscoveryInfo{Visibility: mesos.CLUSTER, Name: &name,
					Ports: &mesos.Ports{Ports: []mesos.Port{{Number: 31000, Name: &name, Protocol: &name}}}}
			}
			if id == "t-hc" {
				t.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, Command: t.Command}
			}
			list = append(list, t)
		}
		s.call(launch(s.latestOffer(agent.agentID()), 0, list...))
		synctest.Wait()
	}
	on(a, "t-finish", "t-fail", "t-sig", "t-kill", "t-killtrap", "t-noack", "t-hc")
	on(b, "t-p1", "t-p2")
	time.Sleep(1500 * time.Millisecond) // what is left is offered before the tasks end
	for _, id := range []string{"t-finish", "t-noack"} {
		a.report(id, mesos.TASK_FINISHED, says("Command exited with status 0"))
	}
	for id, why := range map[string]string{"t-fail": "Command exited with status 3", "t-sig": "Command terminated with signal Killed"} {
		a.report(id, mesos.TASK_FAILED, says(why))
	}
	a.report("t-hc", mesos.TASK_RUNNING, func(st *mesos.TaskStatus) { healthy := true; st.Healthy = &healthy })
	a.report("t-kill", mesos.TASK_KILLED, says("Command terminated with signal Terminated"))
	a.report("t-killtrap", mesos.TASK_KILLED, says("Command terminated with signal Killed"))
	synctest.Wait()
	s.setAck(false)
	b.report("t-p2", mesos.TASK_KILLED, says("Command terminated with signal Terminated"))
	time.Sleep(3 * time.Second)
	synctest.Wait()
	return b, s
}

func says(message string) func(*mesos.TaskStatus) {
	return func(st *mesos.TaskStatus) { st.Message = &message }
}

// ports is one port.
func ports(n uint64) []mesos.Resource {
	return resource.Of(resource.Item{Name: "ports", Role: "*", Kind: resource.Ranges, Ranges: []resource.Range{{Begin: n, End: n}}}).Proto("")
}

// latestOffer returns the newest offer on an agent.
func (s *sched) latestOffer(agent string) (o mesos.Offer) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		for _, x := range e.GetOffers().GetOffers() {
			if x.AgentID.Value == agent {
				o = x
			}
		}
	}
	return o
}

func (s *sched) setAck(on bool) { s.mu.Lock(); s.ack = on; s.mu.Unlock() }

// capDisconnected: a second scheduler took over, acknowledged, and left.
func (r *rig) capDisconnected() *sched {
	b, s := r.capTerminal()
	s2 := r.scheduler(again(s, capABack()))
	b.report("t-p2", mesos.TASK_KILLED, says("Command terminated with signal Terminated")) // sent again, and acknowledged now
	synctest.Wait()
	s2.stop()
	<-s2.done
	synctest.Wait()
	return s2
}

func (r *rig) capTeardown() {
	s := r.capDisconnected()
	s = r.scheduler(again(s, capABack()))
	s.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
	<-s.done
	synctest.Wait()
}

// loss is what the captures about lost agents have in common: a checkpointed
// framework, one that is not and one that is partition aware, with tasks on
// both agents and offers declined for long; with fast pings a fourth holds an
// offer on each agent.
type loss struct {
	a, b      *agentDouble
	frameless map[string]*sched
}

func (r *rig) loss(fast bool) *loss {
	var more []string
	if fast {
		more = []string{"--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2"}
	}
	r.realMaster(more...)
	l := &loss{frameless: map[string]*sched{}}
	l.a, l.b = r.twoAgents()
	for _, name := range []string{"ckpt", "nockpt", "pa"} {
		f := named("loss-" + name)
		if name == "nockpt" {
			no := false
			f.Checkpoint = &no
		}
		if name == "pa" {
			f.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE}}
		}
		s := r.scheduler(f)
		offers := s.offers()
		for agent, n := range map[*agentDouble]string{l.a: "1", l.b: "2"} {
			id := agent.agentID()
			s.call(launch(offers[id], time.Hour, task(name+"-a"+n, id, 0.1, 32)))
		}
		s.call(calls.Suppress())
		time.Sleep(time.Second)
		l.frameless[name] = s
	}
	if fast {
		l.frameless["holder"] = r.scheduler(framework("loss-holder"))
	}
	synctest.Wait()
	return l
}

func (r *rig) lossDead(fast bool) *loss {
	l := r.loss(fast)
	l.a.die()
	synctest.Wait()
	return l
}

func (r *rig) lossRemoved(fast bool) *loss {
	l := r.lossDead(fast)
	if s := l.frameless["holder"]; s != nil {
		s.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
		<-s.done
	}
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	return l
}

func (r *rig) lossBack(fast bool) *loss {
	l := r.lossRemoved(fast)
	l.a.connect(masterAddr)
	if r.generation == "0.26" { // told to shut down: the next start is another agent
		synctest.Wait()
		l.a.die()
		l.a = newAgentDouble(r, l.a.ip)
		l.a.connect(masterAddr)
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	return l
}

// lossStopped: the agent was lost, came back and got new tasks; then its
// process was stopped, while its connection stands.
func (r *rig) lossStopped() *loss {
	l := r.lossBack(true)
	for _, name := range []string{"ckpt", "nockpt", "pa"} {
		l.run(name, l.a, name+"-z1")
	}
	l.a.setMute(true)
	time.Sleep(10 * time.Second)
	synctest.Wait()
	return l
}

func (r *rig) lossContinued() {
	l := r.lossStopped()
	old := newAgentDouble(r, "10.0.0.4") // as in the capture, another one is still unreachable
	old.connect(masterAddr)
	synctest.Wait()
	l.run("pa", old, "pa-b1")
	old.die()
	time.Sleep(10 * time.Second)
	l.a.setMute(false)
	l.a.die()
	l.a.connect(masterAddr)
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

// restartRecovered: agent1 was down for a moment, within its time.
func (r *rig) restartRecovered() *loss {
	l := r.lossBack(false)
	l.a.die()
	time.Sleep(3 * time.Second)
	l.a.connect(masterAddr)
	time.Sleep(2 * time.Second)
	synctest.Wait()
	return l
}

// run starts a task of the framework on the agent.
func (l *loss) run(framework string, on *agentDouble, id string) {
	s := l.frameless[framework]
	s.call(calls.Revive())
	time.Sleep(time.Second)
	s.call(launch(s.latestOffer(on.agentID()), time.Hour, task(id, on.agentID(), 0.1, 32)))
	for _, a := range []*agentDouble{l.a, l.b} {
		if a != on {
			s.call(calls.Decline(s.latestOffer(a.agentID()).ID).With(calls.RefuseSeconds(time.Hour)))
		}
	}
	s.call(calls.Suppress())
	synctest.Wait()
}

func (r *rig) unregistered() {
	l := r.restartRecovered()
	l.run("ckpt", l.a, "ckpt-b1")
	l.a.report("ckpt-b1", mesos.TASK_FAILED, says("Abnormal executor termination"), func(st *mesos.TaskStatus) {
		st.Reason, st.Source, st.ContainerStatus = mesos.REASON_EXECUTOR_TERMINATED.Enum(), mesos.SOURCE_AGENT.Enum(), nil
	})
	l.b.leave()
	synctest.Wait()
}

func (r *rig) masterRestarted() (a, b *agentDouble, s *sched) {
	m := r.realMaster()
	a, b = r.twoAgents()
	s = r.scheduler(framework("mr"))
	s.call(launch(s.offers()[a.agentID()], 0, task("mr-1", a.agentID(), 0.1, 32)))
	synctest.Wait()
	m.stop()
	<-m.done
	<-s.done
	a.die()
	b.die()
	r.realMaster()
	return a, b, s
}

func (r *rig) masterRestartedAgentBack() {
	a, _, s := r.masterRestarted()
	r.scheduler(again(s, framework("mr")))
	a.connect(masterAddr)
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

// mesosExecute is what the program mesos-execute does: one task, then
// teardown.
func (r *rig) mesosExecute() *agentDouble {
	r.realMaster()
	a := r.agent("10.0.0.2")
	no, role, timeout := false, "*", 0.0
	info := &mesos.FrameworkInfo{User: "root", Name: "mesos-execute instance", Checkpoint: &no, Role: &role, FailoverTimeout: &timeout,
		Capabilities: []mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE}, {Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE}}}
	s := r.scheduler(info)
	s.call(launch(s.offers()[a.agentID()], 0, task("exec1", a.agentID(), 0.1, 32)))
	synctest.Wait()
	s.setAck(false)
	a.report("exec1", mesos.TASK_FINISHED, says("Command exited with status 0"))
	synctest.Wait()
	s.stop()
	<-s.done
	synctest.Wait()
	return a
}

func (r *rig) failoverTimeouts() {
	a := r.mesosExecute()
	for _, seconds := range []float64{0, 5} {
		f := framework(map[float64]string{0: "ft0", 5: "ft5"}[seconds])
		f.FailoverTimeout = &seconds
		s := r.scheduler(f)
		time.Sleep(time.Second)
		s.call(launch(s.latestOffer(a.agentID()), 0, task(f.Name, a.agentID(), 0.1, 32)))
		synctest.Wait()
		s.stop()
		<-s.done
		time.Sleep(6 * time.Second)
		synctest.Wait()
	}
}

// threeMasters elect the first.
func (r *rig) threeMasters() (group *election.Memory, list []*testMaster) {
	group = new(election.Memory)
	for _, ip := range []string{masterIP, "10.0.0.11", "10.0.0.12"} {
		list = append(list, r.master(ip, group, "--compat="+cmp.Or(r.generation, "1.3"), "--cluster=labcap", "--registry=replicated_log",
			"--work_dir=/var/lib/mesos/"+ip, "--quorum=1", "--zk=zk://10.0.0.1:2181/mesos", "--logbufsecs=0"))
	}
	return group, list
}

func (r *rig) zkAfterFailover() {
	group, list := r.threeMasters()
	a, b := r.twoAgents()
	s := r.scheduler(framework("zkfw"))
	s.call(launch(s.offers()[a.agentID()], 0, task("zk-1", a.agentID(), 0.1, 32)))
	synctest.Wait()
	group.Expire(list[0].info.ID)
	<-list[0].done
	<-s.done
	synctest.Wait() // until the next one leads
	a.die()
	b.die()
	a.connect("10.0.0.11:5050")
	b.connect("10.0.0.11:5050")
	synctest.Wait()
	r.schedulerAt("10.0.0.11:5050", again(s, framework("zkfw")))
	time.Sleep(2 * time.Second)
	synctest.Wait()
}
