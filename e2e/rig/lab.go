//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/dockerd"
)

// Patience is how long a test waits for anything before it gives up. It is a
// bound against hanging, never a measure.
const Patience = 4 * time.Minute

// Lab is one lab under test. Its commands run in Work, where lab.yaml and app
// files may lie.
type Lab struct {
	tb       testing.TB
	binary   string
	Provider string // --provider
	Name     string
	State    string // --state-dir
	Work     string
	Subnet   string // a /24
	life     *os.File
	engine   *dockerd.Engine // below machines in containers, else nil
	Env      []string        // on top of the plain environment, NAME=value
}

// New prepares a lab of embedded machines without making it. Whatever it will
// have made is destroyed when the test ends.
func New(tb testing.TB) *Lab {
	tb.Helper()
	l := prepare(tb, "local")
	l.Subnet = labtest.Subnet(tb)
	life, end, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	l.life = life
	tb.Cleanup(func() {
		l.logsIfFailed()
		end.Close() // all machines die
		life.Close()
		l.awaitNoProcess()
	})
	return l
}

// prepare makes a lab's folders.
func prepare(tb testing.TB, provider string) *Lab {
	tb.Helper()
	l := &Lab{tb: tb, binary: Binary(tb), Provider: provider, Name: "lab"}
	dir, err := os.MkdirTemp("/tmp", "lab") // short: paths of unix sockets are
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove state: %v", err)
		}
	})
	l.State, l.Work = filepath.Join(dir, "s"), filepath.Join(dir, "w")
	for _, d := range []string{l.State, l.Work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	return l
}

// Beside prepares another lab with the same state folder.
func (l *Lab) Beside(name string) *Lab {
	l.tb.Helper()
	other := *l
	other.Name, other.Subnet = name, labtest.Subnet(l.tb)
	return &other
}

// In is the same lab in a subtest: what fails there fails the subtest.
func (l *Lab) In(tb testing.TB) *Lab {
	other := *l
	other.tb = tb
	return &other
}

// Life is the pipe with whose end all machines die.
func (l *Lab) Life() *os.File { return l.life }

// IP returns the address of node n, from 1.
func (l *Lab) IP(n int) string {
	a := netip.MustParsePrefix(l.Subnet).Addr()
	for range n {
		a = a.Next()
	}
	return a.String()
}

// URL is http://<address of node n>:<port><path>.
func (l *Lab) URL(n, port int, path string) string {
	return "http://" + l.IP(n) + ":" + strconv.Itoa(port) + path
}

// Dir is the lab's own folder.
func (l *Lab) Dir() string { return filepath.Join(l.State, l.Name) }

// Write writes a file into Work and returns its name.
func (l *Lab) Write(name, text string) string {
	l.tb.Helper()
	if err := os.WriteFile(filepath.Join(l.Work, name), []byte(text), 0o644); err != nil {
		l.tb.Fatal(err)
	}
	return name
}

// Create runs lab create on the lab's subnet, unless other addresses are
// given, and returns what it says it did.
func (l *Lab) Create(args ...string) flow.Created {
	l.tb.Helper()
	var made flow.Created
	l.Must(l.CreateArgs(append(args, "-o", "json")...)...).JSON(l.tb, &made)
	return made
}

// CreateArgs are the words of a create on the lab's subnet.
func (l *Lab) CreateArgs(args ...string) []string {
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--ips") }) {
		args = append([]string{"--subnet", l.Subnet}, args...)
	}
	return append([]string{"create"}, args...)
}

// Status runs lab status.
func (l *Lab) Status() flow.Status {
	l.tb.Helper()
	var s flow.Status
	l.Must("status", "-o", "json").JSON(l.tb, &s)
	return s
}

// AwaitWhole waits until lab status calls the lab whole and every checked app
// healthy.
func (l *Lab) AwaitWhole() flow.Status {
	l.tb.Helper()
	var s flow.Status
	l.Await("the lab to be whole", func(context.Context) error {
		s = l.Status()
		if !s.Whole {
			return fmt.Errorf("status: %s", compact(s))
		}
		for _, a := range s.Marathon.Apps {
			if a.Deploying || a.Checked && a.Healthy < a.Instances {
				return fmt.Errorf("%s: %d of %d healthy", a.ID, a.Healthy, a.Instances)
			}
		}
		return nil
	})
	return s
}

// Await waits for a condition, with patience.
func (l *Lab) Await(what string, fn func(context.Context) error) {
	l.tb.Helper()
	ctx, cancel := context.WithTimeout(l.tb.Context(), Patience)
	defer cancel()
	if err := lab.Until(ctx, 50*time.Millisecond, what, fn); err != nil {
		l.tb.Fatal(err)
	}
}

// logsIfFailed prints the ends of the machines' own logs.
func (l *Lab) logsIfFailed() {
	if !l.tb.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(l.State, "*", "machines", "*", "log"))
	for _, name := range logs {
		if data, err := os.ReadFile(name); err == nil {
			l.tb.Logf("%s:\n%s", name, tail(string(data), 15))
		}
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
