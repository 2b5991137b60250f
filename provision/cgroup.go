package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab"
)

// grubPath is the file in which lab gives the kernel an argument. Debian's and
// Ubuntu's update-grub reads the folder in the order of names: this one comes
// last, for others (cloud images' 50-cloudimg-settings.cfg, lab.cfg of lab's
// own box) set anew what it adds to.
const grubPath = "/etc/default/grub.d/zz-lab-cgroup.cfg"

// The kernel arguments that make systemd mount the hierarchies of cgroup v1.
// systemd 256 and 257 want the second in addition, 258 knows v2 only
// (systemd's NEWS).
const (
	argV1    = "systemd.unified_cgroup_hierarchy=0"
	argForce = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
)

// PrepareCgroupV1 sees to it that a machine with cgroup v2 boots with v1: it
// gives the kernel an argument by GRUB. reboot says that the machine must now
// be restarted, once: a machine that has been restarted with the argument and
// still shows v2 is an error, as is one that takes no arguments (a container,
// no systemd, no GRUB, a systemd without v1). The error id is cgroup-version.
func PrepareCgroupV1(ctx context.Context, host Configurable, f Facts) (reboot bool, err error) {
	m := host.Machine()
	if f.Cgroup != 2 {
		return false, nil
	}
	fail := func(err error) (bool, error) { return false, cgroupError(m.Name, err) }
	if f.SharedKernel {
		return fail(errors.New("the machine has cgroup v2 from the computer that runs it, and no kernel of its own"))
	}
	if f.Init != Systemd {
		return fail(fmt.Errorf("cgroup v2 is mounted, and the init system (%s) takes no kernel argument for it", f.Init))
	}
	out, err := host.Run(ctx, grubQuestion, nil)
	if err != nil {
		return false, fmt.Errorf("%s: look at the boot loader: %w", m.Name, err)
	}
	old, err := host.ReadFile(ctx, grubPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("%s: look at the boot loader: %w", m.Name, err)
	}
	file, err := planGrub(parseGrub(string(out)), string(old), f.BootID)
	if err != nil {
		return fail(err)
	}
	write := func(text string) error {
		if err := host.WriteFile(ctx, grubPath, []byte(text), 0o644); err != nil {
			return fmt.Errorf("%s: give the kernel an argument: %w", m.Name, err)
		}
		return nil
	}
	if err := write(file); err != nil {
		return false, err
	}
	if _, err := host.Run(ctx, Quote(privileged(m.SSH.User == "root", "update-grub")...), nil); err != nil {
		return fail(fmt.Errorf("give the kernel an argument: %w", err))
	}
	// Only a file that names a boot says that GRUB has read it, and that the
	// next boot must show it.
	if err := write(file + grubBootMark + f.BootID + "\n"); err != nil {
		return false, err
	}
	return true, nil
}

// UseCgroupV1 is PrepareCgroupV1 with the reboot: it returns the connection to
// the new boot (h is closed then) and its facts. say gets what happens.
func UseCgroupV1(ctx context.Context, c Connector, h *Host, f Facts, say func(string)) (*Host, Facts, error) {
	reboot, err := PrepareCgroupV1(ctx, h, f)
	if err != nil || !reboot {
		return h, f, err
	}
	say("restarts once, so that its kernel gives Mesos cgroup v1")
	next, err := c.Reboot(ctx, h, f.BootID, say)
	if err != nil {
		return h, f, err
	}
	f, err = FindFacts(ctx, next)
	if err == nil && f.Cgroup == 2 {
		if _, err = PrepareCgroupV1(ctx, next, f); err == nil {
			err = cgroupError(next.Machine().Name, errors.New("the machine was restarted, and it has cgroup v2 again"))
		}
	}
	return next, f, err
}

func cgroupError(machine string, err error) error {
	return &lab.Error{ID: "cgroup-version", Op: "get cgroup v1", Machine: machine, Err: err,
		Advice: "the seed's Mesos (and every one up to 1.11) needs cgroup v1. Use the mini stack (stack: mini), a box that boots with v1 (Ubuntu 20.04 or older), or a Mesos image of your own that does without (images.mesos); where machines share a kernel, boot this computer with " + argV1}
}

// grub is what was found out about how a machine boots.
type grub struct {
	cmdline string // of the running kernel
	systemd int    // version, 0 if unknown
	usable  bool   // update-grub and its folder are there
}

const grubQuestion = `PATH=$PATH:/usr/sbin:/sbin
echo @cmdline; cat /proc/cmdline
echo @systemd; systemctl --version 2>/dev/null | head -n 1
echo @grub; if command -v update-grub >/dev/null && [ -d /boot/grub ]; then echo yes; fi`

func parseGrub(out string) grub {
	s := sections(out)
	g := grub{cmdline: strings.TrimSpace(s["cmdline"]), usable: strings.TrimSpace(s["grub"]) == "yes"}
	if words := strings.Fields(s["systemd"]); len(words) > 1 && words[0] == "systemd" { // systemd 252 (252.39-1)
		g.systemd = versionPart(words[1:], 0)
	}
	return g
}

// planGrub returns the file to write before the reboot, or why there is no
// point in one. old is the file that stands there.
func planGrub(g grub, old, bootID string) (string, error) {
	args := []string{argV1}
	if g.systemd >= 256 {
		args = append(args, argForce)
	}
	given := strings.Fields(g.cmdline)
	switch {
	case g.systemd >= 258:
		return "", fmt.Errorf("systemd %d of this machine knows cgroup v2 only", g.systemd)
	case !slices.ContainsFunc(args, func(a string) bool { return !slices.Contains(given, a) }):
		return "", fmt.Errorf("the kernel was started with %s, and the machine has cgroup v2 all the same", strings.Join(args, " "))
	case !g.usable:
		return "", errors.New("the machine has cgroup v2, and no GRUB to give its kernel an argument by (no update-grub, or no /boot/grub)")
	}
	line := strings.Join(args, " ")
	if boot, ok := grubBoot(old); ok && boot != bootID && strings.Contains(old, line+`"`) {
		return "", fmt.Errorf("the machine was restarted with %s in %s, and its boot loader did not take it", line, grubPath)
	}
	return "# Made by lab: the seed's Mesos needs cgroup v1.\n" +
		"GRUB_CMDLINE_LINUX=" + strconv.Quote("$GRUB_CMDLINE_LINUX "+line) + "\n", nil
}

// grubBootMark begins the line that names the boot in which lab wrote the file.
const grubBootMark = "# written in boot "

func grubBoot(file string) (string, bool) {
	for line := range strings.Lines(file) {
		if boot, ok := strings.CutPrefix(strings.TrimSpace(line), grubBootMark); ok {
			return boot, true
		}
	}
	return "", false
}
