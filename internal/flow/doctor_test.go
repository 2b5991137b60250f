package flow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/internal/computer/computertest"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision/images"
)

// candidate is a provider of which only the look at this computer matters.
type candidate struct {
	*labtest.MemProvider
	features lab.Features
	lacks    string
	found    []lab.Finding
	seen     lab.Foreseen
	busy     bool // no subnet is free

	mu    sync.Mutex
	plans []lab.Plan // it was asked about
	depth []lab.Depth
}

func (c *candidate) Features() lab.Features { return c.features }

func (c *candidate) Ready(context.Context, lab.Plan) error {
	if c.lacks != "" {
		return errors.New(c.lacks)
	}
	return nil
}

func (c *candidate) Check(_ context.Context, plan lab.Plan, depth lab.Depth) []lab.Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans, c.depth = append(c.plans, plan), append(c.depth, depth)
	return c.found
}

func (c *candidate) Foresee(context.Context, lab.Plan) lab.Foreseen { return c.seen }

func (c *candidate) SubnetFree(_ context.Context, subnet string, _ lab.PortsSpec) bool {
	return !c.busy && !strings.HasSuffix(subnet, ".59.0/24")
}

// clinic is a flow over three candidates: real VMs, real containers, embedded
// machines.
type clinic struct {
	*Flow
	vms, containers, embedded *candidate
	notes                     []string
}

func newClinic(t *testing.T) *clinic {
	mem := labtest.NewMemProvider(labtest.NewNetwork())
	features := func(name string, real bool, net string) lab.Features {
		f := mem.Features()
		f.Name, f.Real, f.Subnets = name, real, []string{net + ".59.0/24", net + ".60.0/24", net + ".61.0/24"}
		return f
	}
	c := &clinic{
		vms:        &candidate{MemProvider: mem, features: features("vms", true, "192.168")},
		containers: &candidate{MemProvider: mem, features: features("containers", true, "192.168")},
		embedded:   &candidate{MemProvider: mem, features: features("embedded", false, "127.168")},
	}
	c.vms.features.Stack = "seed"
	dir := t.TempDir()
	fake := &computertest.Fake{Files: map[string]string{filepath.Join(dir, "state", "x"): ""}, Programs: map[string]string{"ssh": ""}}
	c.Flow = &Flow{
		Store: state.NewStore(filepath.Join(dir, "state")), Computer: fake.Computer(), Auto: []string{"vms", "containers", "embedded"},
		Providers: map[string]lab.Provider{"vms": c.vms, "containers": c.containers, "embedded": c.embedded},
		Report: func(e lab.Event) {
			if e.Kind == lab.EventNote {
				c.notes = append(c.notes, e.Text)
			}
		},
	}
	return c
}

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		spec              lab.Spec
		vms, containers   string
		want, why, failed string
	}{
		"the best":               {want: "vms"},
		"the second":             {vms: "no Vagrant", want: "containers", why: "why containers: no Vagrant · to get it: lab doctor --provider vms"},
		"the last":               {vms: "no Vagrant", containers: "no Docker engine", want: "embedded", why: "why embedded: no Vagrant; no Docker engine · to get it: lab doctor --provider vms"},
		"named":                  {spec: lab.Spec{Provider: "vms"}, vms: "no Vagrant", want: "vms"},
		"auto by name":           {spec: lab.Spec{Provider: "auto"}, vms: "no Vagrant", want: "containers", why: "why containers: no Vagrant · to get it: lab doctor --provider vms"},
		"unknown":                {spec: lab.Spec{Provider: "hyperv"}, want: "hyperv", failed: "provider-missing"},
		"a loopback subnet":      {spec: lab.Spec{Subnet: "127.168.70.0/24"}, want: "embedded", why: "why embedded: vms takes no loopback addresses; containers takes no loopback addresses · to get it: lab doctor --provider vms"},
		"loopback addresses":     {spec: lab.Spec{IPs: []string{"127.1.1.1", "127.1.1.2"}}, want: "embedded", why: "why embedded: vms takes no loopback addresses; containers takes no loopback addresses · to get it: lab doctor --provider vms"},
		"the seed, if it can be": {spec: lab.Spec{Stack: "seed"}, vms: "no Vagrant", want: "containers", why: "why containers: no Vagrant · to get it: lab doctor --provider vms"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newClinic(t)
			f.vms.lacks, f.containers.lacks = c.vms, c.containers
			got, err := f.choose(t.Context(), c.spec)
			if got.name != c.want || (err == nil && got.why() != c.why) || lab.ErrorID(err) != c.failed {
				t.Errorf("%q, %q, %v", got.name, got.why(), err)
			}
			if len(f.vms.plans)+len(f.containers.plans) > 0 {
				t.Error("choosing is no check")
			}
		})
	}
}

func TestReadyKnowsWhatCannotBe(t *testing.T) {
	f := newClinic(t)
	for name, spec := range map[string]lab.Spec{"private addresses": {Subnet: "192.168.70.0/24"}, "the seed": {Stack: "seed"}} {
		if err := ready(t.Context(), f.embedded, spec.WithDefaults()); err == nil {
			t.Errorf("%s on embedded machines: ready", name)
		}
	}
}

// stopped is what a create must not get past.
var stopped = computer.Stop("subnet-taken", "take another", "somebody has it")

func TestCreateIsStoppedBeforeAnythingIsWritten(t *testing.T) {
	usage := computer.Failure("x", &lab.Error{ID: "subnet-unfit", Err: fmt.Errorf("%w: no", lab.ErrUsage), Advice: "another"})
	for name, c := range map[string]struct {
		found []lab.Finding
		id    string
		usage bool
	}{
		"a stop":              {[]lab.Finding{computer.OK("a", "fine"), stopped}, "subnet-taken", false},
		"a stop of the spec":  {[]lab.Finding{usage}, "subnet-unfit", true},
		"two stops":           {[]lab.Finding{stopped, usage}, "subnet-taken", true},
		"a failure of no one": {[]lab.Finding{{ID: "odd", Severity: lab.SeverityStop, Text: "odd", Err: errors.New("odd")}}, "odd", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newClinic(t)
			f.embedded.found = c.found
			_, err := f.Create(t.Context(), lab.Spec{Provider: "embedded"})
			if lab.ErrorID(err) != c.id || errors.Is(err, lab.ErrUsage) != c.usage {
				t.Fatalf("%v", err)
			}
			e, _ := errors.AsType[*lab.Error](err)
			if e.Advice == "" && name != "a failure of no one" {
				t.Error("no advice")
			}
			if _, err := f.Store.Load("lab"); !errors.Is(err, lab.ErrNotFound) {
				t.Errorf("a record was written: %v", err)
			}
			plan := f.embedded.plans[0]
			if f.embedded.depth[0] != lab.CheckQuick || plan.Spec.Subnet != "127.168.60.0/24" || len(plan.Nodes) != 3 || plan.Dir != f.Store.LabDir("lab") {
				t.Errorf("asked about %+v, depth %d", plan, f.embedded.depth[0])
			}
		})
	}
}

// TestAdmit: warnings are one line each, and what a lab was stopped by comes
// before it is changed.
func TestAdmit(t *testing.T) {
	f := newClinic(t)
	f.embedded.found = []lab.Finding{computer.Warn("memory", "end other programs", "little is left"), computer.Note("n", "", "by the way"), computer.OK("o", "fine")}
	l, err := f.Store.Allocate(lab.Spec{Slaves: 1}.WithDefaults(), "embedded", f.embedded.features.Subnets, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if err := f.admit(t.Context(), f.embedded, lab.Plan{Dir: l.Dir, ID: l.ID, Spec: l.Spec}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"warning: little is left · end other programs"}; !slices.Equal(f.notes, want) {
		t.Errorf("told %q, want %q", f.notes, want)
	}
	f.embedded.found = []lab.Finding{stopped}
	if _, _, err := f.recall(t.Context(), lab.Spec{Slaves: 4}, &changes{}); lab.ErrorID(err) != "subnet-taken" {
		t.Errorf("a change: %v", err)
	}
	if back, err := f.Store.Load("lab"); err != nil || back.Spec.Slaves != 1 {
		t.Errorf("the record: %+v, %v", back, err)
	}
	if plan := f.embedded.plans[len(f.embedded.plans)-1]; len(plan.Nodes) != 5 || plan.ID != l.ID {
		t.Errorf("asked about %+v", plan)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.admit(ctx, f.embedded, lab.Plan{Spec: l.Spec}); !errors.Is(err, context.Canceled) || lab.ErrorID(err) != "" {
		t.Errorf("interrupted: %v", err)
	}
}

// TestExhaustedPoolHasAReason: one program that listens everywhere takes every
// subnet, and is worth more words than the number of subnets.
func TestExhaustedPoolHasAReason(t *testing.T) {
	f := newClinic(t)
	f.embedded.busy = true
	if _, _, err := f.record(t.Context(), lab.Spec{Provider: "embedded"}); lab.ErrorID(err) != "subnet-exhausted" {
		t.Errorf("nothing to be found: %v", err)
	}
	f.embedded.found = []lab.Finding{computer.Stop("port-taken", "end it", "python3 has 8080")}
	if _, _, err := f.record(t.Context(), lab.Spec{Provider: "embedded"}); lab.ErrorID(err) != "port-taken" {
		t.Errorf("%v", err)
	}
}

func ids(d *Diagnosis, s lab.Severity) string {
	var out []string
	for _, f := range d.Findings {
		if f.Severity == s {
			out = append(out, f.ID)
		}
	}
	return strings.Join(out, " ")
}

func diagnose(t *testing.T, f *clinic, spec lab.Spec) *Diagnosis {
	t.Helper()
	d, err := f.Diagnose(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiagnoseNewLab(t *testing.T) {
	f := newClinic(t)
	f.vms.lacks, f.containers.lacks = "no Vagrant", "no Docker engine"
	f.embedded.found = []lab.Finding{computer.OK("a", "fine"), computer.Note("b", "", "x"), computer.Warn("c", "", "x"), stopped}
	d := diagnose(t, f, lab.Spec{Slaves: 4})
	if d.Provider != "embedded" || d.Exists || d.Machines != 5 || d.Where != "127.168.60.0/24" || !strings.HasPrefix(d.Why, "why embedded: ") {
		t.Errorf("%+v", d)
	}
	if want := []Lack{{"vms", "no Vagrant"}, {"containers", "no Docker engine"}}; !slices.Equal(d.Others, want) {
		t.Errorf("others %v", d.Others)
	}
	var order []string
	for _, x := range d.Findings {
		if len(order) == 0 || order[len(order)-1] != string(x.Severity) {
			order = append(order, string(x.Severity))
		}
	}
	if got := strings.Join(order, " "); got != "stop warn note ok" {
		t.Errorf("order %s", got)
	}
	if d.Count(lab.SeverityStop) != 1 || ids(d, lab.SeverityWarn) != "c" {
		t.Errorf("%+v", d.Findings)
	}
	if plan := f.embedded.plans[0]; plan.ID != "" || plan.Dir != f.Store.LabDir("lab") || f.embedded.depth[0] != lab.CheckFull {
		t.Errorf("asked about %+v", plan)
	}
	if _, err := os.Stat(f.Store.LabDir("lab")); err == nil {
		t.Error("looking has made a folder")
	}
	// Another one by name: nobody else is asked.
	if d := diagnose(t, f, lab.Spec{Provider: "vms", Subnet: "192.168.77.0/24"}); d.Provider != "vms" || d.Why != "" || len(d.Others) > 0 || d.Where != "192.168.77.0/24" {
		t.Errorf("%+v", d)
	}
	f.embedded.busy = true
	if d := diagnose(t, f, lab.Spec{}); d.Where != "127.168.59.0/24" {
		t.Errorf("where all subnets are taken, the first is looked at: %s", d.Where)
	}
}

func TestDiagnoseExistingLab(t *testing.T) {
	f := newClinic(t)
	l, err := f.Store.Allocate(lab.Spec{Slaves: 1}.WithDefaults(), "containers", f.containers.features.Subnets, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.RecordFault(state.Fault{ID: "1", Fault: "kill node2", By: "scenario failover", Undo: lab.PowerOn, Nodes: []string{"node2"}}); err != nil {
		t.Fatal(err)
	}
	d := diagnose(t, f, lab.Spec{})
	if d.Provider != "containers" || !d.Exists || d.Machines != 2 || d.Where != l.Spec.Subnet {
		t.Errorf("%+v", d)
	}
	if ids(d, lab.SeverityWarn) != "lab-broken" || ids(d, lab.SeverityStop) != "" {
		t.Errorf("%+v", d.Findings)
	}
	if plan := f.containers.plans[0]; plan.ID != l.ID || plan.Dir != l.Dir {
		t.Errorf("asked about %+v", plan)
	}
	if want := []Lack{{Provider: "vms"}, {Provider: "embedded"}}; !slices.Equal(d.Others, want) {
		t.Errorf("others %v", d.Others)
	}
	// With another provider it would be another lab of the same name.
	if d := diagnose(t, f, lab.Spec{Provider: "embedded"}); ids(d, lab.SeverityWarn) != "lab-exists lab-broken" || d.Exists {
		t.Errorf("%+v", d)
	}
	// Its addresses are not for another.
	if d := diagnose(t, f, lab.Spec{Name: "class", Provider: "containers", Subnet: l.Spec.Subnet}); !strings.Contains(ids(d, lab.SeverityStop), "subnet-taken") {
		t.Errorf("%+v", d.Findings)
	}
	if _, err := f.Diagnose(t.Context(), lab.Spec{Subnet: "192.168.88.0/24"}); lab.ErrorID(err) != "spec-fixed" {
		t.Errorf("a change that cannot be: %v", err)
	}
}

func TestCommonChecks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *clinic, fake *computertest.Fake, spec *lab.Spec)
		stop   string
		warn   string
		note   string
	}{
		"all is well": {change: func(*clinic, *computertest.Fake, *lab.Spec) {}},
		"no writing": {change: func(f *clinic, fake *computertest.Fake, _ *lab.Spec) { fake.Forbidden = []string{f.Store.Dir()} },
			stop: "state-unwritable"},
		"read-only": {change: func(_ *clinic, fake *computertest.Fake, _ *lab.Spec) {
			fake.Disk = computer.Disk{Free: lab.GiB, ReadOnly: true}
		}, stop: "state-unwritable"},
		"in memory": {change: func(_ *clinic, fake *computertest.Fake, _ *lab.Spec) {
			fake.Disk = computer.Disk{Free: lab.GiB, Kind: "tmpfs"}
		}, note: "state-folder"},
		"over the network": {change: func(_ *clinic, fake *computertest.Fake, _ *lab.Spec) {
			fake.Disk = computer.Disk{Free: lab.GiB, Kind: "nfs4"}
		}, warn: "state-folder"},
		"no ssh": {change: func(_ *clinic, fake *computertest.Fake, _ *lab.Spec) { fake.Programs = nil }, note: "ssh-client"},
		"WSL": {change: func(_ *clinic, fake *computertest.Fake, _ *lab.Spec) {
			fake.Files["/proc/sys/kernel/osrelease"] = "5.15-microsoft-standard-WSL2"
		}, note: "wsl-browser"},
		"folders of others": {change: func(f *clinic, _ *computertest.Fake, _ *lab.Spec) {
			for _, name := range []string{"photos", "lab"} {
				os.MkdirAll(f.Store.LabDir(name), 0o700)
				os.WriteFile(filepath.Join(f.Store.LabDir(name), "cat.jpg"), nil, 0o600)
			}
		}, stop: "state-foreign", note: "state-foreign"},
		"the seed on embedded machines": {change: func(_ *clinic, _ *computertest.Fake, s *lab.Spec) { s.Stack = "seed" }, stop: "stack-unsuitable"},
		"the seed's ports": {change: func(_ *clinic, _ *computertest.Fake, s *lab.Spec) {
			s.Provider, s.Ports.ZooKeeper = "vms", 2182
		}, stop: "port-fixed"},
		"the seed on VMs": {change: func(f *clinic, _ *computertest.Fake, s *lab.Spec) {
			s.Provider, f.vms.seen = "vms", lab.Foreseen{Arch: "amd64", Cgroup: 2, Engine: "20.10", API: "1.41", MinAPI: "1.12"}
		}, note: "cgroup-version seed-images"},
		"the seed on VMs that nobody knows": {change: func(_ *clinic, _ *computertest.Fake, s *lab.Spec) { s.Provider = "vms" }, note: "seed-images"},
		"the seed on a Mac": {change: func(f *clinic, _ *computertest.Fake, s *lab.Spec) {
			s.Provider, f.vms.seen = "vms", lab.Foreseen{Arch: "arm64"}
		}, stop: "arch-unsuitable", note: "seed-images"},
		"the seed on this kernel": {change: func(f *clinic, _ *computertest.Fake, s *lab.Spec) {
			s.Provider, s.Stack, f.containers.seen = "containers", "seed", lab.Foreseen{Arch: "amd64", Cgroup: 2, SharedKernel: true, Engine: "29.0", API: "1.52", MinAPI: "1.44"}
		}, stop: "cgroup-version engine-too-new", note: "seed-images"},
		"the mini stack on this kernel": {change: func(f *clinic, _ *computertest.Fake, s *lab.Spec) {
			s.Provider, f.containers.seen = "containers", lab.Foreseen{Arch: "arm64", Cgroup: 2, SharedKernel: true, MinAPI: "1.44"}
		}},
		"no program for the mini stack's images": {change: func(f *clinic, _ *computertest.Fake, s *lab.Spec) {
			s.Provider, f.Images.Maker = "containers", &images.Maker{Executable: "/nonexistent/lab"}
		}, stop: "mini-binary-missing"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newClinic(t)
			fake := &computertest.Fake{Files: map[string]string{filepath.Join(f.Store.Dir(), "x"): ""}, Programs: map[string]string{"ssh": ""}}
			spec := lab.Spec{Provider: "embedded"}
			c.change(f, fake, &spec)
			f.Computer = fake.Computer()
			d := diagnose(t, f, spec)
			if ids(d, lab.SeverityStop) != c.stop || ids(d, lab.SeverityWarn) != c.warn || ids(d, lab.SeverityNote) != c.note {
				t.Errorf("stop %q, warn %q, note %q; want %q, %q, %q\n%+v", ids(d, lab.SeverityStop), ids(d, lab.SeverityWarn), ids(d, lab.SeverityNote), c.stop, c.warn, c.note, d.Findings)
			}
		})
	}
}

func TestMend(t *testing.T) {
	f := newClinic(t)
	var did []string
	repair := func(id string, err error) lab.Finding {
		one := computer.Warn(id, "", "x")
		one.RepairText = "do " + id
		one.Repair = func(context.Context) error { did = append(did, id); return err }
		return one
	}
	got, err := f.Mend(t.Context(), []lab.Finding{repair("a", nil), stopped, repair("b", errors.New("no")), repair("c", nil)})
	if want := []Mended{{"a", "do a", ""}, {"b", "do b", "no"}, {"c", "do c", ""}}; !slices.Equal(got, want) || err == nil {
		t.Errorf("%+v, %v", got, err)
	}
	if strings.Join(did, "") != "abc" || !slices.Equal(f.notes, []string{"a: do a", "b: do b", "c: do c"}) {
		t.Errorf("did %q, told %q", did, f.notes)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, _ := f.Mend(ctx, []lab.Finding{repair("d", nil)}); len(got) > 0 {
		t.Errorf("interrupted: %v", got)
	}
}
