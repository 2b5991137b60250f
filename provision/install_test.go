package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// aptHost is a machine with a package system of so many states.
type aptHost struct {
	fakeHost
	listed      map[string]bool // packages that the lists know
	mirror      map[string]bool // packages that the lists know after an update
	stale       bool            // the lists name versions that the mirror has no longer
	interrupted bool            // dpkg was cut off
	locked      int             // how many more commands find the lock held
	broken      string          // what the installation says before it fails
	installed   []string
	did         []string
}

func (h *aptHost) Run(_ context.Context, cmd string, _ io.Reader) ([]byte, error) {
	words := strings.Fields(cmd)
	h.did = append(h.did, "policy")
	var b strings.Builder
	for _, name := range words[4:] {
		candidate := "(none)"
		if h.listed[name] {
			candidate = "1.0"
		}
		fmt.Fprintf(&b, "%s:\n  Installed: (none)\n  Candidate: %s\n  Version table:\n     1.0 500\n        500 http://deb.debian.org/debian bookworm/main amd64 Packages\n", name, candidate)
	}
	return []byte(b.String()), nil
}

func (h *aptHost) RunLines(_ context.Context, cmd string, said func(string)) error {
	fail := func(exit int, lines ...string) error {
		for _, l := range lines {
			said(l)
		}
		return &CommandError{Cmd: cmd, Host: "node1", Exit: exit, Stderr: lines[len(lines)-1]}
	}
	verb, names := aptVerb(cmd)
	h.did = append(h.did, verb)
	if h.locked > 0 {
		h.locked--
		if verb == "configure" {
			return fail(2, "dpkg: error: dpkg frontend lock was locked by another process with pid 812")
		}
		return fail(100, "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)")
	}
	switch verb {
	case "configure":
		h.interrupted = false
	case "update":
		h.listed, h.stale = h.mirror, false
	case "install":
		if h.interrupted {
			return fail(100, "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.")
		}
		if h.stale {
			return fail(100, "Err:1 http://deb.debian.org/debian bookworm/main amd64 docker.io amd64 1.0", "  404  Not Found [IP: 1.2.3.4 80]",
				"E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?")
		}
		if h.broken != "" {
			return fail(100, h.broken)
		}
		said("dlstatus:1:12.5:Retrieving file 1 of 6 (10s remaining)")
		said("pmstatus:docker.io:40.0:Unpacking docker.io (amd64)")
		h.installed = names
	}
	return nil
}

// aptVerb tells what a command line does; it knows no others.
func aptVerb(cmd string) (string, []string) {
	const env = "env LC_ALL=C DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1 "
	const options = "-o DPkg::Lock::Timeout=60 -o APT::Status-Fd=1 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold " +
		"-o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "
	rest, ok := strings.CutPrefix(cmd, "sudo -n "+env)
	names, install := strings.CutPrefix(rest, "apt-get "+options+"install -y --no-install-recommends ")
	switch {
	case ok && rest == "dpkg --force-confdef --force-confold --configure -a":
		return "configure", nil
	case ok && rest == "apt-get "+options+"update":
		return "update", nil
	case ok && install:
		return "install", strings.Fields(names)
	}
	return "unknown: " + cmd, nil
}

func set(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

func TestInstallDocker(t *testing.T) {
	bookworm := set("docker.io", "ca-certificates", "apparmor", "cgroupfs-mount")
	trixie := set("docker.io", "docker-cli", "ca-certificates", "apparmor")
	const plain = "docker.io ca-certificates apparmor"
	for _, tt := range []struct {
		name  string
		host  aptHost
		facts Facts
		want  string // what was installed
		did   string
		id    string
		says  string
	}{
		{name: "Debian 12", host: aptHost{listed: bookworm}, want: plain, did: "configure policy install"},
		{name: "Debian 13: the client is a package of its own", host: aptHost{listed: trixie}, want: "docker.io docker-cli ca-certificates apparmor", did: "configure policy install"},
		{name: "Ubuntu 14.04, upstart", host: aptHost{listed: bookworm}, facts: Facts{Init: Upstart, OSID: "ubuntu"}, want: plain + " cgroupfs-mount", did: "configure policy install"},
		{name: "a box without package lists", host: aptHost{mirror: bookworm}, want: plain, did: "configure policy update policy install"},
		{name: "old package lists", host: aptHost{listed: bookworm, mirror: bookworm, stale: true}, want: plain, did: "configure policy install update install"},
		{name: "interrupted before", host: aptHost{listed: bookworm, interrupted: true}, facts: Facts{Engine: Engine{State: EngineStopped}, Package: "install ok half-configured"}, want: plain, did: "configure policy install"},
		{name: "another installation runs", host: aptHost{listed: bookworm, locked: 2}, want: plain, did: "configure configure configure policy install"},
		{name: "locked for good", host: aptHost{listed: bookworm, locked: 1 << 30}, did: "…", id: "docker-install", says: "held by process 812"},
		{name: "no such package", host: aptHost{listed: set("apparmor"), mirror: set("apparmor")}, did: "configure policy update policy", id: "docker-install", says: "universe"},
		{name: "the disk is full", host: aptHost{listed: bookworm, broken: "E: You don't have enough free space in /var/cache/apt/archives/."}, did: "configure policy install", id: "docker-install", says: "enough free space"},
		{name: "another system", facts: Facts{OSID: "alpine", OSName: "Alpine Linux v3.20"}, id: "docker-missing", says: "Debian and Ubuntu only; this is Alpine"},
		{name: "no sudo", facts: Facts{User: "tom", UID: 1000}, id: "docker-missing", says: "sudo wants a password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				h, f := &tt.host, tt.facts
				h.user = "vagrant"
				f.Sudo = f.UID == 0
				if f.OSID == "" {
					f.OSID = "debian"
				}
				if f.Init == "" {
					f.Init = Systemd
				}
				if f.Engine.State == "" {
					f.Engine.State = EngineMissing
				}
				var said []string
				changed, err := InstallDocker(t.Context(), h, f, func(text string) { said = append(said, text) })
				if lab.ErrorID(err) != tt.id || changed != (tt.id == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("changed %v, %v", changed, err)
				}
				if got := strings.Join(h.installed, " "); got != tt.want {
					t.Errorf("installed %q, want %q", got, tt.want)
				}
				if tt.host.locked > 0 && !slices.Contains(said, "waiting for another installation on the machine to end: process 812") {
					t.Errorf("waiting for the lock: %q", said[:min(5, len(said))])
				}
				if tt.did == "…" {
					return
				}
				if diff := cmp.Diff(tt.did, strings.Join(h.did, " ")); diff != "" {
					t.Error(diff)
				}
				if tt.want != "" && !strings.Contains(strings.Join(said, "|"), "Retrieving file 1 of 6 (10s remaining) (12 %)|Unpacking docker.io (amd64) (40 %)") {
					t.Errorf("progress %q", said)
				}
			})
		})
	}
}

func TestInstallDockerEndsWithContext(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := &aptHost{locked: 1 << 30}
		h.user = "vagrant"
		waits := 0
		_, err := InstallDocker(ctx, h, Facts{OSID: "debian", Sudo: true, Engine: Engine{State: EngineMissing}}, func(text string) {
			if waits++; waits == 4 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || lab.ErrorID(err) != "" {
			t.Errorf("error %v, want the context's", err)
		}
	})
}

func TestNeedsInstall(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    Facts
		want bool
	}{
		{"missing", Facts{Engine: Engine{State: EngineMissing}}, true},
		{"removed, settings kept", Facts{Engine: Engine{State: EngineMissing}, Package: "deinstall ok config-files"}, true},
		{"there", Facts{Engine: Engine{State: EngineRunning}, Package: "install ok installed"}, false},
		{"docker-ce", Facts{Engine: Engine{State: EngineStopped}}, false},
		{"docker-ce after docker.io", Facts{Engine: Engine{State: EngineRunning}, Package: "deinstall ok config-files"}, false},
		{"cut off while it was unpacked", Facts{Engine: Engine{State: EngineStopped}, Package: "install reinstreq half-installed"}, true},
		{"cut off while it was configured", Facts{Engine: Engine{State: EngineRunning}, Package: "install ok half-configured"}, true},
		{"embedded", Facts{Engine: Engine{State: EngineStopped, Embedded: true}}, false},
	} {
		if got := NeedsInstall(tt.f); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestLockHeld(t *testing.T) {
	for line, want := range map[string]bool{
		"E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)":                      true,
		"E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?":             true,
		"dpkg: error: dpkg frontend lock was locked by another process with pid 117":                                          true,
		"dpkg: error: dpkg status database is locked by another process":                                                      true,
		"E: Unable to lock the administration directory (/var/lib/dpkg/), is another process using it?":                       true,
		"Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)": false,
		"Unpacking docker.io (20.10.24+dfsg1-1+deb12u1) ...":                                                                  false,
	} {
		if got := lockHeld(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestProgressLine(t *testing.T) {
	for line, want := range map[string]string{
		"dlstatus:3:54.2321:Retrieving file 3 of 7 (5s remaining)":             "Retrieving file 3 of 7 (5s remaining) (54 %)",
		"pmstatus:runc:amd64:33.3333:Preparing to configure runc (amd64)":      "Preparing to configure runc (amd64) (33 %)",
		"pmstatus:dpkg-exec:20.0000:Running dpkg":                              "Running dpkg (20 %)",
		"Get:1 http://deb.debian.org/debian bookworm/main amd64 runc [2.7 MB]": "Get:1 http://deb.debian.org/debian bookworm/main amd64 runc [2.7 MB]",
		"pmstatus:what": "pmstatus:what",
	} {
		if got := progressLine(line); got != want {
			t.Errorf("%q is told as %q, want %q", line, got, want)
		}
	}
}

func FuzzAptOutput(f *testing.F) {
	f.Add("docker.io:\n  Candidate: 1\n")
	f.Add("pmstatus:a:1.2:b:c")
	f.Add("dlstatus:::1.")
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range parsePolicy(text, []string{"docker.io"}) {
			if name != "docker.io" {
				t.Errorf("found %q", name)
			}
		}
		if line := progressLine(text); text != "" && line == "" && !strings.Contains(text, "status:") {
			t.Errorf("%q is told as nothing", text)
		}
	})
}
