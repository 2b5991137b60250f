package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// Installable is what InstallDocker needs of a host.
type Installable interface {
	Target
	RunLines(ctx context.Context, cmd string, said func(line string)) error
}

// lockWait is how long another installation on the machine may take before we
// give up: a fresh cloud image updates itself for minutes.
const lockWait = 10 * time.Minute

// NeedsInstall says whether a machine lacks Docker, or has it half installed:
// an installation that was cut off leaves dockerd in its place, unusable.
func NeedsInstall(f Facts) bool {
	if f.Engine.Embedded {
		return false
	}
	wanted, cutOff := strings.HasPrefix(f.Package, "install "), !strings.HasSuffix(f.Package, " ok installed")
	return f.Engine.State == EngineMissing || wanted && cutOff
}

// InstallDocker installs the distribution's docker.io on Debian and Ubuntu
// where NeedsInstall says so, and repairs what an interrupted installation
// left. The package's own start of the engine is not relied on (policy-rc.d of
// images made in a chroot forbids it): ConfigureDocker starts it. say gets
// each line of progress. changed says that packages were installed.
//
// Error ids: docker-missing where lab cannot install it, docker-install where
// apt fails.
func InstallDocker(ctx context.Context, host Installable, f Facts, say func(string)) (changed bool, err error) {
	if !NeedsInstall(f) {
		return false, nil
	}
	m := host.Machine()
	if !slices.Contains([]string{"debian", "ubuntu"}, f.OSID) {
		name := f.OSName
		if name == "" {
			name = "an unknown system"
		}
		return false, MissingDocker(m.Name, fmt.Errorf("no Docker on this machine, and lab installs it on Debian and Ubuntu only; this is %s", name))
	}
	if !f.Sudo {
		return false, MissingDocker(m.Name, fmt.Errorf("no Docker on this machine, and user %s may not install it: sudo wants a password", f.User))
	}
	a := &apt{host: host, root: m.SSH.User == "root", say: say}
	if err := a.install(ctx, f.Init); err != nil {
		if ctx.Err() != nil {
			return false, fmt.Errorf("%s: install Docker: %w", m.Name, err)
		}
		return false, &lab.Error{ID: "docker-install", Op: "install Docker", Machine: m.Name, Err: err,
			Advice: "look whether the machine reaches its package mirror (lab ssh " + m.Name + " sudo apt-get update); lab create goes on from there"}
	}
	return true, nil
}

// MissingDocker is the error for a machine without Docker on which lab does
// not install it.
func MissingDocker(machine string, err error) error {
	return &lab.Error{ID: "docker-missing", Op: "look for Docker", Machine: machine, Err: err,
		Advice: "install Docker on it (docker.io on Debian and Ubuntu) or let lab do it (docker.install: true), then run lab create again"}
}

// apt drives dpkg and apt-get on one machine.
type apt struct {
	host Installable
	root bool
	say  func(string)
}

// wanted lists the packages: the engine, where it is a package of its own
// (Debian 13) the client, what pulls need, and what the engine needs of the
// system. Only the first must be there.
func wanted(init Init) []string {
	all := []string{"docker.io", "docker-cli", "ca-certificates", "apparmor"}
	if init != Systemd {
		all = append(all, "cgroupfs-mount")
	}
	return all
}

func (a *apt) install(ctx context.Context, init Init) error {
	// What was cut off before comes first: apt-get refuses to work until it is
	// configured. What this cannot configure may want packages that come next.
	repaired := a.run(ctx, configureCommand)
	if ctx.Err() != nil {
		return repaired
	}
	names := wanted(init)
	found, err := a.candidates(ctx, names)
	if err != nil {
		return err
	}
	updated := false
	if !slices.Contains(found, names[0]) {
		if err := a.run(ctx, updateCommand); err != nil {
			return fmt.Errorf("read the package lists: %w", err)
		}
		updated = true
		if found, err = a.candidates(ctx, names); err != nil {
			return err
		}
	}
	if !slices.Contains(found, names[0]) {
		return errors.New("the machine's package sources have no docker.io (on Ubuntu it is in universe)")
	}
	err = a.run(ctx, installPackages(found))
	if err != nil && !updated && staleLists(err) {
		if err := a.run(ctx, updateCommand); err != nil {
			return fmt.Errorf("read the package lists: %w", err)
		}
		err = a.run(ctx, installPackages(found))
	}
	if err != nil {
		return errors.Join(err, repaired)
	}
	return nil
}

// aptEnv keeps every question from being asked: debconf's, that for changed
// configuration files, and needrestart's.
var aptEnv = []string{"env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_SUSPEND=1", "UCF_FORCE_CONFFOLD=1"}

// aptOptions: wait for other installations, tell the progress on stdout, keep
// a configuration that is there (DOCKER_OPTS may be), and give a dead mirror up.
var aptOptions = []string{
	"-o", "DPkg::Lock::Timeout=60", "-o", "APT::Status-Fd=1", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
	"-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20",
}

var (
	configureCommand = []string{"dpkg", "--force-confdef", "--force-confold", "--configure", "-a"}
	updateCommand    = slices.Concat([]string{"apt-get"}, aptOptions, []string{"update"})
)

func installPackages(names []string) []string {
	return slices.Concat([]string{"apt-get"}, aptOptions, []string{"install", "-y", "--no-install-recommends"}, names)
}

// run runs a command as root and passes its progress on. Another process that
// holds dpkg's locks is waited for: apt before 1.9.11 and dpkg itself do not.
func (a *apt) run(ctx context.Context, argv []string) error {
	waitCtx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	cmd := Quote(privileged(a.root, slices.Concat(aptEnv, argv)...)...)
	return lab.Until(waitCtx, 2*time.Second, "the machine's package system", func(context.Context) error {
		// Not waitCtx: an installation that has begun may take as long as it takes.
		var last lastLines
		locked := false
		err := a.host.RunLines(ctx, cmd, func(line string) {
			last.add(line)
			locked = locked || lockHeld(line)
			if !locked && !strings.HasPrefix(line, "(Reading database") {
				a.say(progressLine(line))
			}
		})
		failed, exited := errors.AsType[*CommandError](err)
		if !exited {
			return lab.Permanent(err)
		}
		err = fmt.Errorf("%w\n%s", failed, last.text())
		if locked {
			a.say("waiting for another installation on the machine to end" + holder(last.text()))
			return err
		}
		return lab.Permanent(err)
	})
}

// candidates returns which of the packages can be had.
func (a *apt) candidates(ctx context.Context, names []string) ([]string, error) {
	out, err := a.host.Run(ctx, Quote(slices.Concat([]string{"env", "LC_ALL=C", "apt-cache", "policy"}, names)...), io.Reader(nil))
	if err != nil {
		return nil, fmt.Errorf("look for packages: %w", err)
	}
	return parsePolicy(string(out), names), nil
}

// parsePolicy reads apt-cache policy: a line "name:" and below it "  Candidate:
// version" or "(none)".
func parsePolicy(text string, names []string) []string {
	var out []string
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if !strings.HasPrefix(line, " ") {
			name = strings.TrimSuffix(line, ":")
			continue
		}
		version, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: ")
		if ok && version != "(none)" && slices.Contains(names, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

var lockText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)could not get lock|unable to (lock|acquire)|is locked by another process|lock was locked by another process|frontend lock`)
})

// lockHeld says whether a line means failure because another process works on
// the packages; "Waiting for cache lock: Could not get lock …" is apt's own
// patience.
func lockHeld(line string) bool {
	return lockText().MatchString(line) && !strings.HasPrefix(line, "Waiting for")
}

var holderText = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)process (?:with pid )?([0-9]+(?: \([^)]*\))?)`) })

// holder names the process that holds the lock, as far as it is told.
func holder(text string) string {
	if m := holderText().FindStringSubmatch(text); m != nil {
		return ": process " + m[1]
	}
	return ""
}

var staleText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)404 +not found|unable to fetch some archives|failed to fetch|hash sum mismatch`)
})

// staleLists says whether the lists name packages that the mirror has no
// longer.
func staleLists(err error) bool { return staleText().MatchString(err.Error()) }

// progressLine turns apt's status lines into words:
// "dlstatus:1:12.5:Retrieving file 1 of 6 (10s remaining)" and
// "pmstatus:docker.io:40.0:Unpacking docker.io".
func progressLine(line string) string {
	kind, rest, _ := strings.Cut(line, ":")
	if kind != "dlstatus" && kind != "pmstatus" {
		return line
	}
	// A package may carry its architecture: runc:amd64.
	parts := strings.Split(rest, ":")
	for i, p := range parts {
		percent, _, isNumber := strings.Cut(p, ".")
		if i > 0 && isNumber && percent != "" && strings.Trim(percent, "0123456789") == "" {
			return strings.TrimSpace(strings.Join(parts[i+1:], ":")) + " (" + percent + " %)"
		}
	}
	return line
}

// lastLines keeps what a command said at its end.
type lastLines struct{ lines []string }

func (l *lastLines) add(line string) {
	if strings.HasPrefix(line, "pmstatus:") || strings.HasPrefix(line, "dlstatus:") {
		return
	}
	l.lines = append(l.lines, line)
	l.lines = l.lines[max(0, len(l.lines)-20):]
}

func (l *lastLines) text() string { return strings.Join(l.lines, "\n") }
