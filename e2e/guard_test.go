//go:build linux

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
)

// controlPort is a port through which programs can be started or stopped.
type controlPort struct {
	name, url string
	post      string // where a POST would change something
}

func controlPorts(l *rig.Lab) []controlPort {
	return []controlPort{
		{"engine", l.URL(1, 2375, "/version"), l.URL(1, 2375, "/containers/marathon/stop")},
		{"engine of a slave", l.URL(2, 2375, "/version"), l.URL(2, 2375, "/containers/mesos_slave1/stop")},
		{"Mesos", l.URL(1, 5050, "/state.json"), l.URL(1, 5050, "/api/v1/scheduler")},
		{"Mesos slave", l.URL(2, 5051, "/state.json"), l.URL(2, 5051, "/api/v1")},
		{"Marathon", l.URL(1, 8080, "/v2/apps"), l.URL(1, 8080, "/v2/apps/nginx/restart")},
		{"load balancer", l.URL(1, 9090, "/haproxy?stats"), l.URL(1, 9090, "/_mlb_signal/usr1")},
	}
}

// TestNobodyElseGetsIn knocks at every control port as a web page would, and
// as another user of this computer.
func TestNobodyElseGetsIn(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Create()
	before := l.Containers(3)
	for _, p := range controlPorts(l) {
		t.Run(p.name, func(t *testing.T) {
			l := l.In(t)
			ask := func(method, url string, header map[string]string) rig.Answer {
				a, err := rig.Ask(t.Context(), method, url, "", header)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			if a := l.Get(p.url); a.Status != http.StatusOK {
				t.Fatalf("we get %d %q", a.Status, a.Body)
			}
			for name, header := range map[string]map[string]string{
				"a rebound name":                     {"Host": "evil.example"},
				"a rebound name with our port":       {"Host": "evil.example:8080"},
				"a name that begins like our master": {"Host": l.IP(1) + ".evil.example"},
			} {
				if a := ask(http.MethodGet, p.url, header); a.Status != http.StatusForbidden {
					t.Errorf("%s gets %d %q", name, a.Status, a.Body)
				}
			}
			for name, header := range map[string]map[string]string{
				"a foreign page":                        {"Origin": "http://evil.example", "Content-Type": "text/plain"},
				"a foreign page, as browsers mark it":   {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
				"a page of another port":                {"Sec-Fetch-Site": "same-site"},
				"a sandboxed page":                      {"Origin": "null"},
				"a foreign page that pretends our name": {"Origin": "http://evil.example", "Host": "evil.example"},
			} {
				if a := ask(http.MethodPost, p.post, header); a.Status != http.StatusForbidden {
					t.Errorf("POST of %s gets %d %q", name, a.Status, a.Body)
				}
			}
			if got := askAs(t, otherUser, p.url); got != "403" {
				t.Errorf("another user gets %s", got)
			}
			if got := askAs(t, os.Getuid(), p.url); got != "200" {
				t.Errorf("we get %s", got)
			}
		})
	}
	if after := l.Containers(3); !mapsEqual(before, after) {
		t.Errorf("somebody got through: %v, now %v", before, after)
	}
	// The application is there for everybody.
	if got := askAs(t, otherUser, l.URL(1, 10000, "/")); got != "200" {
		t.Errorf("nginx answers another user %s", got)
	}
	l.Must("destroy")
}

// TestOtherUsersWhereAllowed opens the control ports to other users; web pages
// stay out.
func TestOtherUsersWhereAllowed(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Write("lab.yaml", "local: {allow_other_users: true}\nsubnet: "+l.Subnet+"\n")
	l.Must("create")
	for _, p := range controlPorts(l) {
		if got := askAs(t, otherUser, p.url); got != "200" {
			t.Errorf("%s: another user gets %s", p.name, got)
		}
		a, err := rig.Ask(t.Context(), http.MethodGet, p.url, "", map[string]string{"Host": "evil.example"})
		if err != nil || a.Status != http.StatusForbidden {
			t.Errorf("%s: a rebound name gets %d, %v", p.name, a.Status, err)
		}
	}
	l.Must("destroy")
}

// otherUser is nobody.
const otherUser = 65534

// askAs asks with curl as a user and returns the status.
func askAs(t *testing.T, uid int, url string) string {
	t.Helper()
	curl := labtest.NeedProgram(t, "curl")
	if uid != os.Getuid() && os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	cmd := exec.CommandContext(t.Context(), curl, "-s", "-o", "/dev/null", "-w", "%{http_code}", url)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.Output()
	if err != nil {
		return "no answer (" + err.Error() + ")"
	}
	return strings.TrimSpace(string(out))
}
