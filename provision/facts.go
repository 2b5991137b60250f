package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Runner runs command lines on a machine; *Host is one.
type Runner interface {
	Run(ctx context.Context, cmd string, stdin io.Reader) ([]byte, error)
}

// Prober is what Facts needs of a host.
type Prober interface {
	Runner
	EngineVersion(ctx context.Context) (Engine, error)
}

// Init is a machine's init system, found by looking.
type Init string

// The init systems of Debian and Ubuntu.
const (
	Systemd  Init = "systemd"  // /run/systemd/system exists
	Upstart  Init = "upstart"  // /sbin/initctl exists
	SysVinit Init = "sysvinit" // /etc/init.d exists
)

// Facts are what was found on a machine. What could not be found out is zero.
type Facts struct {
	OSID      string `json:"os_id,omitempty"`      // debian, ubuntu
	OSVersion string `json:"os_version,omitempty"` // 12, 14.04
	OSName    string `json:"os_name,omitempty"`    // Debian GNU/Linux 12 (bookworm)
	Init      Init   `json:"init,omitempty"`
	Arch      string `json:"arch,omitempty"` // as Go says it: amd64, arm64
	Hostname  string `json:"hostname,omitempty"`
	User      string `json:"user,omitempty"`
	UID       int    `json:"uid"`
	Sudo      bool   `json:"sudo"` // root, or sudo without a password
	Engine    Engine `json:"engine"`
	// Package is what dpkg says of docker.io: "install ok installed", or how
	// far an interrupted installation has come; "" where it knows nothing.
	Package   string `json:"package,omitempty"`
	Cgroup    int    `json:"cgroup,omitempty"` // 1 or 2
	MemoryMiB int64  `json:"memory_mib,omitempty"`
	DiskMiB   int64  `json:"disk_mib,omitempty"` // free, where Docker keeps its data
	// ClockOffset is the machine's clock minus ours, exact to ClockError: the
	// question may have waited before it began, or after it ended.
	ClockOffset time.Duration `json:"clock_offset"`
	ClockError  time.Duration `json:"clock_error"`
	// SharedKernel says that the machine is a container or an embedded one: it
	// has no clock, no kernel command line and no reboot of its own.
	SharedKernel bool `json:"shared_kernel,omitempty"`
	// FixedClock says that nobody on the machine may set its clock.
	FixedClock bool   `json:"fixed_clock,omitempty"`
	BootID     string `json:"boot_id,omitempty"` // other after each boot
	// Networks are the machine's IPv4 addresses, but for loopback and the
	// bridges of its own containers.
	Networks []Network `json:"networks,omitempty"`
}

// Network is an address of a machine and the network that it lies in.
type Network struct {
	Interface string       `json:"interface"` // eth0
	Address   netip.Prefix `json:"address"`   // 10.0.2.15/24
}

// factsScript asks everything at once. It uses only what a minimal system has;
// what a machine does not know leaves its section empty. The PATH of users who
// are not root lacks the folders of dockerd and ip on Debian.
//
// It starts few programs, for on a slow machine they are what takes the time:
// show is the shell's own cat, and bash since 5.0 has a clock of its own.
const factsScript = `PATH=$PATH:/usr/sbin:/sbin LC_ALL=C
show() { [ ! -r "$1" ] || while IFS= read -r line || [ -n "$line" ]; do printf '%s\n' "$line"; done <"$1"; }
echo @begin; echo "${EPOCHREALTIME:-$(date +%s.%N)}"
echo @os; show /etc/os-release
echo @init; if [ -d /run/systemd/system ]; then echo systemd; elif [ -e /sbin/initctl ]; then echo upstart; elif [ -d /etc/init.d ]; then echo sysvinit; fi
echo @arch; uname -m
echo @hostname; if [ -r /proc/sys/kernel/hostname ]; then show /proc/sys/kernel/hostname; else hostname; fi
id=$(id)
echo @id; echo "$id"
echo @sudo; case $id in uid=0*) echo yes;; *) sudo -n true 2>/dev/null && echo yes;; esac
echo @docker; command -v dockerd docker 2>/dev/null
echo @package; dpkg-query -W -f='${Status}' docker.io 2>/dev/null; echo
echo @cgroup; if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo 2; elif [ -d /sys/fs/cgroup ]; then echo 1; fi
echo @memory; show /proc/meminfo
echo @disk; df -Pk /var/lib/docker 2>/dev/null || df -Pk / 2>/dev/null
echo @container; if [ -e /.dockerenv ] || [ -e /run/.containerenv ] || [ -s /run/systemd/container ] || [ -n "$container" ]; then echo yes; fi
echo @process; show /proc/self/status
echo @boot; show /proc/sys/kernel/random/boot_id
echo @networks; ip -o -4 addr show 2>/dev/null
echo @end; echo "${EPOCHREALTIME:-$(date +%s.%N)}"
exit 0`

// embeddedOS is the ID in an embedded machine's os-release.
const embeddedOS = "lab"

// FindFacts looks at a machine: one command and, at the same time, one
// question to Docker's socket.
func FindFacts(ctx context.Context, host Prober) (Facts, error) {
	type answer struct {
		engine Engine
		err    error
	}
	docker := make(chan answer, 1)
	go func() {
		e, err := host.EngineVersion(ctx)
		docker <- answer{e, err}
	}()
	before := time.Now()
	out, err := host.Run(ctx, factsScript, nil)
	after := time.Now()
	asked := <-docker
	if err != nil {
		return Facts{}, fmt.Errorf("look at the machine: %w", err)
	}
	f, err := parseFacts(string(out), before, after)
	if err != nil {
		return Facts{}, fmt.Errorf("look at the machine: %w", err)
	}
	if asked.err == nil {
		f.Engine = asked.engine
	} else if ctx.Err() != nil {
		return Facts{}, asked.err
	}
	return f, nil
}

// parseFacts reads the script's output; before and after are our clock's times
// around it.
func parseFacts(out string, before, after time.Time) (Facts, error) {
	sections := sections(out)
	if _, complete := sections["end"]; !complete {
		return Facts{}, errors.New("the answer is cut off: " + shorten(out, 80))
	}
	get := func(name string) string { return strings.TrimSpace(sections[name]) }
	f := Facts{
		Init: Init(get("init")), Arch: goArch(get("arch")), Hostname: get("hostname"), Sudo: get("sudo") == "yes", Engine: Engine{State: EngineMissing},
		MemoryMiB: memTotal(sections["memory"]), DiskMiB: diskFree(sections["disk"]),
	}
	f.OSID, f.OSVersion, f.OSName = osRelease(sections["os"])
	if get("docker") != "" {
		f.Engine.State = EngineStopped
	}
	if f.OSID == embeddedOS { // its engine is built in, even where it is stopped
		f.Engine = Engine{State: EngineStopped, Embedded: true}
	}
	f.UID, f.User = whoami(get("id"))
	f.Cgroup, _ = strconv.Atoi(get("cgroup"))
	f.Package, f.BootID, f.Networks = get("package"), get("boot"), networks(sections["networks"])
	f.SharedKernel = get("container") == "yes" || f.OSID == embeddedOS
	f.FixedClock = f.SharedKernel || !maySetTime(get("process"))
	begin, ok1 := unixTime(get("begin"))
	end, ok2 := unixTime(get("end"))
	if ok1 && ok2 {
		f.ClockOffset, f.ClockError = clockOffset(before, begin, end, after)
	}
	return f, nil
}

// sections takes apart what a script of lab's has printed: "@name" lines begin
// them.
func sections(out string) map[string]string {
	all, name := map[string]string{}, ""
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "@"); ok {
			name = strings.TrimSpace(rest)
			all[name] += ""
			continue
		}
		all[name] += line
	}
	return all
}

// clockOffset compares the middles of a question (our clock) and its answer
// (theirs), and says how far that may be from the truth.
func clockOffset(before, begin, end, after time.Time) (offset, uncertain time.Duration) {
	asked, took := after.Sub(before), end.Sub(begin)
	return begin.Add(took / 2).Sub(before.Add(asked / 2)), max(0, asked-took) / 2
}

// whoami reads "uid=1000(vagrant) gid=…"; the uid is -1 where nothing is said.
func whoami(id string) (uid int, user string) {
	first, _, _ := strings.Cut(strings.TrimPrefix(id, "uid="), " ")
	number, name, _ := strings.Cut(first, "(")
	uid, err := strconv.Atoi(number)
	if err != nil || uid < 0 {
		return -1, ""
	}
	return uid, strings.TrimSuffix(name, ")")
}

// maySetTime reads "CapBnd: 000001ffffffffff" of /proc/<pid>/status for
// CAP_SYS_TIME, capability 25. Where nothing is said, nothing forbids it.
func maySetTime(status string) bool {
	_, rest, ok := strings.Cut(status, "CapBnd:")
	mask, _, _ := strings.Cut(rest, "\n")
	bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
	return !ok || err != nil || bits>>25&1 == 1
}

// ownBridges begin the names of interfaces that lead to the machine's own
// containers only.
var ownBridges = []string{"docker", "br-", "veth", "cni", "virbr", "lxc"}

// networks reads "2: eth0    inet 10.0.2.15/24 brd … scope global eth0".
func networks(text string) []Network {
	var out []Network
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[2] != "inet" {
			continue
		}
		name, _, _ := strings.Cut(fields[1], "@") // eth0@if12
		addr, err := netip.ParsePrefix(fields[3])
		if err != nil || addr.Addr().IsLoopback() || slices.ContainsFunc(ownBridges, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		out = append(out, Network{Interface: name, Address: addr})
	}
	return out
}

// goArch translates uname -m.
func goArch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "i386", "i686":
		return "386"
	case "armv7l":
		return "arm"
	}
	return machine
}

// osRelease reads what os-release(5) calls ID, VERSION_ID and PRETTY_NAME.
func osRelease(text string) (id, version, name string) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[k] = strings.Trim(v, `"'`)
		}
	}
	return values["ID"], values["VERSION_ID"], values["PRETTY_NAME"]
}

// memTotal reads MemTotal of /proc/meminfo, in MiB.
func memTotal(text string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib >> 10
		}
	}
	return 0
}

// diskFree reads the fourth column of df -Pk, in MiB.
func diskFree(text string) int64 {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	if len(lines) < 2 || len(fields) < 4 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[3], 10, 64)
	return kib >> 10
}

// unixTime reads seconds.nanoseconds, and the shell's seconds.microseconds; a
// date without %N leaves it as it is.
func unixTime(text string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	nsec, err := strconv.ParseInt(fraction, 10, 64)
	switch {
	case err == nil && len(fraction) == 6:
		nsec *= 1000
	case err != nil || len(fraction) != 9:
		nsec = 5e8 // only the second is known: its middle
	}
	return time.Unix(sec, nsec), true
}
