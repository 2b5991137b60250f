package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
)

// Needs is what a stack asks of every machine, as data. A zero field asks
// nothing.
type Needs struct {
	// MinAPI is the Docker API version that the engine must speak at least.
	MinAPI string
	// ClientAPI is the version of a Docker client in the stack's images that
	// speaks no other: the engine must not have dropped it.
	ClientAPI string
	// Cgroup is the version that Mesos isolates with.
	Cgroup int
	// Arch lists the architectures of the images, as Go says them.
	Arch []string
	// DiskMiB must be free where an engine gets the images.
	DiskMiB int64
}

// SeedNeeds are those of the article's images. kiwenlau/mesos:0.26.0 brings
// the Docker client 1.11.1, which speaks API 1.23 and does not negotiate
// (clients do since 1.12); Mesos before 2.0 knows the hierarchies of cgroup v1
// only; the images are built on ubuntu:14.04 for amd64. Unpacked, the four of
// the master share that base and bring Java, Mesos and HAProxy on top: some
// 2.5 GiB, and a pull needs room for what is still packed.
func SeedNeeds() Needs {
	return Needs{MinAPI: "1.23", ClientAPI: "1.23", Cgroup: 1, Arch: []string{"amd64"}, DiskMiB: 3 << 10}
}

// MiniNeeds are those of lab's own images on real engines: its agent's client
// negotiates down to 1.40. An image is the lab binary, some 30 MiB, five times,
// once packed and once unpacked.
func MiniNeeds() Needs { return Needs{MinAPI: "1.40", DiskMiB: 400} }

// Needs returns what the platform asks of its machines. Of a Mesos image that
// the spec names, lab does not know what it wants; an embedded engine has what
// the mini stack needs, and its images take no room.
func (p Platform) Needs() Needs {
	switch {
	case p.Embedded:
		return Needs{}
	case p.Images.Mini:
		return MiniNeeds()
	}
	n := SeedNeeds()
	if p.Spec.Images.Mesos != "" {
		n.MinAPI, n.ClientAPI, n.Cgroup = "", "", 0
	}
	i := p.Spec.Images
	if i.Mesos != "" && i.ZooKeeper != "" && i.Marathon != "" && i.MarathonLB != "" {
		n.Arch = nil // none of the article's is left
	}
	return n
}

// Shortfall is one need that a machine does not meet.
type Shortfall struct {
	Err *lab.Error
	// Cure says what lab does about it when it makes the lab, or is "".
	Cure string
}

// Unmet judges a machine by what is known of it: zero fields of f are not
// known, and not judged. So facts of a machine that does not exist yet may hold
// what its box or this computer tells. It is pure. Error ids: arch-unsuitable,
// cgroup-version, engine-too-old, engine-too-new, disk-full.
func (n Needs) Unmet(machine string, f provision.Facts) []Shortfall {
	var out []Shortfall
	fail := func(id string, err error, advice, cure string) {
		out = append(out, Shortfall{&lab.Error{ID: id, Op: "look whether the stack can run here", Machine: machine, Err: err, Advice: advice}, cure})
	}
	const mini = "use the mini stack (stack: mini)"
	if len(n.Arch) > 0 && f.Arch != "" && !slices.Contains(n.Arch, f.Arch) {
		fail("arch-unsuitable", fmt.Errorf("the machine is %s, and the stack's images are for %s", f.Arch, strings.Join(n.Arch, ", ")),
			mini+", or name images for "+f.Arch+" under images: in lab.yaml", "")
	}
	if n.Cgroup != 0 && f.Cgroup != 0 && f.Cgroup != n.Cgroup {
		cure := ""
		if n.Cgroup == 1 && !f.SharedKernel && f.Init == provision.Systemd {
			cure = "lab gives the kernel the argument for cgroup v1 and restarts the machine once"
		}
		fail("cgroup-version", fmt.Errorf("the machine has cgroup v%d, and the stack's Mesos needs v%d", f.Cgroup, n.Cgroup),
			mini+", machines that boot with cgroup v"+fmt.Sprint(n.Cgroup)+", or a Mesos image of your own (images.mesos)", cure)
	}
	switch e := f.Engine; {
	case e.API != "" && n.MinAPI != "" && provision.VersionLess(e.API, n.MinAPI):
		fail("engine-too-old", fmt.Errorf("Docker %s speaks API %s, and the stack needs %s", e.Number, e.API, n.MinAPI),
			"use machines with a newer Docker engine, or another stack (stack:)", "")
	case e.MinAPI != "" && n.ClientAPI != "" && provision.VersionLess(n.ClientAPI, e.MinAPI):
		fail("engine-too-new", fmt.Errorf("Docker %s refuses API versions below %s, and the Docker client inside the stack's Mesos image speaks %s only", e.Number, e.MinAPI, n.ClientAPI),
			mini+", machines with an older engine (24 or before, as docker.io of Debian 12), or a Mesos image of your own with a newer client (images.mesos)", "")
	}
	if n.DiskMiB > 0 && f.DiskMiB > 0 && f.DiskMiB < n.DiskMiB {
		fail("disk-full", fmt.Errorf("%d MiB are free where Docker keeps its data, and the stack's images need %d MiB", f.DiskMiB, n.DiskMiB),
			"make room on the machine (docker system prune there), or make it anew with a larger disk (machine.disk)", "")
	}
	return out
}
