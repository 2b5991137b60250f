package provision

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const debianFacts = `@begin
1467811127.250000000
@os
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
ID=debian
VERSION_ID="12"
@init
systemd
@arch
x86_64
@hostname
node1
@id
uid=1000(vagrant) gid=1000(vagrant) groups=1000(vagrant),27(sudo)
@sudo
yes
@docker
/usr/sbin/dockerd
/usr/bin/docker
@package
install ok installed
@cgroup
2
@memory
MemTotal:        1017904 kB
MemFree:          100000 kB
@disk
Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/vda1         10255636 1234567   8476543      13% /
@container
@process
Name:	bash
CapEff:	0000000000000000
CapBnd:	000001ffffffffff
CapAmb:	0000000000000000
@boot
0e3ad3e6-0f3c-4a0c-9c3c-2f8f4c2a9f10
@networks
1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.2.15/24 brd 10.0.2.255 scope global dynamic eth0\       valid_lft 86322sec preferred_lft 86322sec
3: eth1@if9    inet 192.168.59.1/24 brd 192.168.59.255 scope global eth1\       valid_lft forever preferred_lft forever
4: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\       valid_lft forever preferred_lft forever
@end
1467811127.750000000
`

func TestParseFacts(t *testing.T) {
	got, err := parseFacts(debianFacts, time.Unix(1467811124, 5e8), time.Unix(1467811125, 5e8))
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{
		OSID: "debian", OSVersion: "12", OSName: "Debian GNU/Linux 12 (bookworm)", Init: Systemd, Arch: "amd64",
		Hostname: "node1", User: "vagrant", UID: 1000, Sudo: true, Engine: Engine{State: EngineStopped}, Cgroup: 2,
		MemoryMiB: 994, DiskMiB: 8277, ClockOffset: 2500 * time.Millisecond, ClockError: 250 * time.Millisecond,
		Package: "install ok installed", BootID: "0e3ad3e6-0f3c-4a0c-9c3c-2f8f4c2a9f10",
		Networks: []Network{{"eth0", netip.MustParsePrefix("10.0.2.15/24")}, {"eth1", netip.MustParsePrefix("192.168.59.1/24")}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestParseFactsOfLittle(t *testing.T) {
	little := "@begin\n1467811125.%N\n@os\n@init\nupstart\n@arch\nriscv64\n@hostname\n@id\n@sudo\n@docker\n@cgroup\n@memory\n@disk\n@end\n1467811125.%N\n"
	got, err := parseFacts(little, time.Unix(1467811125, 5e8), time.Unix(1467811125, 5e8))
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{Init: Upstart, Arch: "riscv64", UID: -1, Engine: Engine{State: EngineMissing}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	embedded := strings.Replace(little, "@os\n", "@os\nID=lab\n", 1)
	if got, err := parseFacts(embedded, time.Now(), time.Now()); err != nil || got.Engine != (Engine{State: EngineStopped, Embedded: true}) {
		t.Errorf("an embedded machine whose engine is stopped: %+v, %v", got.Engine, err)
	}
	for _, limited := range []struct{ from, to string }{
		{"@container\n", "@container\nyes\n"}, {"000001ffffffffff", "000001fffdffffff"},
	} {
		got, err := parseFacts(strings.Replace(debianFacts, limited.from, limited.to, 1), time.Now(), time.Now())
		if err != nil || !got.FixedClock || got.SharedKernel != (limited.from == "@container\n") {
			t.Errorf("with %q: shared kernel %v, fixed clock %v, %v", limited.to, got.SharedKernel, got.FixedClock, err)
		}
	}
	if _, err := parseFacts("@os\n@init\n", time.Now(), time.Now()); err == nil {
		t.Error("an answer that is cut off was accepted")
	}
}

// shellHost runs the script by this computer's shell.
type shellHost struct {
	sh     string
	engine error
}

func (h shellHost) Run(ctx context.Context, cmd string, _ io.Reader) ([]byte, error) {
	return exec.CommandContext(ctx, h.sh, "-c", cmd).Output()
}

func (h shellHost) EngineVersion(context.Context) (Engine, error) {
	return Engine{State: EngineRunning, Number: "20.10.24"}, h.engine
}

// TestFactsScript runs the script by every shell of this computer that may be
// somebody's login shell.
func TestFactsScript(t *testing.T) {
	for _, name := range []string{"sh", "dash", "bash", "ksh", "zsh"} {
		t.Run(name, func(t *testing.T) {
			sh, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("no %s here", name)
			}
			factsOfThisComputer(t, sh)
		})
	}
}

func factsOfThisComputer(t *testing.T, sh string) {
	f, err := FindFacts(t.Context(), shellHost{sh: sh})
	if err != nil {
		t.Fatal(err)
	}
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if f.Arch != runtime.GOARCH || f.Hostname != hostname || f.User == "" || f.UID != os.Getuid() {
		t.Errorf("facts of this computer: %+v", f)
	}
	if runtime.GOOS == "linux" && (f.BootID == "" || f.MemoryMiB == 0 || f.DiskMiB == 0) {
		t.Errorf("of Linux it knows too little: %+v", f)
	}
	if f.ClockOffset.Abs() > time.Minute {
		t.Errorf("this computer's clock is %s off itself", f.ClockOffset)
	}
	if f.Engine.Number != "20.10.24" {
		t.Errorf("engine %+v", f.Engine)
	}
	f, err = FindFacts(t.Context(), shellHost{sh: sh, engine: errors.New("nobody there")})
	if err != nil || f.Engine.State == EngineRunning {
		t.Errorf("with a silent engine: %+v, %v", f.Engine, err)
	}
}

func TestUnixTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1467811127.250000000": time.Unix(1467811127, 25e7), // date +%s.%N
		"1467811127.250000":    time.Unix(1467811127, 25e7), // bash
		"1467811127.%N":        time.Unix(1467811127, 5e8),  // a date without %N
	} {
		if got, ok := unixTime(text); !ok || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	if _, ok := unixTime("%s"); ok {
		t.Error("no time was taken for one")
	}
}

func TestParseVersion(t *testing.T) {
	for _, tt := range []struct {
		name, server, body string
		want               Engine
	}{
		{"Debian", "Docker/20.10.24 (linux)", `{"Platform":{"Name":""},"Components":[{"Name":"Engine"}],"Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12"}`,
			Engine{State: EngineRunning, Server: "Docker/20.10.24 (linux)", Number: "20.10.24+dfsg1", API: "1.41", MinAPI: "1.12"}},
		{"2016", "Docker/1.11.1 (linux)", `{"Version":"1.11.1","ApiVersion":"1.23"}`,
			Engine{State: EngineRunning, Server: "Docker/1.11.1 (linux)", Number: "1.11.1", API: "1.23"}},
		{"embedded by header", "lab-engine/dev", `{"Version":"dev","ApiVersion":"1.44"}`,
			Engine{State: EngineRunning, Server: "lab-engine/dev", Number: "dev", API: "1.44", Embedded: true}},
		{"embedded by platform", "", `{"Platform":{"Name":"lab-engine"},"Version":"dev","ApiVersion":"1.44"}`,
			Engine{State: EngineRunning, Number: "dev", API: "1.44", Embedded: true}},
	} {
		got, err := parseVersion(tt.server, []byte(tt.body))
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", tt.name, err, diff)
		}
	}
	for _, body := range []string{"", "404 page not found", "{}"} {
		if _, err := parseVersion("", []byte(body)); err == nil {
			t.Errorf("%q was taken for an engine", body)
		}
	}
}

func TestClientVersion(t *testing.T) {
	for _, tt := range []struct{ api, min, want string }{
		{"1.23", "", "1.23"}, {"1.41", "1.12", "1.41"}, {"1.44", "1.24", "1.44"}, {"1.99", "1.44", "1.56"}, {"1.17", "", ""}, {"1.99", "1.57", ""},
	} {
		got, err := clientVersion(Engine{API: tt.api, MinAPI: tt.min})
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("API %s from %s: %q, %v, want %q", tt.api, tt.min, got, err, tt.want)
		}
	}
}

func TestQuote(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	for _, word := range []string{"plain", "", "two words", "it's", `"$HOME" \`, "-m", "a;b", "~", "ü*"} {
		out, err := exec.Command(sh, "-c", Quote("printf", "%s", word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q comes back as %q, %v", word, out, err)
		}
	}
	if got := Quote("systemctl", "restart", "docker.service"); strings.Contains(got, "'") {
		t.Errorf("plain words were quoted: %s", got)
	}
}

// FuzzParseFacts: nothing that a machine says may end the program.
func FuzzParseFacts(f *testing.F) {
	f.Add(debianFacts)
	f.Add("@end\n@networks\n1: e inet 1.2.3.4/99\n@id\nuid=-1(\n@process\nCapBnd: zz")
	f.Fuzz(func(t *testing.T, out string) {
		facts, err := parseFacts(out, time.Unix(0, 0), time.Unix(1, 0))
		if err != nil {
			return
		}
		for _, n := range facts.Networks {
			if !n.Address.IsValid() || n.Address.Addr().IsLoopback() {
				t.Errorf("network %v", n)
			}
		}
	})
}
