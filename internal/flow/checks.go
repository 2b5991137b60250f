package flow

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/internal/state"
)

// common is one look at what every provider needs: the state folder, the
// stack, the programs around.
type common struct {
	computer.Computer
	flow     *Flow
	provider lab.Provider
	plan     lab.Plan
}

// commonChecks lists what is to be looked at for a lab of this plan.
func (f *Flow) commonChecks(provider lab.Provider, plan lab.Plan) []computer.Check {
	c := &common{Computer: f.Computer.Or(), flow: f, provider: provider, plan: plan}
	return []computer.Check{
		{ID: "state-folder", Look: c.stateFolder},
		{ID: "stack", Look: c.stack},
		{ID: "state-records", Depth: lab.CheckFull, Look: c.records},
		{ID: "lab-exists", Depth: lab.CheckFull, Look: c.exists},
		{ID: "lab-locked", Depth: lab.CheckFull, Look: c.locks},
		{ID: "lab-broken", Depth: lab.CheckFull, Look: c.faults},
		{ID: "lab-addresses", Depth: lab.CheckFull, Look: c.otherLabs},
		{ID: "stack-images", Depth: lab.CheckFull, Look: c.images},
		{ID: "ssh-client", Depth: lab.CheckFull, Look: c.sshClient},
		{ID: "wsl", Depth: lab.CheckFull, Look: c.windows},
	}
}

// stateFolder looks whether labs can be remembered, and for how long.
func (c *common) stateFolder(context.Context) []lab.Finding {
	const id = "state-folder"
	const advice = "choose another place with --state-dir (or LAB_STATE_DIR)"
	dir := c.flow.Store.Dir()
	at := c.Nearest(dir)
	if err := c.Access(at); err != nil {
		return []lab.Finding{computer.Stop("state-unwritable", advice, "labs cannot be remembered: %s is not writable (%v)", at, err)}
	}
	d, err := c.Disk(at)
	if err != nil {
		return computer.Unseen(id, err)
	}
	switch {
	case d.ReadOnly:
		return []lab.Finding{computer.Stop("state-unwritable", advice, "labs cannot be remembered: %s is mounted read-only", at)}
	case slices.Contains([]string{"tmpfs", "ramfs"}, d.Kind):
		return []lab.Finding{computer.Note(id, advice, "%s lies in memory (%s): after a restart nobody knows of labs that are still there", dir, d.Kind)}
	case strings.HasPrefix(d.Kind, "nfs") || slices.Contains([]string{"smb", "smb2", "cifs", "fuse.sshfs"}, d.Kind):
		return []lab.Finding{computer.Warn(id, advice, "%s lies on another computer (%s): locks and sockets there are not to be trusted", dir, d.Kind)}
	}
	return []lab.Finding{computer.OK(id, "%s is writable", dir)}
}

// records tells of folders that are not labs, or of another version.
func (c *common) records(context.Context) []lab.Finding {
	const id = "state-records"
	foreign, err := c.flow.Store.Foreign()
	if err != nil {
		return computer.Unseen(id, err)
	}
	var found []lab.Finding
	for _, name := range slices.Sorted(maps.Keys(foreign)) {
		f := computer.Failure(id, foreign[name])
		f.Text = c.flow.Store.LabDir(name) + ": " + f.Text
		if name != c.plan.Spec.Name {
			f.Severity, f.Err = lab.SeverityNote, nil
		}
		found = append(found, f)
	}
	return found
}

// exists tells of a lab of this name with another provider: create refuses to
// change it.
func (c *common) exists(context.Context) []lab.Finding {
	l, err := c.flow.Store.Load(c.plan.Spec.Name)
	if err != nil || l.ID == c.plan.ID {
		return nil
	}
	return []lab.Finding{computer.Warn("lab-exists", "lab destroy --name "+l.Spec.Name+" first, or give the new lab another --name",
		"there is a lab %s already, with provider %s", l.Spec.Name, l.Provider)}
}

// locks tells of commands that work on labs now.
func (c *common) locks(context.Context) []lab.Finding {
	const id = "lab-locked"
	holders, err := c.flow.Store.Holders()
	if err != nil {
		return computer.Unseen(id, err)
	}
	var found []lab.Finding
	for _, name := range slices.Sorted(maps.Keys(holders)) {
		h := holders[name]
		f := computer.Note(id, "", "%q (pid %d) works on lab %s, since %s", h.Command, h.PID, name, h.Since.Local().Format("15:04:05"))
		if name == c.plan.Spec.Name {
			f.Severity, f.Advice = lab.SeverityWarn, "wait for it or interrupt it: create would be refused"
		}
		found = append(found, f)
	}
	return found
}

// faults tells of what scenarios have broken and nobody has mended.
func (c *common) faults(context.Context) []lab.Finding {
	const id = "lab-broken"
	labs, err := c.flow.Store.Labs()
	if err != nil {
		return computer.Unseen(id, err)
	}
	var found []lab.Finding
	for _, l := range labs {
		faults, err := l.Faults()
		switch {
		case err != nil:
			found = append(found, computer.Warn(id, "", "lab %s: %s", l.Spec.Name, computer.Brief(err.Error())))
		case len(faults) > 0:
			found = append(found, computer.Warn(id, faults[0].Mends()+" --name "+l.Spec.Name, "lab %s is still broken: %s", l.Spec.Name, list(faults)))
		}
	}
	return found
}

func list(faults []state.Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, f.String())
	}
	return strings.Join(all, ", ")
}

// otherLabs tells of another lab that has the addresses.
func (c *common) otherLabs(context.Context) []lab.Finding {
	if err := c.flow.Store.Collision(c.plan.Spec); err != nil {
		return []lab.Finding{computer.Failure("lab-addresses", err)}
	}
	return nil
}

func (c *common) sshClient(context.Context) []lab.Finding {
	const id = "ssh-client"
	if !c.Has("ssh") {
		return []lab.Finding{computer.Note(id, "install OpenSSH's client, if you want its comforts", "there is no ssh command: lab ssh uses lab's own client")}
	}
	return []lab.Finding{computer.OK(id, "lab ssh uses this computer's ssh")}
}

// windows tells of Linux inside Windows: whatever makes the machines, they are
// in there.
func (c *common) windows(context.Context) []lab.Finding {
	kernel, err := c.Read("/proc/sys/kernel/osrelease")
	if err != nil || !strings.Contains(strings.ToLower(kernel), "microsoft") {
		return nil
	}
	return []lab.Finding{computer.Note("wsl-browser", "use a browser inside WSL, or curl", "this is WSL: a browser on Windows does not reach the lab's addresses")}
}

// images tells where the stack's images come from.
func (c *common) images(ctx context.Context) []lab.Finding {
	const id = "stack-images"
	p, err := c.platform()
	if err != nil || p.Embedded {
		return nil // stack says why; embedded engines have them built in
	}
	if !p.Images.Mini {
		return []lab.Finding{computer.Note("seed-images", "lab images save FILE keeps them for a room without network, lab create --images FILE takes them from there; stack: mini needs no registry",
			"the article's images come from Docker Hub: 100 pulls in 6 hours for all computers behind one address (lab pulls each once), and what was pushed in 2016 may go any day")}
	}
	maker := c.flow.Images.Maker
	if maker == nil || c.flow.Images.File != nil {
		return nil
	}
	arch := c.Arch
	if f, ok := c.provider.(lab.Foreseer); ok {
		if seen := f.Foresee(ctx, c.plan); seen.Arch != "" {
			arch = seen.Arch
		}
	}
	from, err := maker.Findable(arch)
	if err != nil {
		return []lab.Finding{computer.Failure(id, err)}
	}
	return []lab.Finding{computer.OK(id, "the mini stack's images are made from %s", from)}
}
