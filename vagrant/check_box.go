package vagrant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// cloud is where Vagrant looks for boxes without a URL.
const cloud = "https://vagrantcloud.com"

// ownBox are the ways to a box without Vagrant Cloud, which HashiCorp closes
// (hashicorp/vagrant#13836).
const ownBox = "name a box of your own (vagrant: {box_url: …, box_checksum: …} in lab.yaml), or build one: lab box build (libvirt)"

// home is Vagrant's own folder.
func (s *sight) home() string {
	if home := s.Env("VAGRANT_HOME"); home != "" {
		return home
	}
	return filepath.Join(s.Home(), ".vagrant.d")
}

// boxVersions lists the versions of a box that are there for a VM provider:
// boxes/<name>/<version>/[<arch>/]<provider>.
func (s *sight) boxVersions(box, kind string) []string {
	at := filepath.Join(s.home(), "boxes", strings.NewReplacer("/", "-VAGRANTSLASH-", ":", "-VAGRANTCOLON-").Replace(box))
	entries, err := fs.ReadDir(s.Files, strings.TrimPrefix(filepath.ToSlash(at), "/"))
	if err != nil {
		return nil
	}
	var versions []string
	for _, v := range entries {
		dir := filepath.Join(at, v.Name())
		if s.Exists(filepath.Join(dir, kind)) || s.Exists(filepath.Join(dir, s.Arch, kind)) || s.Exists(filepath.Join(dir, "unknown", kind)) {
			versions = append(versions, v.Name())
		}
	}
	return versions
}

// box is the one that the plan wants, and whether a version of it that will
// do is there. An inexact version ("~> 12.0") is Vagrant's to compare.
func (q *inquiry) box() (name string, there bool) {
	v := q.plan.Spec.Vagrant
	name = cmp.Or(v.Box, defaultBox(q.kind))
	if q.page != nil {
		name = q.page.Box
	}
	exact := len(parseRelease(v.BoxVersion)) > 0
	for _, version := range q.boxVersions(name, q.kind) {
		if !exact || version == v.BoxVersion {
			return name, true
		}
	}
	return name, false
}

// boxThere looks into Vagrant's folder, and where the box would come from.
func (q *inquiry) boxThere(ctx context.Context) []lab.Finding {
	const id = "box"
	if q.wrong != nil {
		return nil // the plan names it, if it is the box
	}
	name, there := q.box()
	if there {
		return []lab.Finding{computer.OK(id, "the box %s is here", name)}
	}
	from := q.plan.Spec.Vagrant.BoxURL
	if from == "" {
		return q.download(ctx, cmp.Or(q.Env("VAGRANT_SERVER_URL"), cloud)+"/"+name, computer.Warn("box-download", "vagrant box add "+name+" while that works, "+ownBox,
			"the box %s is not here yet and would be downloaded (some 500 MB to 1 GB) from Vagrant Cloud, which HashiCorp is closing", name))
	}
	file, isFile := boxFile(from)
	if !isFile {
		return q.download(ctx, from, computer.Note("box-download", "vagrant box add --name "+name+" "+from+" brings it beforehand",
			"the box is not here yet and would be downloaded from %s", from))
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(q.plan.Dir, file) // Vagrant works there
	}
	if !q.Exists(file) {
		return []lab.Finding{computer.Stop("box-missing", "give vagrant.box_url an absolute path or a URL", "vagrant.box_url: there is no file %s", file)}
	}
	return []lab.Finding{computer.OK(id, "the box comes from %s", file)}
}

// boxFile returns the path that a box_url means, if it means a file.
func boxFile(from string) (string, bool) {
	u, err := url.Parse(from)
	if err != nil || u.Scheme == "" || len(u.Scheme) == 1 {
		return from, true
	}
	return u.Path, u.Scheme == "file"
}

// download adds to a finding, where there is time, whether the box is there to
// be downloaded at all.
func (q *inquiry) download(ctx context.Context, from string, found lab.Finding) []lab.Finding {
	if q.depth != lab.CheckFull {
		return []lab.Finding{found}
	}
	status, err := q.opts.Reach(ctx, from)
	switch {
	case err != nil:
		return []lab.Finding{computer.Stop("box-unreachable", "look at this computer's network, "+ownBox, "the box is not here, and %s cannot be reached: %s", from, computer.Brief(err.Error()))}
	case status == http.StatusNotFound || status == http.StatusGone:
		return []lab.Finding{computer.Stop("box-missing", ownBox, "the box is not here, and there is none at %s (HTTP %d)", from, status)}
	case status >= 400:
		return []lab.Finding{computer.Warn("box-unreachable", ownBox, "the box is not here, and %s answers with HTTP %d", from, status)}
	}
	return []lab.Finding{found}
}

// reach is Options.Reach.
func reach(ctx context.Context, from string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, from, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL is told anyway
		}
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// boxRoom looks whether a box can be unpacked: it is kept once packed, while
// it is downloaded, and once unpacked.
func (q *inquiry) boxRoom(context.Context) []lab.Finding {
	room := computer.Room{ID: "disk-boxes", Path: q.home(), For: "Vagrant's boxes", Want: lab.GiB, Need: 200 * lab.MiB, Advice: "make room there, or set VAGRANT_HOME to another place"}
	if _, there := q.box(); !there {
		room.Want, room.Need = 4*lab.GiB, 2*lab.GiB
	}
	return q.CheckDisk(room)
}

// diskOfMachine is what a machine takes beyond its box: Docker, images, logs.
const diskOfMachine = 3 * lab.GiB

// machineRoom looks where the VM provider keeps the disks of machines.
func (q *inquiry) machineRoom(ctx context.Context) []lab.Finding {
	const id = "disk-machines"
	at, err := q.machineFolder(ctx)
	if at == "" {
		if err != nil {
			return computer.Unseen(id, err)
		}
		return nil
	}
	want := lab.Size(len(q.missing)) * min(diskOfMachine, q.plan.Spec.WithDefaults().Machine.Disk)
	return q.CheckDisk(computer.Room{ID: id, Path: at, For: "the disks of " + count(len(q.missing), "machine"), Want: want, Need: lab.GiB,
		Advice: "make room there, or move the VM provider's folder to another disk"})
}

func (q *inquiry) machineFolder(ctx context.Context) (string, error) {
	switch q.kind {
	case "virtualbox":
		if !q.Has("VBoxManage") {
			return "", nil
		}
		out, err := q.Run(ctx, "VBoxManage", "list", "systemproperties")
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out.Out) {
			if folder, ok := strings.CutPrefix(line, "Default machine folder:"); ok {
				return strings.TrimSpace(folder), nil
			}
		}
		return "", errors.New("VBoxManage names no machine folder")
	case "libvirt":
		if !q.localLibvirt() || q.reachLibvirt(ctx) != nil {
			return "", nil
		}
		text, err := q.virsh(ctx, "pool-dumpxml", "default")
		if err != nil {
			return "/var/lib/libvirt/images", nil // where vagrant-libvirt makes one
		}
		return poolPath(text)
	}
	return "", nil
}

// leftovers finds VMs of an earlier lab of this name: each lab has another id.
func (q *inquiry) leftovers(ctx context.Context) []lab.Finding {
	const id = "leftover-machines"
	var names []string
	var remove string
	switch {
	case q.kind == "virtualbox" && q.Has("VBoxManage"):
		out, err := q.Run(ctx, "VBoxManage", "list", "vms")
		if err != nil {
			return computer.Unseen(id, err)
		}
		names, remove = parseVMs(out.Out), "VBoxManage unregistervm --delete "
	case q.kind == "libvirt" && q.reachLibvirt(ctx) == nil:
		out, err := q.virsh(ctx, "list", "--all", "--name")
		if err != nil {
			return computer.Unseen(id, err)
		}
		names, remove = strings.Fields(out), "virsh undefine --remove-all-storage --managed-save --snapshots-metadata "
	}
	var left []string
	for _, name := range names {
		if leftOf(name, q.plan) {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return []lab.Finding{computer.Warn(id, fmt.Sprintf("if no lab of another state folder has them: power them off, then %s%s", remove, left[0]),
		"VMs of another lab of this name are there: %s", strings.Join(left, ", "))}
}
