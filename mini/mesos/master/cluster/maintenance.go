package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"

	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// machine is what tells machines apart: agents are on the one whose hostname
// (whatever its case) and address are theirs.
type machine struct{ hostname, ip string }

func machineOf(id mesos.MachineID) machine {
	return machine{strings.ToLower(id.GetHostname()), id.GetIP()}
}

func (a *agent) machine() machine { return machineAt(a.info.Hostname, a.pid) }

// machineAt is that of an agent with the pid "slave(1)@ip:port".
func machineAt(hostname, pid string) machine {
	_, addr, _ := strings.Cut(pid, "@")
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return machine{hostname: strings.ToLower(hostname)}
	}
	return machine{strings.ToLower(hostname), ap.Addr().String()}
}

// upkeep is the maintenance that is planned and done. A machine of the
// schedule is DOWN if it is in down, else DRAINING; all others are UP. It is
// never written to, only replaced.
type upkeep struct {
	schedule maintenance.Schedule
	down     map[machine]bool
	windows  map[machine]*mesos.Unavailability // of the schedule
}

func newUpkeep(s maintenance.Schedule, down map[machine]bool) upkeep {
	u := upkeep{schedule: s, down: down, windows: map[machine]*mesos.Unavailability{}}
	for i := range s.Windows {
		for _, id := range s.Windows[i].MachineIDs {
			u.windows[machineOf(id)] = &s.Windows[i].Unavailability
		}
	}
	return u
}

func (u upkeep) mode(m machine) mesos.MachineInfo_Mode {
	switch {
	case u.down[m]:
		return mesos.DOWN
	case u.windows[m] != nil:
		return mesos.DRAINING
	}
	return mesos.UP
}

// Schedule is the maintenance schedule.
func (c *Cluster) Schedule() maintenance.Schedule {
	c.lock()
	defer c.mu.Unlock()
	return c.upkeep.schedule
}

// Machines lists the machines of the schedule, in its order.
func (c *Cluster) Machines() []mesos.MachineInfo {
	c.lock()
	defer c.mu.Unlock()
	var list []mesos.MachineInfo
	for _, w := range c.upkeep.schedule.Windows {
		for _, id := range w.MachineIDs {
			list = append(list, mesos.MachineInfo{ID: id, Mode: c.upkeep.mode(machineOf(id)).Enum(), Unavailability: &w.Unavailability})
		}
	}
	return list
}

// SetSchedule replaces the maintenance schedule and writes it into the
// registry. Offers of agents on the machines of the old and of the new one are
// rescinded and made anew, with the unavailability, and so are inverse offers;
// what frameworks answered to those is forgotten. The error is in Mesos'
// words and nothing was changed.
func (c *Cluster) SetSchedule(s maintenance.Schedule) error {
	return c.change(func() error { return c.setSchedule(s) })
}

func (c *Cluster) setSchedule(s maintenance.Schedule) error {
	if err := c.checkSchedule(s); err != nil {
		return err
	}
	old := c.upkeep
	c.upkeep = newUpkeep(s, old.down)
	c.store()
	c.o.Logf("maintenance schedule of %d windows", len(s.Windows))
	c.offerAnew(func(m machine) bool { return old.windows[m] != nil || c.upkeep.windows[m] != nil })
	return nil
}

// offerAnew takes back the offers of agents on some machines, as something of
// the offers is another one now, and makes new ones.
func (c *Cluster) offerAnew(on func(machine) bool) {
	for _, a := range inOrder(c.agents) {
		if on(a.machine()) {
			c.rescindAll(a)
			a.drain = newDrain()
			c.allocate(a.id)
		}
	}
}

func (c *Cluster) checkSchedule(s maintenance.Schedule) error {
	listed := map[machine]bool{}
	for _, w := range s.Windows {
		if len(w.MachineIDs) == 0 {
			return refusalText("List of machines in the maintenance window is empty")
		}
		if w.Unavailability.Duration != nil && w.Unavailability.Duration.Nanoseconds < 0 {
			return refusalText("Unavailability 'duration' is negative")
		}
		if err := checkMachines(w.MachineIDs, listed); err != nil {
			return err
		}
	}
	for _, w := range c.upkeep.schedule.Windows {
		for _, id := range w.MachineIDs {
			if m := machineOf(id); c.upkeep.down[m] && !listed[m] {
				return refusalText(fmt.Sprintf("Machine '%s' is deactivated and cannot be removed from the schedule", printed(id)))
			}
		}
	}
	return nil
}

// checkMachines adds machines to those that were listed already.
func checkMachines(ids []mesos.MachineID, listed map[machine]bool) error {
	for _, id := range ids {
		m := machineOf(id)
		if m == (machine{}) {
			return refusalText("Both 'hostname' and 'ip' for a machine are empty")
		}
		if ip, err := netip.ParseAddr(m.ip); m.ip != "" && (err != nil || !ip.Is4()) {
			return refusalText(fmt.Sprintf("Failed to parse the IP '%s'", m.ip))
		}
		if listed[m] {
			return refusalText(fmt.Sprintf("Machine '%s' appears more than once in the schedule", printed(id)))
		}
		listed[m] = true
	}
	return nil
}

// StartMaintenance brings scheduled machines down: their agents are told to
// shut down and removed, so that their tasks are lost, and none may register
// from there. The error is in Mesos' words and nothing was changed.
func (c *Cluster) StartMaintenance(ids []mesos.MachineID) error {
	return c.change(func() error { return c.startMaintenance(ids) })
}

func (c *Cluster) startMaintenance(ids []mesos.MachineID) error {
	if err := c.checkMode(ids, mesos.DRAINING, "brought down"); err != nil {
		return err
	}
	down := map[machine]bool{}
	for m := range c.upkeep.down {
		down[m] = true
	}
	for _, id := range ids {
		down[machineOf(id)] = true
	}
	c.upkeep = newUpkeep(c.upkeep.schedule, down)
	c.store()
	const why = "Operator initiated 'Machine DOWN'"
	for _, a := range inOrder(c.agents) {
		if !down[a.machine()] {
			continue
		}
		if c.o.Compat != V026 { // there every removed agent is told
			a.send(&wire.Shutdown{Message: why})
		}
		c.removeAgent(a, why, "")
	}
	return nil
}

// StopMaintenance brings machines up that are down, and takes them off the
// schedule: agents may register from there again. The error is in Mesos' words
// and nothing was changed.
func (c *Cluster) StopMaintenance(ids []mesos.MachineID) error {
	return c.change(func() error { return c.stopMaintenance(ids) })
}

func (c *Cluster) stopMaintenance(ids []mesos.MachineID) error {
	if err := c.checkMode(ids, mesos.DOWN, "brought up"); err != nil {
		return err
	}
	up := map[machine]bool{}
	for _, id := range ids {
		up[machineOf(id)] = true
	}
	down := map[machine]bool{}
	for m := range c.upkeep.down {
		if !up[m] {
			down[m] = true
		}
	}
	var rest maintenance.Schedule
	for _, w := range c.upkeep.schedule.Windows {
		left := slices.DeleteFunc(slices.Clone(w.MachineIDs), func(id mesos.MachineID) bool { return up[machineOf(id)] })
		if len(left) > 0 {
			rest.Windows = append(rest.Windows, maintenance.Window{MachineIDs: left, Unavailability: w.Unavailability})
		}
	}
	c.upkeep = newUpkeep(rest, down)
	c.store()
	c.o.Logf("%d machines are up again", len(ids))
	return nil
}

// checkMode says why machines cannot leave the mode that they should be in.
func (c *Cluster) checkMode(ids []mesos.MachineID, want mesos.MachineInfo_Mode, verb string) error {
	if len(ids) == 0 {
		return refusalText("List of machines is empty")
	}
	if err := checkMachines(ids, map[machine]bool{}); err != nil {
		return err
	}
	for _, id := range ids {
		switch m := machineOf(id); {
		case c.upkeep.windows[m] == nil:
			return refusalText(fmt.Sprintf("Machine '%s' is not part of a maintenance schedule", printed(id)))
		case c.upkeep.mode(m) != want:
			return refusalText(fmt.Sprintf("Machine '%s' is not in %s mode and cannot be %s", printed(id), want, verb))
		}
	}
	return nil
}

func printed(id mesos.MachineID) string { return string(mjson.Marshal(mjson.Proto(&id))) }

// refuseDown tells an agent on a machine that is down to shut down.
func (c *Cluster) refuseDown(l Link, hostname, pid string) bool {
	if c.upkeep.mode(machineAt(hostname, pid)) != mesos.DOWN {
		return false
	}
	c.o.Logf("refusing the agent at %s (%s): its machine is down for maintenance", pid, hostname)
	c.reg.say(func() { l.Send(&wire.Shutdown{Message: "Machine is `DOWN`"}) })
	return true
}

// keep writes the maintenance down for recoverUpkeep.
func (u upkeep) keep(d *RegistryData) {
	if len(u.schedule.Windows) == 0 {
		return
	}
	d.Schedule = &wire.Schedule{V: u.schedule}
	for _, w := range u.schedule.Windows {
		for _, id := range w.MachineIDs {
			if u.down[machineOf(id)] {
				d.Down = append(d.Down, wire.Of(id))
			}
		}
	}
}

func (c *Cluster) recoverUpkeep(d RegistryData) {
	if d.Schedule == nil {
		return
	}
	down := map[machine]bool{}
	for _, id := range d.Down {
		down[machineOf(id.V)] = true
	}
	c.upkeep = newUpkeep(d.Schedule.V, down)
}
