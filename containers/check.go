package containers

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	sysinfo "github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
)

var (
	_ lab.Checker  = (*Provider)(nil)
	_ lab.Foreseer = (*Provider)(nil)
)

// Check implements lab.Checker. Only a full check starts a container, to see
// whether this engine gives it the rights that machines need; it lives for a
// moment. On a lab whose machines all exist, what is in the way of making them
// is left out.
func (p *Provider) Check(ctx context.Context, plan lab.Plan, depth lab.Depth) []lab.Finding {
	q := &inquiry{Provider: p, plan: plan, depth: depth}
	if q.plan.ID == "" {
		q.plan.ID = unmadeID
	}
	return computer.Survey(ctx, plan.Report, depth, q.checks(ctx))
}

// unmadeID stands for the id of a lab that does not exist yet.
const unmadeID = "00000000"

// engineWait bounds the first question to an engine that may be dead.
const engineWait = 5 * time.Second

// inquiry is one look at an engine for one plan.
type inquiry struct {
	*Provider
	plan  lab.Plan
	depth lab.Depth

	reached sync.Once
	refused error // why the engine is of no use
	slow    bool  // it has not answered in time, and may yet
	info    sysinfo.Info
}

func (q *inquiry) checks(ctx context.Context) []computer.Check {
	checks := []computer.Check{
		{ID: "engine", Look: q.engineAnswers},
		{ID: "engine-firewall", Depth: lab.CheckFull, Look: q.firewall},
		{ID: "inotify", Depth: lab.CheckFull, Look: q.inotify},
	}
	if q.whole(ctx) {
		return checks
	}
	return append(checks,
		computer.Check{ID: "subnet", Look: q.addressesFree},
		computer.Check{ID: "machine-image", Look: q.imageThere},
		computer.Check{ID: "privileged", Depth: lab.CheckFull, Look: q.rights},
		computer.Check{ID: "memory", Look: q.memoryEnough},
		computer.Check{ID: "disk-engine", Look: q.room},
		computer.Check{ID: "leftover-containers", Depth: lab.CheckFull, Look: q.leftovers},
		computer.Check{ID: "proxy", Depth: lab.CheckFull, Look: func(context.Context) []lab.Finding { return q.computer.CheckProxy(q.plan.Nodes) }},
	)
}

// whole reports whether no machine has to be made.
func (q *inquiry) whole(ctx context.Context) bool {
	limit := engineWait
	if q.depth == lab.CheckQuick {
		limit = readyWait
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if q.plan.ID == unmadeID || len(q.plan.Nodes) == 0 {
		return false
	}
	all, err := sites(q.plan, nil)
	return err == nil && q.ask(ctx) == nil && q.complete(ctx, all)
}

// ask asks the engine once whether it is there and will do.
func (q *inquiry) ask(ctx context.Context) error {
	q.reached.Do(func() {
		if q.refused = q.here(); q.refused != nil {
			return
		}
		err := q.reach(ctx)
		if err == nil {
			var result client.SystemInfoResult
			if result, err = q.engine.Info(ctx, client.InfoOptions{}); err == nil {
				q.info = result.Info
				_, err = judge(q.info)
			}
		}
		q.slow = ctx.Err() != nil
		if err != nil && lab.ErrorID(err) == "" {
			err = unreachable(err)
		}
		q.refused = err
	})
	return q.refused
}

// engineAnswers looks for the engine and what kind it is.
func (q *inquiry) engineAnswers(ctx context.Context) []lab.Finding {
	const id = "engine"
	if err := q.ask(ctx); err != nil {
		if q.slow && q.depth == lab.CheckQuick {
			return computer.Unseen(id, err) // slow is not dead
		}
		f := computer.Failure(id, err)
		if _, cause, ok := strings.Cut(f.Text, ": dial "); ok {
			f.Text = "no Docker engine answers: " + cause // without the client's guesses
		}
		if f.ID == "engine-unreachable" && q.host == "" && !q.computer.Has("docker") && !q.computer.Exists("/var/run/docker.sock") {
			f.Text, f.Advice = "Docker is not installed", "install Docker Engine (docs.docker.com/engine/install, or your system's docker.io), or use --provider local, which needs none"
		}
		return []lab.Finding{f}
	}
	return []lab.Finding{computer.OK(id, "Docker %s on %s, cgroup v%s", q.info.ServerVersion, q.info.OperatingSystem, q.info.CgroupVersion)}
}

// addressesFree looks for networks of the engine and routes in the way.
func (q *inquiry) addressesFree(ctx context.Context) []lab.Finding {
	const id = "subnet"
	if len(q.plan.Nodes) == 0 {
		return nil
	}
	want, err := subnet(q.plan)
	if err != nil {
		return []lab.Finding{computer.Failure(id, err)}
	}
	if q.ask(ctx) != nil {
		return nil
	}
	if _, err := q.findNetwork(ctx, q.plan, want); err != nil {
		return failed(id, err)
	}
	return []lab.Finding{computer.OK(id, "%s is free", want)}
}

// failed tells what would stop a lab, and notes what could not be looked at.
func failed(id string, err error) []lab.Finding {
	if lab.ErrorID(err) == "" {
		return computer.Unseen(id, err)
	}
	return []lab.Finding{computer.Failure(id, err)}
}

// imageThere looks for the machine image, and how it would be built.
func (q *inquiry) imageThere(ctx context.Context) []lab.Finding {
	const id = "machine-image"
	if q.ask(ctx) != nil {
		return nil
	}
	found, err := q.ImageReady(ctx)
	switch {
	case err != nil:
		return computer.Unseen(id, err)
	case found:
		return []lab.Finding{computer.OK(id, "the machine image is built")}
	}
	f := computer.Note(id, "lab doctor --provider docker --fix builds it beforehand", "the machine image is not built yet: create does that once, from Debian's packages (a minute or two)")
	if q.build == nil {
		f.Severity = lab.SeverityWarn
		f.Text = "the machine image is not built yet, and mmdebstrap is not installed: the engine builds it once, on an image of debian from its registry"
		f.Advice += "; mmdebstrap needs no registry (sudo apt install mmdebstrap)"
	}
	f.RepairText = "build the machine image from Debian's packages"
	f.Repair = func(ctx context.Context) error { return q.EnsureImage(ctx, q.plan.Report) }
	return []lab.Finding{f}
}

// rights tries whether a container gets the rights that machines need.
func (q *inquiry) rights(ctx context.Context) []lab.Finding {
	const id = "privileged"
	if q.ask(ctx) != nil {
		return nil
	}
	if found, err := q.ImageReady(ctx); err != nil || !found {
		return nil // nothing to try it with
	}
	if err := q.tryRights(ctx, q.plan); err != nil {
		return failed(id, err)
	}
	return []lab.Finding{computer.OK(id, "containers get the rights of machines")}
}

// memoryEnough: machines are limited to their memory, and take 50 MiB each
// while nothing runs on them.
func (q *inquiry) memoryEnough(context.Context) []lab.Finding {
	var need lab.Size
	for _, n := range q.plan.Nodes {
		need += lab.Size(n.MemoryMiB) * lab.MiB
	}
	return q.computer.CheckMemory(need, "machines under full load", "make them smaller (machine.memory in lab.yaml) or fewer (--slaves 1), or end other programs", true)
}

// What a machine and the machine image take on disk.
const (
	diskOfMachine = 1536 * lab.MiB
	diskOfImage   = 600 * lab.MiB
)

// room looks at the engine's own folder.
func (q *inquiry) room(ctx context.Context) []lab.Finding {
	if q.ask(ctx) != nil || q.info.DockerRootDir == "" {
		return nil
	}
	want := lab.Size(len(q.plan.Nodes)) * diskOfMachine
	if found, err := q.ImageReady(ctx); err == nil && !found {
		want += 2 * diskOfImage // while it is built
	}
	return q.computer.CheckDisk(computer.Room{ID: "disk-engine", Path: q.info.DockerRootDir, For: "Docker's machines and images", Want: want, Need: diskOfImage,
		Advice: "make room there; docker system df shows what Docker keeps, docker system prune removes what nobody uses"})
}

// leftovers finds containers of an earlier lab of this name: each lab has
// another id.
func (q *inquiry) leftovers(ctx context.Context) []lab.Finding {
	const id = "leftover-containers"
	if q.ask(ctx) != nil {
		return nil
	}
	list, err := q.engine.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return computer.Unseen(id, err)
	}
	var owners []string
	for _, c := range list.Items {
		name, labID, _ := strings.Cut(c.Labels[labelName], "/")
		if name == q.plan.Spec.WithDefaults().Name && labID != q.plan.ID && !slices.Contains(owners, c.Labels[labelName]) {
			owners = append(owners, c.Labels[labelName])
		}
	}
	if len(owners) == 0 {
		return nil
	}
	slices.Sort(owners)
	only := "label=" + labelName + "=" + owners[0]
	return []lab.Finding{computer.Warn(id, "if no lab of another state folder has them: docker rm -fv $(docker ps -aq --filter "+only+"), then docker network prune --filter "+only,
		"machines of another lab of this name are there: %s", strings.Join(owners, ", "))}
}

// Foresee implements lab.Foreseer. Machines have this computer's kernel, and
// inside the docker.io of the machine image's Debian 12.
func (p *Provider) Foresee(ctx context.Context, plan lab.Plan) lab.Foreseen {
	f := lab.Foreseen{SharedKernel: true, Engine: "20.10.24", API: "1.41", MinAPI: "1.12"}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	q := &inquiry{Provider: p, plan: plan}
	if q.ask(ctx) != nil {
		return f
	}
	f.Arch = goArch(q.info.Architecture)
	f.Cgroup = map[string]int{"1": 1, "2": 2}[q.info.CgroupVersion]
	return f
}

// goArch translates what Docker calls an architecture.
func goArch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return machine
}

// here refuses engines of other computers, whose containers have no addresses
// that this one reaches.
func (p *Provider) here() error {
	u, err := url.Parse(p.host)
	if err != nil || p.host == "" || slices.Contains([]string{"unix", "npipe", "fd"}, u.Scheme) || slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname()) {
		return nil
	}
	return unsuitable("DOCKER_HOST names the engine of another computer (" + p.host + "): this one cannot reach the addresses of its containers")
}
