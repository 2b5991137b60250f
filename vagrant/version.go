package vagrant

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab"
)

// release is a version as a row of numbers: 7.0.14_Ubuntur161095 is 7, 0, 14.
type release []int

// parseRelease reads the numbers at the beginning of a version; nil if there
// are none.
func parseRelease(text string) release {
	var r release
	for part := range strings.SplitSeq(strings.TrimSpace(text), ".") {
		end := strings.IndexFunc(part, func(c rune) bool { return c < '0' || c > '9' })
		digits := part
		if end >= 0 {
			digits = part[:end]
		}
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		r = append(r, n)
		if end >= 0 {
			break
		}
	}
	return r
}

// before reports whether r comes before the version that text names.
func (r release) before(text string) bool { return slices.Compare(r, parseRelease(text)) < 0 }

// flaw is what is wrong with all versions of Vagrant before one.
type flaw struct {
	before   string
	severity lab.Severity
	what     string
	// on, if set, limits the flaw to computers of this architecture.
	on string
}

// flaws is the one table of Vagrant's versions, the worst first. dcos-vagrant
// lists 1.8.3 to 1.9.4 as broken; hashicorp/vagrant's CHANGELOG has the rest
// (GH-12584, GH-13239).
func flaws() []flaw {
	return []flaw{
		{before: "2.0", severity: lab.SeverityStop, what: "2.0 is the first that works"},
		{before: "2.3.0", severity: lab.SeverityWarn, what: "before 2.3.0 its SSH client signs with SHA-1 only, which Debian 12 and Ubuntu 22.04 refuse"},
		{before: "2.4.0", severity: lab.SeverityWarn, what: "before 2.4.0 it cannot choose a box for this processor", on: "arm64"},
	}
}

// flawOf returns the worst that is known of a version, on a computer of this
// architecture.
func flawOf(version, arch string) (flaw, bool) {
	r := parseRelease(version)
	for _, f := range flaws() {
		if r.before(f.before) && (f.on == "" || f.on == arch) {
			return f, true
		}
	}
	return flaw{}, false
}

// judgeVersion refuses versions with which nothing can work.
func judgeVersion(version string) error {
	if len(parseRelease(version)) == 0 {
		return &lab.Error{ID: "vagrant-failed", Op: "version", Err: fmt.Errorf("vagrant calls its version %q", shorten(version)), Advice: "look whether the vagrant in PATH is HashiCorp's Vagrant"}
	}
	if f, ok := flawOf(version, ""); ok && f.severity == lab.SeverityStop {
		return &lab.Error{ID: "vagrant-version", Op: "version", Err: fmt.Errorf("this is version %s; %s", version, f.what), Advice: "install a newer Vagrant"}
	}
	return nil
}

// supported says from which version of Vagrant on a line of VirtualBox works:
// older ones refuse it (CHANGELOG GH-12947, GH-13513; GH-13709). Lines that
// are not named have been supported for long.
func supported(vbox release) (since string) {
	switch {
	case !vbox.before("7.2"):
		return "2.4.9"
	case !vbox.before("7.1"):
		return "2.4.2"
	case !vbox.before("7.0"):
		return "2.3.2"
	}
	return ""
}
