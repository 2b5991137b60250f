package provision

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

func TestPlanGrub(t *testing.T) {
	const cmdline = "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet"
	file := func(boot, args string) string {
		text := "# Made by lab: the seed's Mesos needs cgroup v1.\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX " + args + "\"\n"
		if boot != "" {
			text += grubBootMark + boot + "\n"
		}
		return text
	}
	for _, tt := range []struct {
		name string
		grub grub
		old  string
		want string
		says string
	}{
		{name: "Debian 12", grub: grub{cmdline, 252, true}, want: file("", argV1)},
		{name: "Debian 13", grub: grub{cmdline, 257, true}, want: file("", argV1+" "+argForce)},
		{name: "a systemd of 2025", grub: grub{cmdline, 258, true}, says: "cgroup v2 only"},
		{name: "no GRUB", grub: grub{cmdline, 252, false}, says: "no GRUB"},
		{name: "the kernel has it already", grub: grub{cmdline + " " + argV1, 252, true}, says: "all the same"},
		{name: "half of it", grub: grub{cmdline + " " + argV1, 257, true}, want: file("", argV1+" "+argForce)},
		{name: "interrupted before GRUB read it", grub: grub{cmdline, 252, true}, old: file("", argV1), want: file("", argV1)},
		{name: "interrupted before the reboot", grub: grub{cmdline, 252, true}, old: file("this", argV1), want: file("", argV1)},
		{name: "restarted, not taken", grub: grub{cmdline, 252, true}, old: file("before", argV1), says: "did not take it"},
		{name: "systemd was upgraded since", grub: grub{cmdline, 257, true}, old: file("before", argV1), want: file("", argV1+" "+argForce)},
	} {
		got, err := planGrub(tt.grub, tt.old, "this")
		if got != tt.want || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestParseGrub(t *testing.T) {
	got := parseGrub("@cmdline\nroot=/dev/vda1 ro\n@systemd\nsystemd 252 (252.39-1~deb12u1)\n@grub\nyes\n")
	if want := (grub{"root=/dev/vda1 ro", 252, true}); got != want {
		t.Errorf("%+v", got)
	}
	if got := parseGrub("@cmdline\nx\n@systemd\n@grub\n"); got != (grub{cmdline: "x"}) {
		t.Errorf("%+v", got)
	}
}

func TestPrepareCgroupV1Refuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		facts Facts
		says  string
	}{
		{"a container", Facts{Init: Systemd, Cgroup: 2, SharedKernel: true}, "no kernel of its own"},
		{"sysvinit", Facts{Init: SysVinit, Cgroup: 2}, "sysvinit"},
		{"upstart", Facts{Init: Upstart, Cgroup: 2}, "upstart"},
	} {
		h := &fakeHost{user: "root", files: map[string]string{}}
		reboot, err := PrepareCgroupV1(t.Context(), h, tt.facts)
		e, ok := errors.AsType[*lab.Error](err)
		if reboot || !ok || e.ID != "cgroup-version" || !strings.Contains(err.Error(), tt.says) || !strings.Contains(e.Advice, "stack: mini") {
			t.Errorf("%s: %v, %v", tt.name, reboot, err)
		}
		if len(h.ran)+len(h.wrote) > 0 {
			t.Errorf("%s: ran %q, wrote %q", tt.name, h.ran, h.wrote)
		}
	}
	if reboot, err := PrepareCgroupV1(t.Context(), &fakeHost{}, Facts{Init: Systemd, Cgroup: 1}); reboot || err != nil {
		t.Errorf("a machine with v1: %v, %v", reboot, err)
	}
}

// TestUseCgroupV1: it is written, read by GRUB and restarted once, and a second
// pass does nothing.
func TestUseCgroupV1(t *testing.T) {
	b := newBootable(t)
	b.inBubble(t, func(t *testing.T, c Connector, h *Host) {
		facts, err := FindFacts(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		next, after, err := UseCgroupV1(t.Context(), c, h, facts, func(text string) { said = append(said, text) })
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		if next == h || after.Cgroup != 1 || after.BootID != "boot-2" || b.reboots != 1 || !strings.Contains(said[0], "restarts once") {
			t.Errorf("cgroup v%d in %s, %d reboots, said %q", after.Cgroup, after.BootID, b.reboots, said)
		}
		text, err := next.ReadFile(t.Context(), grubPath)
		if err != nil || !strings.Contains(string(text), argV1) || !strings.HasSuffix(string(text), grubBootMark+"boot-1\n") {
			t.Errorf("%s is %q, %v", grubPath, text, err)
		}
		again, _, err := UseCgroupV1(t.Context(), c, next, after, func(string) {})
		if err != nil || again != next || b.reboots != 1 {
			t.Errorf("the second pass: %v, %d reboots", err, b.reboots)
		}
	})
}

// TestUseCgroupV1NeverLoops: a boot loader that takes no arguments costs one
// reboot, however often lab is run.
func TestUseCgroupV1NeverLoops(t *testing.T) {
	b := newBootable(t)
	b.ignores = true
	b.inBubble(t, func(t *testing.T, c Connector, h *Host) {
		for i := range 3 {
			facts, err := FindFacts(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			next, _, err := UseCgroupV1(t.Context(), c, h, facts, func(string) {})
			if lab.ErrorID(err) != "cgroup-version" || !strings.Contains(fmt.Sprint(err), "did not take it") || b.reboots != 1 {
				t.Errorf("pass %d: %v, %d reboots", i, err, b.reboots)
			}
			h = next
		}
		h.Close()
	})
}
