package master

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// disk is disk that a principal reserved for a role, MB.
func disk(role, principal string, mb float64) mesos.Resource {
	return mesos.Resource{Name: "disk", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: mb}, Role: &role,
		Reservation: &mesos.Resource_ReservationInfo{Principal: &principal}}
}

// volumeOf is reserved disk made a volume by who reserved it.
func volumeOf(d mesos.Resource, id, where string) mesos.Resource {
	d.Disk = &mesos.Resource_DiskInfo{
		Persistence: &mesos.Resource_DiskInfo_Persistence{ID: id, Principal: d.Reservation.Principal},
		Volume:      &mesos.Volume{ContainerPath: where, Mode: mesos.RW.Enum()},
	}
	return d
}

func volumeForm(agent string, list ...mesos.Resource) string {
	var array mjson.Array
	for _, x := range list {
		array = append(array, mjson.Proto(&x))
	}
	return url.Values{"slaveId": {agent}, "volumes": {string(mjson.Marshal(array))}}.Encode()
}

// TestVolumes: a framework reserves disk, makes a volume of it and starts a task
// on that in one answer; the volume is offered again when the task has ended, to
// its role only, and by the next master, too; then it is destroyed
// (docs/persistent-volume.md of Mesos).
func TestVolumes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.realMaster()
		a := r.agent("10.0.0.2") // 4 cpus, 2048 MB, disk 1024 MB
		web := r.scheduler(inRole("web", "web"))
		plain := disk("web", "web-principal", 100)
		vol := volumeOf(disk("web", "web-principal", 64), "data-1", "data")
		onIt := task("t", a.agentID(), 1, 256)
		used := vol
		used.Disk = &mesos.Resource_DiskInfo{Persistence: vol.Disk.Persistence, Volume: &mesos.Volume{ContainerPath: "elsewhere", Mode: mesos.RW.Enum()}}
		onIt.Resources = append(onIt.Resources, used)
		web.call(accept(web.latestOffer(a.agentID()), calls.OpReserve(plain), calls.OpCreate(vol), calls.OpLaunch(onIt)))
		synctest.Wait()
		const kept = "disk(web, web-principal):36; disk(web, web-principal)[data-1:data]:64"
		if got := a.reservedNow(t); got != kept {
			t.Errorf("the agent was told %s, want %s", got, kept)
		}
		if a.runs["t"] != 1 {
			t.Fatalf("the task was started %d times", a.runs["t"])
		}
		web.new()
		time.Sleep(2 * time.Second)
		if got, want := lastOffered(t, web), "cpus(*):3; mem(*):1792; disk(*):924; ports(*):[31000-31099]; disk(web, web-principal):36"; got != want {
			t.Errorf("beside the task web was offered %s, want %s", got, want)
		}
		text := r.ask("GET", "/slaves", "", 200)
		for _, part := range []string{
			`"disk":{"persistence":{"id":"data-1","principal":"web-principal"},"volume":{"container_path":"data","mode":"RW"}}`,
			`"used_resources_full":[`, `"reserved_resources":{"web":{"disk":100.0`,
		} {
			if !strings.Contains(text, part) {
				t.Errorf("no %s in %s", part, text)
			}
		}
		// Nobody destroys what a task uses.
		if got := r.ask("POST", "/destroy-volumes", volumeForm(a.agentID(), vol), 400); got != "Invalid DESTROY operation: Persistent volumes in use" {
			t.Errorf("in use: %s", got)
		}
		a.report("t", mesos.TASK_FINISHED)
		synctest.Wait()
		web.new()
		time.Sleep(2 * time.Second)
		const all = "cpus(*):1; mem(*):256; disk(web, web-principal)[data-1:data]:64"
		if got := lastOffered(t, web); got != all {
			t.Errorf("after the task web was offered %s, want %s", got, all)
		}
		db := r.scheduler(inRole("db", "db"))
		web.call(calls.Suppress())
		for _, o := range web.offers() {
			web.call(calls.Decline(o.ID).With(calls.RefuseSeconds(0)))
		}
		time.Sleep(2 * time.Second)
		if got := lastOffered(t, db); strings.Contains(got, "data-1") || strings.Contains(got, "disk(web") {
			t.Errorf("db was offered %s", got)
		}

		// The agent brings it to the next master, which has it destroyed.
		m.stop()
		<-m.done
		<-web.done
		a.die()
		r.realMaster()
		a.connect(masterAddr)
		synctest.Wait()
		web = r.scheduler(again(web, inRole("web", "web")))
		if got := lastOffered(t, web); !strings.HasSuffix(got, kept) {
			t.Errorf("after the restart web was offered %s", got)
		}
		web.call(accept(web.latestOffer(a.agentID()), calls.OpDestroy(vol), calls.OpUnreserve(plain)))
		synctest.Wait()
		if got := a.reservedNow(t); got != "" {
			t.Errorf("the agent was told %s", got)
		}
	})
}

// TestVolumesDropped: what a framework may not make or destroy is dropped, and
// its offer comes again as it was.
func TestVolumesDropped(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.realMaster()
		a := r.agent("10.0.0.2")
		s := r.scheduler(inRole("web", "web"))
		mine := disk("web", "web-principal", 100)
		s.call(accept(s.latestOffer(a.agentID()), calls.OpReserve(mine), calls.OpCreate(volumeOf(disk("web", "web-principal", 10), "there", "d"))))
		s.new()
		time.Sleep(time.Second)
		before, kept := lastOffered(t, s), a.reservedNow(t)
		stranger := volumeOf(disk("web", "web-principal", 1), "v", "d")
		stranger.Disk.Persistence.Principal = ptr("db-principal")
		nameless := volumeOf(disk("web", "web-principal", 1), "v", "d")
		nameless.Disk.Persistence.Principal = nil
		there := volumeOf(disk("web", "web-principal", 10), "there", "d")
		less := volumeOf(disk("web", "web-principal", 5), "there", "d")
		for name, op := range map[string]mesos.Offer_Operation{
			"another's name":       calls.OpCreate(stranger),
			"no name":              calls.OpCreate(nameless),
			"an id that is taken":  calls.OpCreate(volumeOf(disk("web", "web-principal", 1), "there", "d")),
			"too much":             calls.OpCreate(volumeOf(disk("web", "web-principal", 91), "v", "d")),
			"of somebody else's":   calls.OpCreate(volumeOf(disk("web", "db-principal", 1), "v", "d")),
			"plain disk":           calls.OpCreate(disk("web", "web-principal", 1)),
			"one that is not":      calls.OpDestroy(volumeOf(disk("web", "web-principal", 10), "nowhere", "d")),
			"a part of one":        calls.OpDestroy(less),
			"unreserved with data": calls.OpUnreserve(there),
			"reserved with data":   calls.OpReserve(volumeOf(disk("web", "web-principal", 10), "new", "d")),
		} {
			s.call(accept(s.latestOffer(a.agentID()), op))
			time.Sleep(time.Second)
			if got := lastOffered(t, s); got != before || a.reservedNow(t) != kept {
				t.Errorf("%s: offered %s, kept %q", name, got, a.reservedNow(t))
			}
		}
		part := task("part", a.agentID(), 1, 32)
		part.Resources = append(part.Resources, less)
		s.call(accept(s.latestOffer(a.agentID()), calls.OpLaunch(part)))
		synctest.Wait()
		const refusal = `part TASK_ERROR REASON_TASK_INVALID "Total resources `
		if got := brief(s.new()); !slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, refusal) }) {
			t.Errorf("a task on a part of a volume: %v", got)
		}
	})
}

// TestVolumesByOperators: the classic endpoints with their refusals; the other
// API is tried by TestOperatorClient.
func TestVolumesByOperators(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.realMaster()
		a := r.agent("10.0.0.2")
		s := r.scheduler(named("f"))
		r.ask("POST", "/reserve", reserveForm(a.agentID(), []mesos.Resource{disk("web", "ops", 100)}), 202)
		s.new()
		vol := volumeOf(disk("web", "ops", 64), "data", "d")
		r.ask("POST", "/create-volumes", volumeForm(a.agentID(), vol), 202)
		if got := a.reservedNow(t); got != "disk(web, ops):36; disk(web, ops)[data:d]:64" {
			t.Errorf("the agent was told %s", got)
		}
		with := func(change func(d *mesos.Resource_DiskInfo)) mesos.Resource {
			v := volumeOf(disk("web", "ops", 1), "v", "d")
			change(v.Disk)
			return v
		}
		everybodys := volumeOf(disk("web", "ops", 1), "v", "d")
		everybodys.Role, everybodys.Reservation = nil, nil
		memory := volumeOf(disk("web", "ops", 1), "v", "d")
		memory.Name = "mem"
		const api, create, destroy = "Invalid CREATE operation: ", "/create-volumes", "/destroy-volumes"
		for _, c := range []struct {
			path, body string
			status     int
			text       string
		}{
			{create, volumeForm("nobody", vol), 400, "No agent found with specified ID"},
			{create, volumeForm(a.agentID(), vol), 400, api + "Persistence ID 'data' is not unique"},
			{create, volumeForm(a.agentID(), with(func(*mesos.Resource_DiskInfo) {}), with(func(*mesos.Resource_DiskInfo) {})), 400, api + "Persistence ID 'v' is not unique"},
			{create, volumeForm(a.agentID(), disk("web", "ops", 1)), 400, api + "Not a persistent volume: Resource disk(web, ops):1 does not have DiskInfo"},
			{create, volumeForm(a.agentID(), everybodys), 400, api + "Invalid resources: Invalid DiskInfo: Persistent volumes cannot be created from unreserved resources"},
			{create, volumeForm(a.agentID(), with(func(d *mesos.Resource_DiskInfo) { d.Volume = nil })), 400, api + "Invalid resources: Invalid DiskInfo: Expecting 'volume' to be set for persistent volume"},
			{create, volumeForm(a.agentID(), with(func(d *mesos.Resource_DiskInfo) { d.Volume.Mode = mesos.RO.Enum() })), 400, api + "Invalid resources: Invalid DiskInfo: Read-only persistent volume not supported"},
			{create, volumeForm(a.agentID(), with(func(d *mesos.Resource_DiskInfo) { d.Volume.HostPath = ptr("/x") })), 400, api + "Invalid resources: Invalid DiskInfo: Expecting 'host_path' to be unset for persistent volume"},
			{create, volumeForm(a.agentID(), with(func(d *mesos.Resource_DiskInfo) { d.Persistence.ID = "../x" })), 400, api + "Invalid resources: Invalid DiskInfo: Persistence ID '../x' contains invalid characters"},
			{create, volumeForm(a.agentID(), with(func(d *mesos.Resource_DiskInfo) { d.Persistence = nil })), 400, api + "Invalid resources: Invalid DiskInfo: Non-persistent volume not supported"},
			{create, volumeForm(a.agentID(), memory), 400, api + "Invalid resources: DiskInfo should not be set for mem resource"},
			{create, volumeForm(a.agentID(), volumeOf(disk("web", "ops", 37), "v", "d")), 409, "Invalid CREATE Operation: cpus(*):4; mem(*):2048; disk(*):924; ports(*):[31000-31099]; disk(web, ops):36; disk(web, ops)[data:d]:64 does not contain disk(web, ops):37"},
			{create, "volumes=[]", 400, "Missing 'slaveId' query parameter in the request body"},
			{destroy, "slaveId=x", 400, "Missing 'volumes' query parameter in the request body"},
			{create, "slaveId=x&volumes={}", 400, "Error in parsing 'volumes' query parameter in the request body: Expecting a JSON array"},
			{destroy, volumeForm(a.agentID(), volumeOf(disk("web", "ops", 64), "other", "d")), 400, "Invalid DESTROY operation: Persistent volumes not found"},
			{"/unreserve", reserveForm(a.agentID(), []mesos.Resource{vol}), 400, "Invalid UNRESERVE operation: A dynamically reserved persistent volume disk(web, ops)[data:d]:64 cannot be unreserved directly. Please destroy the persistent volume first then unreserve the resource"},
			{"/reserve", reserveForm(a.agentID(), []mesos.Resource{with(func(*mesos.Resource_DiskInfo) {})}), 400, "Invalid RESERVE operation: A persistent volume disk(web, ops)[v:d]:1 must already be reserved"},
		} {
			if got := r.ask("POST", c.path, c.body, c.status); got != c.text {
				t.Errorf("%s %s: %s\nwant %s", c.path, c.body, got, c.text)
			}
		}
		r.ask("POST", destroy, volumeForm(a.agentID(), vol), 202)
		if got := a.reservedNow(t); got != "disk(web, ops):100" {
			t.Errorf("the agent was told %s", got)
		}
	})
}

// TestVolumesOfStaticReservations: disk that an agent's flags reserve can be
// made volumes, too, and 0.26 has no requests for that.
func TestVolumesOfStaticReservations(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.realMaster()
		a := newAgentDouble(r, "10.0.0.2")
		static := disk("web", "", 50)
		static.Reservation = nil
		a.info.Resources = append(resource.CPUMem(4, 2048).Proto(""), static)
		a.connect(masterAddr)
		synctest.Wait()
		vol := static
		vol.Disk = &mesos.Resource_DiskInfo{Persistence: &mesos.Resource_DiskInfo_Persistence{ID: "v"}, Volume: &mesos.Volume{ContainerPath: "d", Mode: mesos.RW.Enum()}}
		r.ask("POST", "/create-volumes", volumeForm(a.agentID(), vol), 202)
		if got := a.reservedNow(t); got != "disk(web)[v:d]:50" {
			t.Errorf("the agent was told %s", got)
		}
		a.die()
		a.connect(masterAddr)
		synctest.Wait()
		s := r.scheduler(inRole("web", "web"))
		if got := lastOffered(t, s); got != "cpus(*):4; mem(*):2048; disk(web)[v:d]:50" {
			t.Errorf("offered %s", got)
		}
	})
}

func TestVolumes026(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.realMaster("--compat=0.26")
		r.ask("POST", "/create-volumes", "", 404)
		r.ask("POST", "/destroy-volumes", "", 404)
	})
}
