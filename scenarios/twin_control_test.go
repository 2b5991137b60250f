package scenarios

import (
	"fmt"
	"slices"
	"time"
)

// controlSabotage are the ways in which the twin's control plane can be
// spoiled.
type controlSabotage struct {
	secretEnd      bool // no engine tells that a process has ended
	immortal       bool // what is broken goes on answering
	sameMaster     bool // the master that returns has its old id
	strangers      bool // slaves come to a new master as new ones
	newFramework   bool // Marathon comes back as another framework
	lateFramework  bool // it never comes back to Mesos
	restartedTasks bool // the outage restarts every container
	lostTask       bool // a task is lost in the outage, and replaced
	fragile        bool // clients notice when the control plane is away
	eager          bool // Marathon launches without a master
	neverLaunches  bool // what had to wait waits for ever
	impatient      bool // without ZooKeeper the master ends at once
	reregisters    bool // without ZooKeeper the slaves register anew at once
	stubborn       bool // without ZooKeeper the master leads on
	goodMarathon   bool // without ZooKeeper Marathon answers on
	amnesia        bool // a slave that crashed comes back as a new one
	late           bool // a slave that crashed is back after its pings have run out
	sluggish       bool // a slave that crashed does not come back
	bundled        bool // a slave's tasks end with its process
	quietReturn    bool // a removed slave is a new one without an end of its process
	restless       bool // a removed slave comes back with its old id, after an end
	squatters      bool // the tasks of a removed slave live on after its return
	survivors      bool // containers of tasks run again with their engine
	otherDoor      bool // clients are served although the load balancer is gone
	shutDoor       bool // the load balancer that is back serves nobody
	ghost          bool // somebody replaces a task although Marathon is away
	forgetsTask    bool // Marathon never hears of the task that died
	untold         bool // no sabotage: what Marathon missed it hears before anybody listens to it
	sameProcess    bool // Marathon's process is the old one
	neverLeads     bool // Marathon never leads again
	memory         bool // Marathon knows its apps although ZooKeeper has lost them
	sameAfterWipe  bool // it is the old framework although ZooKeeper has lost its id
	weakOrphans    bool // the tasks of a lost framework end
}

// twinControl is the control plane of the twin.
type twinControl struct {
	master    Master
	framework string
	processes map[string]*Process

	masterGone   bool // its process does not run
	masterAway   bool // no master leads
	marathonGone bool // its process does not run
	marathonAway bool // it does not lead
	lbGone       bool
	zkGone       bool
	wiped        bool // ZooKeeper knows nothing
	stuck        bool // Marathon looks for a ZooKeeper that knows more
	outages      int  // counts outages of ZooKeeper
	died         map[string]time.Time
	connected    bool            // Marathon is subscribed
	masters      int             // elected so far
	broken       chan struct{}   // closed when Marathon's streams break
	dead         map[string]bool // containers that ended without Marathon's knowing
	pending      []func()        // what Marathon is told when it is back
	touched      bool
	agents       map[string]int // by address: which outage of the slave's process lasts; 0 = none
	agentFaults  int
	revenants    []Container
	orphans      map[string][]Container // by address: what runs on, lost
}

func (p *platform) newControl() {
	c := &p.control
	c.master = Master{ID: "master-1", Elected: time.Now(), Leads: true}
	c.masters, c.framework, c.connected, c.broken = 1, "master-1-0000", true, make(chan struct{})
	c.agents, c.orphans = map[string]int{}, map[string][]Container{}
	c.processes, c.dead, c.died = map[string]*Process{}, map[string]bool{}, map[string]time.Time{}
	for _, comp := range p.Components() {
		c.processes[comp.Name] = &Process{Running: true, Started: time.Now()}
	}
}

// session is how long ZooKeeper keeps the place of one that died.
const twinSession = 10 * time.Second

// breakControl does a fault of the control plane; the caller holds the lock.
// false: it is none.
func (p *platform) breakControl(f Fault) bool {
	c := &p.control
	if f.Part == PartTask && c.marathonGone {
		c.dead[f.Task] = true
		if p.ghost {
			p.surplus = true
		}
		if p.forgetsTask {
			return true
		}
		c.pending = append(c.pending, func() { p.failed(f.Task) })
		return true
	}
	if f.Part == PartDocker {
		p.breakEngine(f)
	}
	if f.Part != PartComponent || f.Verb == VerbFlags {
		return false
	}
	if slaveComponent().MatchString(f.Container) {
		p.breakAgent(f)
		return true
	}
	if f.Verb == VerbWipe {
		p.parts = append(p.parts, f)
		p.otherData(true)
		return true
	}
	code := 0
	if f.Verb == "kill" || f.Verb == "crash" {
		code = 137
	}
	p.endProcess(f.Container, code, f.Passing())
	if !f.Passing() {
		p.parts = append(p.parts, f)
	}
	if !p.immortal {
		p.goAway(f.Container)
	}
	if f.Passing() {
		p.comeBack(f.Container)
	}
	return true
}

// otherData restarts ZooKeeper with data that know no session of its clients.
func (p *platform) otherData(wiped bool) {
	c := &p.control
	c.wiped = wiped
	if tasks := p.apps["nginx"].tasks; wiped && p.weakOrphans {
		c.dead[tasks[0].ID] = true
	}
	p.endProcess("zookeeper", 0, true)
	c.stuck = wiped
	after := 100 * time.Millisecond
	if wiped {
		p.loseMarathon()
		after = twinSession
	}
	p.later(after, func() {
		p.endProcess("mesos_master", 1, true)
		p.loseMaster()
		p.later(300*time.Millisecond, p.elect)
	})
}

func (p *platform) endProcess(name string, code int, again bool) {
	proc := p.control.processes[name]
	if !p.secretEnd {
		proc.Ends = append(slices.Clone(proc.Ends), End{At: time.Now(), Code: code})
	}
	proc.Running = again
	p.control.died[name] = time.Now()
	if again {
		proc.Started = time.Now()
	}
}

func (p *platform) goAway(name string) {
	c := &p.control
	switch name {
	case "mesos_master":
		c.masterGone = true
		p.loseMaster()
	case "marathon":
		c.marathonGone = true
		p.loseMarathon()
	case "marathon-lb":
		c.lbGone = true
		p.spoilTasks()
	case "zookeeper":
		c.zkGone = true
		c.outages++
		n, session := c.outages, twinSession
		if p.impatient {
			session = 100 * time.Millisecond
		}
		if p.reregisters {
			for _, a := range p.agents {
				a.Registered = time.Now()
			}
		}
		p.later(session, func() {
			if c.zkGone && c.outages == n && !p.stubborn {
				p.endProcess("mesos_master", 1, true)
				p.loseMaster()
				c.marathonAway = !p.goodMarathon
			}
		})
	}
}

// later does something under the lock.
func (p *platform) later(d time.Duration, do func()) {
	time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		do()
	})
}

// loseMaster: nobody leads, and Marathon gives up its lead and stands again.
func (p *platform) loseMaster() {
	c := &p.control
	c.masterAway, c.connected = true, false
	p.loseMarathon()
	if !c.marathonGone && !c.zkGone {
		p.later(300*time.Millisecond, p.leadAgain)
	}
	p.spoilTasks()
}

func (p *platform) loseMarathon() {
	c := &p.control
	c.marathonAway, c.connected = true, false
	close(c.broken)
	c.broken = make(chan struct{})
	p.spoilTasks()
}

func (p *platform) spoilTasks() {
	p.control.touched = p.control.touched || p.restartedTasks
	if a := p.apps["nginx"]; p.lostTask && len(a.tasks) == 2 && !p.control.dead[a.tasks[0].ID] {
		a.tasks = a.tasks[1:]
	}
}

// leadAgain: Marathon leads, and finds Mesos if there is a master.
func (p *platform) leadAgain() {
	c := &p.control
	if c.marathonGone || c.zkGone || c.stuck || p.neverLeads {
		return
	}
	if p.untold {
		for _, told := range c.pending {
			told()
		}
		c.pending = nil
	}
	c.marathonAway = false
	switch {
	case p.newFramework:
		c.framework = "master-1-0009"
	case c.wiped && !p.sameAfterWipe:
		c.framework = "master-1-0007"
	default:
		c.framework = "master-1-0000"
	}
	p.later(200*time.Millisecond, p.subscribe)
}

func (p *platform) subscribe() {
	c := &p.control
	if c.marathonAway || c.masterAway || p.lateFramework {
		return
	}
	c.connected = true
	for _, told := range c.pending {
		told()
	}
	c.pending = nil
	go p.reconcile()
}

// comeBack starts what was broken; the caller holds the lock.
func (p *platform) comeBack(name string) {
	c := &p.control
	proc := c.processes[name]
	proc.Running = true
	if name != "marathon" || !p.sameProcess {
		proc.Started = time.Now()
	}
	place := max(100*time.Millisecond, time.Until(c.died[name].Add(twinSession)))
	switch name {
	case "mesos_master":
		c.masterGone = false
		p.later(place, p.elect)
	case "marathon":
		c.marathonGone, c.stuck = false, false
		p.later(place, p.leadAgain)
	case "marathon-lb":
		p.later(100*time.Millisecond, func() { c.lbGone = false })
	case "zookeeper":
		c.zkGone = false
		if c.masterAway {
			p.later(twinSession, p.elect)
		}
		if c.marathonAway {
			p.later(twinSession, p.leadAgain)
		}
	}
}

// elect lets a new master lead: it knows nobody at first.
func (p *platform) elect() {
	c := &p.control
	if c.masterGone || c.zkGone || !c.masterAway {
		return
	}
	c.masterAway = false
	c.masters++
	if !p.sameMaster {
		c.master = Master{ID: fmt.Sprintf("master-%d", c.masters), Elected: time.Now(), Leads: true}
	}
	known := p.agents
	p.agents = map[string]*Agent{}
	p.later(200*time.Millisecond, func() {
		for ip, a := range known {
			again := *a
			again.Registered, again.Active = time.Now(), true
			if p.strangers {
				again.ID += "9"
			}
			p.agents[ip] = &again
		}
		p.subscribe()
	})
}

func (p *platform) mendControl(f Fault) bool {
	if f.Part == PartDocker {
		p.mendEngine(f)
	}
	if f.Part != PartComponent || f.Verb == VerbFlags {
		return false
	}
	if slaveComponent().MatchString(f.Container) {
		p.mendAgent(f)
		return true
	}
	if f.Verb == VerbWipe {
		p.otherData(false)
		return true
	}
	p.comeBack(f.Container)
	return true
}

// failed is a task of which Marathon hears that it has failed.
func (p *platform) failed(id string) {
	for _, a := range p.apps {
		for _, t := range slices.Clone(a.tasks) {
			if t.ID == id {
				p.end(a, t, "TASK_FAILED")
				a.backoff = time.Now().Add(time.Second)
				time.AfterFunc(time.Second, p.reconcile)
			}
		}
	}
}

// idle says that nothing can be launched.
func (p *platform) idle() bool {
	return !p.control.connected && !p.eager || p.neverLaunches && p.control.masters > 1
}
