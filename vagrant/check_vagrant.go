package vagrant

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

const noVMs = "or do without VMs: --provider local"

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (q *inquiry) vagrantFound(context.Context) []lab.Finding {
	if _, err := q.Look("vagrant"); err != nil {
		return []lab.Finding{computer.Stop("vagrant-missing", "install Vagrant (vagrantup.com, or your system's package) so that vagrant --version answers, "+noVMs, "Vagrant is not installed")}
	}
	return nil
}

// vagrantVersion asks vagrant --version, which is the fastest that starts it.
func (q *inquiry) vagrantVersion(ctx context.Context) []lab.Finding {
	const id = "vagrant-version"
	version, err := q.installed(ctx)
	if computer.IsMissing(err) {
		return nil
	}
	if ctx.Err() != nil {
		return computer.Unseen(id, context.Cause(ctx))
	}
	if err == nil && len(parseRelease(version)) == 0 {
		err = judgeVersion(version) // it says whose program this may be
	}
	if err != nil {
		return []lab.Finding{computer.Failure("vagrant-failed", err)}
	}
	if f, bad := flawOf(version, q.Arch); bad {
		return []lab.Finding{{ID: id, Severity: f.severity, Text: "Vagrant " + version + ": " + f.what, Advice: "install a newer Vagrant (vagrantup.com)"}}
	}
	return []lab.Finding{computer.OK(id, "Vagrant %s", version)}
}

// installed is the version of Vagrant.
func (s *sight) installed(ctx context.Context) (string, error) {
	return s.vagrant.get(func() (string, error) {
		out, err := s.Run(ctx, "vagrant", "--version")
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out.Out) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Vagrant "); ok {
				return v, nil
			}
		}
		return computer.Brief(out.Out), nil
	})
}

// vagrantBusy tells of another vagrant process in the lab's folder: create
// would wait for it.
func (q *inquiry) vagrantBusy(context.Context) []lab.Finding {
	path := filepath.Join(q.plan.Dir, "vagrant.lock")
	if q.plan.Dir == "" || !q.Exists(path) {
		return nil
	}
	l := &lock{file: flock.New(path), path: path}
	free, err := l.file.TryLock()
	if err != nil {
		return computer.Unseen("vagrant-locked", err)
	}
	if free {
		defer l.release()
	}
	h := l.holder()
	if free && !groupAlive(h.Group) {
		return nil
	}
	f := computer.Failure("vagrant-locked", l.busy(h))
	f.Severity, f.Err = lab.SeverityWarn, nil
	return []lab.Finding{f}
}

// plugin looks for the plugin that a VM provider needs.
func (q *inquiry) plugin(ctx context.Context) []lab.Finding {
	const id = "vagrant-plugin"
	want := map[string]string{"libvirt": "vagrant-libvirt", "vmware_desktop": "vagrant-vmware-desktop", "parallels": "vagrant-parallels"}[q.kind]
	if want == "" {
		return nil
	}
	list, err := q.plugins.get(func() (string, error) {
		out, err := q.Run(ctx, "vagrant", "plugin", "list", "--machine-readable")
		return out.Out, err
	})
	if computer.IsMissing(err) {
		return nil
	}
	if err != nil {
		return computer.Unseen(id, err)
	}
	for line := range strings.Lines(list) {
		if r := parse(strings.TrimSpace(line)); r.Kind == "plugin-version" && r.Target == want {
			version, _, _ := strings.Cut(r.data(0), ",")
			return []lab.Finding{computer.OK(id, "%s %s", want, version)}
		}
	}
	return []lab.Finding{computer.Stop("vagrant-plugin", "vagrant plugin install "+want+", or your system's package of that name", "Vagrant has no plugin %s, which it needs for %s", want, q.kind)}
}

// forgotten finds machines that Vagrant remembers in folders of labs that are
// gone: somebody removed the folder, and the VMs are still there. It reads
// Vagrant's index as vagrant global-status does, without starting it.
func (q *inquiry) forgotten(context.Context) []lab.Finding {
	const id = "leftover-folders"
	file := filepath.Join(q.home(), "data", "machine-index", "index")
	if q.plan.Dir == "" || !q.Exists(file) {
		return nil
	}
	text, err := q.Read(file)
	if err != nil {
		return computer.Unseen(id, err)
	}
	all, err := parseIndex([]byte(text))
	if err != nil {
		return computer.Unseen(id, fmt.Errorf("%s: %w", file, err))
	}
	var gone []string
	for _, m := range all {
		if filepath.Dir(m.home) == filepath.Dir(q.plan.Dir) && !q.Exists(m.home) {
			gone = append(gone, fmt.Sprintf("%s of %s (%s, %s)", m.name, m.home, m.provider, m.state))
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return []lab.Finding{computer.Warn(id, "remove the VMs with the VM provider's own program, then: vagrant global-status --prune",
		"Vagrant remembers machines of labs whose folder is gone: %s", strings.Join(gone, ", "))}
}

// indexed is one machine in Vagrant's index.
type indexed struct{ name, provider, home, state string }

// parseIndex reads Vagrant's machine index, sorted by folder and name.
func parseIndex(text []byte) ([]indexed, error) {
	var doc struct {
		Version  int `json:"version"`
		Machines map[string]struct {
			Name     string `json:"name"`
			Provider string `json:"provider"`
			State    string `json:"state"`
			Home     string `json:"vagrantfile_path"`
		} `json:"machines"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if doc.Version != 1 {
		return nil, fmt.Errorf("version %d is not known", doc.Version)
	}
	var all []indexed
	for _, m := range doc.Machines {
		all = append(all, indexed{m.Name, m.Provider, m.Home, m.State})
	}
	slices.SortFunc(all, func(a, b indexed) int { return strings.Compare(a.home+" "+a.name, b.home+" "+b.name) })
	return all, nil
}

// otherProvider looks for the command of a VM provider that is not looked at
// more closely.
func (q *inquiry) otherProvider(context.Context) []lab.Finding {
	command := commandOf(q.kind)
	if command == "" {
		return nil // the plan says so
	}
	if !q.Has(command) {
		return []lab.Finding{computer.Stop("provider-unusable", "install it, or name another as vagrant.provider in lab.yaml, "+noVMs, "%s is not installed (no %s)", q.kind, command)}
	}
	return []lab.Finding{computer.OK(q.kind, "%s is installed", q.kind)}
}

// commandOf is the command by which a VM provider is known to be installed.
func commandOf(kind string) string {
	return map[string]string{"virtualbox": "VBoxManage", "libvirt": "virsh", "vmware_desktop": "vmrun", "parallels": "prlctl"}[kind]
}
