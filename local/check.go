//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/local/folder"
)

var (
	_ lab.Checker  = (*Provider)(nil)
	_ lab.Foreseer = (*Provider)(nil)
)

// Check implements lab.Checker. Machines that exist hold their own addresses
// and ports, and are left out.
func (p *Provider) Check(ctx context.Context, plan lab.Plan, depth lab.Depth) []lab.Finding {
	q := &inquiry{Computer: p.opts.Computer.Or(), plan: plan}
	for _, n := range plan.Nodes {
		s := site{plan: plan, node: n, dir: plan.Dir, folder: folder.Folder(filepath.Join(plan.Dir, "machines", n.Name))}
		if _, err := os.Stat(s.folder.Path(folder.SettingsFile)); plan.Dir == "" || err != nil {
			q.missing = append(q.missing, s)
		}
	}
	return computer.Survey(ctx, plan.Report, depth, q.checks())
}

// inquiry is one look at this computer for one plan.
type inquiry struct {
	computer.Computer
	plan    lab.Plan
	missing []site
}

func (q *inquiry) checks() []computer.Check {
	checks := []computer.Check{{ID: "network", Look: q.network}}
	if len(q.missing) > 0 || len(q.plan.Nodes) == 0 {
		checks = append(checks,
			computer.Check{ID: "addresses", Look: q.addresses},
			computer.Check{ID: "ports", Look: q.portsFree},
			computer.Check{ID: "memory", Look: q.memoryEnough},
			computer.Check{ID: "disk-state", Look: q.room},
			computer.Check{ID: "state-noexec", Look: q.executable},
			computer.Check{ID: "open-files", Depth: lab.CheckFull, Look: q.openFiles},
		)
	}
	return append(checks,
		computer.Check{ID: "other-users", Depth: lab.CheckFull, Look: q.otherUsers},
		computer.Check{ID: "proxy", Depth: lab.CheckFull, Look: func(context.Context) []lab.Finding { return q.CheckProxy(q.plan.Nodes) }})
}

func (q *inquiry) network(context.Context) []lab.Finding {
	if err := possible(q.plan.Spec); err != nil {
		return []lab.Finding{computer.Failure("network", err)}
	}
	return nil
}

// addresses looks whether this computer has the machines' addresses: all of
// 127.0.0.0/8 on Linux, on macOS only those that were added to lo0.
func (q *inquiry) addresses(ctx context.Context) []lab.Finding {
	const id = "addresses"
	var lacking []netip.Addr
	for _, s := range q.missing {
		if err := s.fits(); err != nil {
			return []lab.Finding{computer.Failure(id, err)}
		}
		if apart(q.plan.Spec) {
			continue // they are made with the machines
		}
		if err := q.Bind(ctx, netip.AddrPortFrom(s.node.IP, 0)); errors.Is(err, syscall.EADDRNOTAVAIL) {
			lacking = append(lacking, s.node.IP)
		} else if err != nil {
			return computer.Unseen(id, err)
		}
	}
	if len(q.missing) == 0 {
		return nil
	}
	if len(lacking) > 0 {
		return []lab.Finding{q.addressesMissing(lacking)}
	}
	if apart(q.plan.Spec) {
		return q.routes(id)
	}
	return []lab.Finding{computer.OK(id, "this computer has %s", spread(q.missing))}
}

// routes looks for ways elsewhere to the machines' subnet, before anything of
// the lab is there.
func (q *inquiry) routes(id string) []lab.Finding {
	if len(q.missing) == len(q.plan.Nodes) {
		p := &Provider{opts: Options{Computer: q.Computer}}
		if err := p.unclaimed(netip.PrefixFrom(q.missing[0].node.IP, subnetBits).Masked()); err != nil {
			return []lab.Finding{computer.Failure(id, err)}
		}
	}
	return []lab.Finding{computer.OK(id, "%s are free", spread(q.missing))}
}

// spread names the first and the last address.
func spread(sites []site) string {
	first, last := sites[0].node.IP, sites[len(sites)-1].node.IP
	if first == last {
		return first.String()
	}
	return first.String() + " to " + last.String()
}

// addressesMissing names the command that adds them, and runs it for root.
func (q *inquiry) addressesMissing(lacking []netip.Addr) lab.Finding {
	f := computer.Stop("address-missing", "all of 127.0.0.0/8 is usually there; look at the lo interface", "this computer has no address %s", words(lacking))
	if q.OS != "darwin" {
		return f
	}
	var commands []string
	for _, a := range lacking {
		commands = append(commands, fmt.Sprintf("ifconfig lo0 alias %s", a))
	}
	f.Advice = "run, again after each restart: sudo " + strings.Join(commands, "; sudo ")
	if q.UID != 0 {
		f.Advice += "; or: sudo lab doctor --fix"
		return f
	}
	f.RepairText = strings.Join(commands, "; ")
	f.Repair = func(ctx context.Context) error {
		for _, a := range lacking {
			if _, err := q.Run(ctx, "ifconfig", "lo0", "alias", a.String()); err != nil {
				return err
			}
		}
		return nil
	}
	return f
}

func words(addrs []netip.Addr) string {
	var all []string
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

// portsFree looks whether the spec's ports can be had, and who has them.
func (q *inquiry) portsFree(ctx context.Context) []lab.Finding {
	const id = "ports"
	var found []lab.Finding
	told := map[string]bool{}
	for _, s := range q.missing {
		if s.fits() != nil {
			return nil // addresses says so
		}
	}
	err := each(q.missing, func(_ int, s site) error { return s.checkPorts(ctx) })
	for _, err := range single(err) {
		f := computer.Failure(id, err)
		if f.ID == "address-missing" || told[f.Advice] {
			continue // told already, or one program on all addresses
		}
		told[f.Advice] = true
		found = append(found, f)
	}
	if err == nil && len(q.missing) > 0 {
		return []lab.Finding{computer.OK(id, "the lab's ports are free")}
	}
	return found
}

// single takes joined errors apart.
func single(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range many.Unwrap() {
			all = append(all, single(e)...)
		}
		return all
	}
	return []error{err}
}

// What an embedded lab takes, measured: some 80 MB for three machines with the
// stack on them (bench), and on disk the binary, logs and sandboxes.
const (
	memoryOfStack   = 60 * lab.MiB
	memoryOfMachine = 25 * lab.MiB
	diskTight       = 500 * lab.MiB
	diskNone        = 100 * lab.MiB
)

func (q *inquiry) memoryEnough(context.Context) []lab.Finding {
	n := len(q.missing)
	return q.CheckMemory(memoryOfStack+lab.Size(n)*memoryOfMachine, "embedded machines", "end other programs", true)
}

func (q *inquiry) room(context.Context) []lab.Finding {
	if q.plan.Dir == "" {
		return nil
	}
	return q.CheckDisk(computer.Room{ID: "disk-state", Path: q.plan.Dir, For: "the lab's machines", Want: diskTight, Need: diskNone,
		Advice: "make room there, or choose another place with --state-dir"})
}

// executable: machines run a copy of the binary in the lab's own folder.
func (q *inquiry) executable(context.Context) []lab.Finding {
	if q.plan.Dir == "" {
		return nil
	}
	at := q.Nearest(q.plan.Dir)
	d, err := q.Disk(at)
	if err != nil || !d.NoExec {
		return nil // disk-state tells of errors
	}
	return []lab.Finding{computer.Stop("state-noexec", "choose another place with --state-dir", "no program may run in %s (mounted noexec), and machines are programs there", at)}
}

// fewFiles is below what one machine with some containers may have open.
const fewFiles = 1024

func (q *inquiry) openFiles(context.Context) []lab.Finding {
	const id = "open-files"
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return computer.Unseen(id, err)
	}
	return judgeFiles(uint64(limit.Max))
}

// judgeFiles takes the hard limit: every program of lab raises its own to it.
func judgeFiles(limit uint64) []lab.Finding {
	const id = "open-files"
	if limit < fewFiles {
		return []lab.Finding{computer.Warn(id, fmt.Sprintf("ulimit -Hn %d, or LimitNOFILE in the service that runs this", 4*fewFiles), "a process may open %d files: too few for machines with many containers", limit)}
	}
	return []lab.Finding{computer.OK(id, "a process may open %d files", limit)}
}

// otherUsers tells who else may use the lab.
func (q *inquiry) otherUsers(context.Context) []lab.Finding {
	const id = "other-users"
	s := q.plan.Spec.Local
	switch {
	case s.AllowOtherUsers && s.AllowRootCmd && q.UID == 0:
		return []lab.Finding{computer.Warn(id, "set local.allow_root_cmd or local.allow_other_users to false in lab.yaml", "every user of this computer can run commands as root through the lab")}
	case s.AllowOtherUsers:
		return []lab.Finding{computer.Note(id, "set local.allow_other_users to false in lab.yaml, if that is not wanted", "every user of this computer can start tasks in the lab, as this user")}
	case q.OS != "linux":
		return []lab.Finding{computer.Note(id, "", "other users of this computer can reach the lab's ports: only Linux tells whose a connection is")}
	}
	return []lab.Finding{computer.OK(id, "other users of this computer are refused")}
}

// Foresee implements lab.Foreseer: an embedded machine is this program.
func (p *Provider) Foresee(context.Context, lab.Plan) lab.Foreseen {
	return lab.Foreseen{Arch: p.opts.Computer.Or().Arch, SharedKernel: true}
}
