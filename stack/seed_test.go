package stack

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
	"github.com/moby/moby/client"
)

func seedContainers(t *testing.T, spec lab.Spec) map[string]Container {
	t.Helper()
	spec.Stack = "seed"
	out := map[string]Container{}
	for _, c := range mustPlatform(t, spec, vagrantFeatures, nodesAt("192.168.59.0/24", 2)).Containers() {
		out[c.Name] = c
	}
	return out
}

// TestSeedFaultsAreNotRepeated looks at what lab adds to the article's command
// lines; numbers are those of docs/seed.md.
func TestSeedFaultsAreNotRepeated(t *testing.T) {
	all := seedContainers(t, lab.Spec{})
	slave, master, marathon := all["mesos_slave1"], all["mesos_master"], all["marathon"]
	has := func(fault int, list []string, want string) {
		t.Helper()
		if !slices.Contains(list, want) {
			t.Errorf("fault %d: %q lacks %q", fault, list, want)
		}
	}
	args := func(c Container) string { return strings.Join(c.Cmd, " ") }
	has(7, slave.Env, "MESOS_DOCKER_MESOS_IMAGE="+slave.Image)
	has(8, marathon.Cmd, "--task_launch_timeout")
	if ms, err := strconv.Atoi(marathon.Cmd[slices.Index(marathon.Cmd, "--task_launch_timeout")+1]); err != nil || ms <= 10*60*1000 {
		t.Errorf("fault 8: Marathon gives up after %d ms, before the slave's 10 minutes", ms)
	}
	if strings.Contains(args(marathon), "event_subscriber") {
		t.Errorf("fault 9: %s", args(marathon))
	}
	has(12, marathon.Cmd, "--hostname")
	has(12, marathon.Env, "LIBPROCESS_IP=192.168.59.1")
	const state = "/var/lib/lab/0123abcd"
	has(18, all["zookeeper"].Binds, state+"/zookeeper:/tmp/zookeeper")
	has(18, master.Binds, state+"/mesos-master:/var/lib/mesos")
	has(18, slave.Binds, state+"/mesos:"+state+"/mesos") // the same path on both sides
	has(18, slave.Env, "MESOS_WORK_DIR="+state+"/mesos")
	has(20, master.Binds, state+"/log/mesos_master:/log/mesos")
	has(20, all["mesos_slave2"].Binds, state+"/log/mesos_slave2:/log/mesos")
	for name, c := range all {
		if c.Restart != "always" {
			t.Errorf("fault 19: %s restarts %q", name, c.Restart)
		}
		logs := createOptions(c).HostConfig.LogConfig
		if logs.Type != "json-file" || logs.Config["max-size"] != "10m" || logs.Config["max-file"] == "" {
			t.Errorf("fault 20: %s logs by %+v", name, logs)
		}
		if createOptions(c).Config.Tty {
			t.Errorf("fault 20: %s has a terminal", name)
		}
	}
	// Other addresses move everything (fault 4).
	for name, c := range seedContainersAt(t, "192.168.77.0/24") {
		if text := args(c) + strings.Join(c.Env, " "); strings.Contains(text, "192.168.59.") {
			t.Errorf("fault 4: %s still says %s", name, text)
		}
	}
}

func seedContainersAt(t *testing.T, subnet string) map[string]Container {
	out := map[string]Container{}
	for _, c := range mustPlatform(t, lab.Spec{Stack: "seed"}, vagrantFeatures, nodesAt(subnet, 2)).Containers() {
		out[c.Name] = c
	}
	return out
}

// TestSpecWinsOverSeed: what the spec says replaces what lab adds, once.
func TestSpecWinsOverSeed(t *testing.T) {
	all := seedContainers(t, lab.Spec{
		Marathon: lab.MarathonSpec{Args: []string{"--task_launch_timeout=900000", "--hostname", "lab.example", "--enable_features", "x"}},
		Mesos:    lab.MesosSpec{Env: map[string]string{"MESOS_DOCKER_MESOS_IMAGE": "", "MESOS_WORK_DIR": "/mnt/mesos", "MESOS_QUIET": "true"}},
	})
	want := []string{"--master", "zk://192.168.59.1:2181/mesos", "--zk", "zk://192.168.59.1:2181/marathon",
		"--task_launch_timeout=900000", "--hostname", "lab.example", "--enable_features", "x"}
	if diff := cmp.Diff(want, all["marathon"].Cmd); diff != "" {
		t.Error(diff)
	}
	if binds := all["mesos_slave1"].Binds; !slices.Contains(binds, "/mnt/mesos:/mnt/mesos") {
		t.Errorf("another work directory is bound as %q", binds)
	}
	wantEnv := []string{"MASTER_IP=192.168.59.1", "LOCAL_IP=192.168.59.2", "MESOS_REGISTRATION_BACKOFF_FACTOR=100ms", "MESOS_QUIET=true", "MESOS_WORK_DIR=/mnt/mesos"}
	if diff := cmp.Diff(wantEnv, all["mesos_slave1"].Env); diff != "" {
		t.Error(diff)
	}
}

// TestSeedCleanStart: slaves bring nothing along into a cluster that begins
// anew, and keep everything in one that goes on.
func TestSeedCleanStart(t *testing.T) {
	for _, kept := range []bool{true, false} {
		inWorld(t, lab.Spec{Stack: "seed"}, func(t *testing.T, w *world) {
			for _, e := range w.engines {
				for _, c := range w.platform.Containers() {
					e.images[c.Image] = true
				}
			}
			if _, err := w.converge(t.Context(), Options{}); err != nil {
				t.Fatal(err)
			}
			master, node2 := w.engines["node1"], w.engines["node2"]
			if _, err := master.ContainerRemove(t.Context(), "zookeeper", client.ContainerRemoveOptions{}); err != nil {
				t.Fatal(err)
			}
			if kept {
				master.latest = "kept\n"
			}
			node2.commands, node2.latest = nil, "/var/lib/lab/0123abcd/mesos/meta/slaves/abc-S1\n"
			r, err := w.converge(t.Context(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if kept {
				if len(r.Recreated) > 0 || len(node2.commands) > 0 {
					t.Errorf("ZooKeeper kept its data: recreated %q, ran %q", r.Recreated, node2.commands)
				}
				return
			}
			if want := []string{"mesos_slave1", "mesos_slave2"}; !slices.Equal(r.Recreated, want) {
				t.Errorf("recreated %q, want %q", r.Recreated, want)
			}
			if len(node2.commands) != 1 || !strings.Contains(node2.commands[0], "rm -f /var/lib/lab/0123abcd/mesos/meta/slaves/latest") {
				t.Errorf("ran %q", node2.commands)
			}
		})
	}
}

// TestSeedDocument: every one of the 25 faults has its line, once, in order,
// and every file that the document names is there.
func TestSeedDocument(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "docs", "seed.md"))
	if err != nil {
		t.Fatal(err)
	}
	next := 1
	for line := range strings.Lines(string(data)) {
		m := regexp.MustCompile(`^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`).FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		if m[1] != strconv.Itoa(next) {
			t.Errorf("fault %s stands where %d should", m[1], next)
		}
		next++
		for _, cell := range m[2:] {
			if len(strings.TrimSpace(cell)) < 8 {
				t.Errorf("fault %s: %q says nothing", m[1], cell)
			}
		}
	}
	if next != 26 {
		t.Errorf("%d faults have a line, want 25", next-1)
	}
	for _, m := range regexp.MustCompile("`([a-z]+(?:/[a-z_]+)*/?[a-z_]*\\.go)`").FindAllStringSubmatch(string(data), -1) {
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("docs/seed.md names %s: %v", m[1], err)
		}
	}
	if !regexp.MustCompile("`[a-z/_]+\\.go`").Match(data) {
		t.Error("docs/seed.md names no file")
	}
}

// TestUnmet is the table of machines and stacks.
func TestUnmet(t *testing.T) {
	good := provision.Facts{Arch: "amd64", Cgroup: 1, Init: provision.Systemd, DiskMiB: 9000,
		Engine: provision.Engine{State: provision.EngineRunning, Number: "20.10.24", API: "1.41", MinAPI: "1.12"}}
	with := func(change func(*provision.Facts)) provision.Facts {
		f := good
		change(&f)
		return f
	}
	engine := func(number, api, min string) func(*provision.Facts) {
		return func(f *provision.Facts) {
			f.Engine = provision.Engine{State: provision.EngineRunning, Number: number, API: api, MinAPI: min}
		}
	}
	v2 := func(f *provision.Facts) { f.Cgroup = 2 }
	for _, tt := range []struct {
		name  string
		needs Needs
		facts provision.Facts
		want  string // ids, a * behind those that lab cures
	}{
		{"the article's machine", SeedNeeds(), good, ""},
		{"nothing known", SeedNeeds(), provision.Facts{}, ""},
		{"arm", SeedNeeds(), with(func(f *provision.Facts) { f.Arch = "arm64" }), "arch-unsuitable"},
		{"Debian 12 in a VM", SeedNeeds(), with(v2), "cgroup-version*"},
		{"a container on such a computer", SeedNeeds(), with(func(f *provision.Facts) { v2(f); f.SharedKernel = true }), "cgroup-version"},
		{"sysvinit with v2", SeedNeeds(), with(func(f *provision.Facts) { v2(f); f.Init = provision.SysVinit }), "cgroup-version"},
		{"engine 1.11 of 2016", SeedNeeds(), with(engine("1.11.1", "1.23", "")), ""},
		{"engine 1.6 of Ubuntu 14.04", SeedNeeds(), with(engine("1.6.2", "1.18", "")), "engine-too-old"},
		{"engine 24", SeedNeeds(), with(engine("24.0.9", "1.43", "1.12")), ""},
		{"engine 25", SeedNeeds(), with(engine("25.0.5", "1.44", "1.24")), "engine-too-new"},
		{"engine 29.0", SeedNeeds(), with(engine("29.0.0", "1.52", "1.44")), "engine-too-new"},
		{"a small disk", SeedNeeds(), with(func(f *provision.Facts) { f.DiskMiB = 800 }), "disk-full"},
		{"everything at once", SeedNeeds(), with(func(f *provision.Facts) {
			*f = provision.Facts{Arch: "arm64", Cgroup: 2, DiskMiB: 1, Engine: provision.Engine{API: "1.44", MinAPI: "1.24"}}
		}),
			"arch-unsuitable cgroup-version engine-too-new disk-full"},
		{"mini anywhere", MiniNeeds(), with(func(f *provision.Facts) { v2(f); f.Arch = "arm64"; engine("29.0.0", "1.52", "1.44")(f) }), ""},
		{"mini on an engine of 2018", MiniNeeds(), with(engine("18.06.1", "1.38", "1.12")), "engine-too-old"},
	} {
		var got []string
		for _, s := range tt.needs.Unmet("node2", tt.facts) {
			id := s.Err.ID
			if s.Cure != "" {
				id += "*"
			}
			got = append(got, id)
			if e := s.Err; e.Machine != "node2" || e.Advice == "" || e.Err == nil {
				t.Errorf("%s: %+v", tt.name, s)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	err := SeedNeeds().Unmet("node2", with(engine("29.0.0", "1.52", "1.44")))[0].Err
	for _, part := range []string{"29.0.0", "1.44", "1.23", "stack: mini", "images.mesos", "older engine"} {
		if !strings.Contains(err.Error()+err.Advice, part) {
			t.Errorf("engine-too-new does not say %q: %v; %s", part, err, err.Advice)
		}
	}
	full := SeedNeeds().Unmet("node3", provision.Facts{DiskMiB: 800})[0].Err
	if text := full.Error(); !strings.Contains(text, "node3") || !strings.Contains(text, "800 MiB") || !strings.Contains(text, "3072 MiB") {
		t.Errorf("disk-full says %q", text)
	}
}

// TestPlatformNeeds: whose images run decides what is needed.
func TestPlatformNeeds(t *testing.T) {
	needs := func(spec lab.Spec, f lab.Features) Needs {
		return mustPlatform(t, spec, f, nodesAt("192.168.59.0/24", 2)).Needs()
	}
	own := lab.ImagesSpec{ZooKeeper: "z", Mesos: "m", Marathon: "n", MarathonLB: "l"}
	for _, tt := range []struct {
		name string
		got  Needs
		want Needs
	}{
		{"embedded", needs(lab.Spec{}, localFeatures), Needs{}},
		{"mini on real machines", needs(lab.Spec{Stack: "mini"}, vagrantFeatures), MiniNeeds()},
		{"seed", needs(lab.Spec{Stack: "seed"}, vagrantFeatures), SeedNeeds()},
		{"another Mesos", needs(lab.Spec{Stack: "seed", Images: lab.ImagesSpec{Mesos: "m"}}, vagrantFeatures), Needs{Arch: []string{"amd64"}, DiskMiB: SeedNeeds().DiskMiB}},
		{"nothing of the seed's", needs(lab.Spec{Stack: "seed", Images: own}, vagrantFeatures), Needs{DiskMiB: SeedNeeds().DiskMiB}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
