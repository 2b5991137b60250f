package lab

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestLoadSpecNamesEveryProblemAtOnce(t *testing.T) {
	_, err := LoadSpec("lab.yaml", strings.NewReader(`name: Lab
slavs: 3
docker:
  tcp: opened
  install: "no idea"
ports: [1]
machine: {memory: lots}
ips: 7
`))
	if !errors.Is(err, ErrUsage) || ErrorID(err) != "spec-invalid" {
		t.Fatalf("%v: want a usage error spec-invalid", err)
	}
	for _, want := range []string{
		`lab.yaml:2: slavs: unknown key`, `did you mean slaves?`,
		`lab.yaml:5: docker.install: "no idea" must be true or false`,
		`lab.yaml:6: ports: is a list, must be a mapping`,
		`lab.yaml:7: machine.memory: "lots" must be a size like 1GiB`,
		`lab.yaml:8: ips: is "7", must be a list`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestLoadSpecValues(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"name: Lab", `lab.yaml:1: name: "Lab" must start with a small letter`},
		{"subnet: 192.168.59.0/16", "must be a /24"},
		{"subnet: 8.8.8.0/24", "is public"},
		{"subnet: 127.168.59.1/24", "names a host; the network is 127.168.59.0/24"},
		{"subnet: 127.1.1.0/24\nips: [127.1.1.1, 127.1.1.2]", "exclude each other"},
		{"ips: [127.1.1.1]", "needs at least two addresses"},
		{"ips: [127.1.1.1, 127.1.1.1]", "stands in ips[0] already"},
		{"slaves: 0", `slaves: "0" must be at least 1`},
		{"slaves: 99", "must be 1 to 50"},
		{"provider: virtualbox", "must be one of auto, local, docker, vagrant"},
		{"ports: {docker: 2376}", "does not fit docker.opts"},
		{"marathon-lb: {args: [health-check]}", "must be a flag of marathon-lb, like --health-check"},
		{"{stack: seed, marathon-lb: {args: [--health-check]}}", "does not go with stack: seed"},
		{"ports: {mesos: 8080, marathon: 8080}", "is the port of ports.mesos already"},
		{"mesos: {slave_ping_timeout: 500ms}", "must be 1s to 15m"},
		{"mesos: {env: {PATH: x}}", "must start with MESOS_"},
		{"app: nginx.yaml", "must be nginx, article, none, or a Marathon JSON file"},
		{"name: a\nname: b", "stands here twice"},
		{"- a", "must be a mapping"},
		{"a: [", "lab.yaml: "},
		{"name: a\n---\nname: b", "a second document"},
	} {
		_, err := LoadSpec("lab.yaml", strings.NewReader(c.yaml))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.yaml, err, c.want)
		}
	}
}

func TestDefaultsAreTheArticle(t *testing.T) {
	spec, err := LoadSpec("lab.yaml", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	spec = spec.WithDefaults()
	spec.Subnet = ArticleSubnet
	nodes, err := spec.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 3 || nodes[0].IP.String() != "192.168.59.1" || nodes[2].Alias() != "slave2" || nodes[0].Role != RoleMaster {
		t.Errorf("nodes %+v", nodes)
	}
	if len(spec.Validate()) != 0 {
		t.Errorf("the default spec has problems: %v", spec.Validate())
	}
}

func TestFindNode(t *testing.T) {
	nodes := []Node{{Name: "node1", Role: RoleMaster, IP: netip.MustParseAddr("127.1.1.1")}, {Name: "node2", Role: RoleSlave, IP: netip.MustParseAddr("127.1.1.2")}}
	for name, want := range map[string]string{"master": "node1", "slave1": "node2", "127.1.1.2": "node2", "node1": "node1"} {
		if n, err := FindNode(nodes, name); err != nil || n.Name != want {
			t.Errorf("%s: %v, %v", name, n.Name, err)
		}
	}
	if all, err := FindNodes(nodes, nil); err != nil || len(all) != 2 {
		t.Errorf("all nodes: %v, %v", all, err)
	}
	if some, err := FindNodes(nodes, []string{"slave1"}); err != nil || len(some) != 1 || some[0].Name != "node2" {
		t.Errorf("slave1: %v, %v", some, err)
	}
	if _, err := FindNodes(nodes, []string{"node1", "nod2"}); ErrorID(err) != "unknown-machine" {
		t.Errorf("one of two is unknown: %v", err)
	}
	if _, err := FindNode(nodes, "nod2"); ErrorID(err) != "unknown-machine" {
		t.Errorf("nod2: %v", err)
	}
}

func TestUntil(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		err := Until(ctx, time.Second, "the third try", func(context.Context) error {
			if n++; n < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || n != 3 {
			t.Errorf("%d tries, %v", n, err)
		}
		refused := errors.New("refused")
		err = Until(ctx, time.Second, "a miracle", func(context.Context) error { return refused })
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, refused) || !strings.Contains(err.Error(), "a miracle; last seen: refused") {
			t.Errorf("deadline: %v", err)
		}
		if err := Until(t.Context(), time.Second, "x", func(context.Context) error { return Permanent(refused) }); !errors.Is(err, refused) {
			t.Errorf("permanent: %v", err)
		}
	})
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"1GiB": GiB, "512 MiB": 512 * MiB, "10g": 10 * GiB, "4096": 4096} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "lots", "-1GiB", "1.5GiB", "99999999999TiB", "GiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func FuzzLoadSpec(f *testing.F) {
	f.Add("name: lab\nslaves: 3\ndocker: {tcp: open}\nmesos: {env: {MESOS_X: y}}")
	f.Add("a: &b [*b]")
	f.Add("machine: {memory: 1GiB, cpus: 0x10}\nips: [127.0.0.1, 127.0.0.2]")
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := LoadSpec("lab.yaml", strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrUsage) {
				t.Fatalf("%v: not a usage error", err)
			}
			return
		}
		full := spec.WithDefaults()
		if problems := full.Validate(); len(problems) > 0 {
			t.Fatalf("accepted, but with defaults: %v", problems)
		}
	})
}

func FuzzTCPPort(f *testing.F) {
	f.Add(DefaultOpts)
	f.Add("--host=tcp://127.0.0.1:2376 --tls=false")
	f.Fuzz(func(t *testing.T, opts string) {
		if port, ok := TCPPort(opts); ok && port < 0 {
			t.Fatalf("port %d from %q", port, opts)
		}
	})
}

// TestStepSaysOnceWhatItWaitsFor: a wait that looks often is not told each time,
// one that comes back is.
func TestStepSaysOnceWhatItWaitsFor(t *testing.T) {
	var heard []string
	report := Report(func(e Event) { heard = append(heard, string(e.Kind)+" "+e.Text) })
	err := report.Step("create", "node1", "boot", func(wait func(string)) error {
		for _, text := range []string{"ssh", "ssh", "disk", "ssh"} {
			wait(text)
		}
		return nil
	})
	want := []string{"start ", "wait ssh", "wait disk", "wait ssh", "done "}
	if err != nil || !slices.Equal(heard, want) {
		t.Errorf("%q, %v; want %q", heard, err, want)
	}
}
