//go:build linux

package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/scenarios"
)

// TestInside is TestVM's second half: a lab on virtual machines from create to
// destroy.
func TestInside(t *testing.T) {
	text := os.Getenv(insideEnv)
	if text == "" {
		t.Skip("TestVM runs this in namespaces of its own")
	}
	b := &bench{}
	if err := json.Unmarshal([]byte(text), &b.inside); err != nil {
		t.Fatal(err)
	}
	startLibvirt(t, b.Dir)
	t.Cleanup(func() { endDomains(t) })
	t.Cleanup(b.table)
	b.writeSpec(t)

	b.step(t, "create", b.stepCreate)
	b.step(t, "create again", func(t *testing.T) string {
		if made := b.create(t); len(made.Changed) > 0 {
			t.Errorf("changed %q", made.Changed)
		}
		return "nothing to do"
	})
	b.step(t, "status", b.stepStatus)
	b.step(t, "scenario failover", b.stepFailover)
	b.step(t, "create after the scenario", func(t *testing.T) string { return fmt.Sprintf("changed %q", b.create(t).Changed) })
	b.step(t, "snapshot save", b.stepSave)
	b.step(t, "destroy the app", b.stepDestroyApp)
	b.step(t, "snapshot restore", b.stepRestore)
	b.step(t, "suspend", b.stepSuspend)
	b.step(t, "resume", b.stepResume)
	b.step(t, "four slaves", b.stepFour)
	b.step(t, "two again", b.stepTwo)
	b.step(t, "repair of a killed slave", b.stepRepair)
	b.step(t, "destroy", b.stepDestroy)
}

// writeSpec writes the lab.yaml that lab box build has told of, for emulated
// machines.
func (b *bench) writeSpec(t *testing.T) {
	t.Helper()
	b.Box.Vagrant.Emulate = true
	spec := lab.Spec{Provider: "vagrant", Stack: "mini", Vagrant: b.Box.Vagrant, Machine: lab.MachineSpec{Memory: 768 * lab.MiB}}
	text, err := yaml.Marshal(map[string]any{
		"provider": spec.Provider, "stack": spec.Stack, "vagrant": spec.Vagrant, "machine": map[string]any{"memory": spec.Machine.Memory.String()},
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(b.Dir, "lab.yaml"), text, 0o644)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(b.Dir, "home"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stepFailover wants every criterion to hold. An emulated processor may leave a
// hole of more than a quarter of a second in the record, which makes the
// verdict INCONCLUSIVE; nothing else may.
func (b *bench) stepFailover(t *testing.T) string {
	var out bytes.Buffer
	err := b.run(t, &out, []string{"scenario", b.gentle(t, "failover"), "-o", "json"})
	var res scenarios.Result
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 4) {
		t.Fatalf("%v\n%s", err, out.String())
	}
	decode(t, out.String(), &res)
	res.WriteText(os.Stdout)
	for _, c := range res.Criteria {
		if c.State != scenarios.Held {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	if res.Verdict != scenarios.Pass && !strings.HasPrefix(res.Why, "no sample of ") {
		t.Errorf("%s: %s", res.Verdict, res.Why)
	}
	return fmt.Sprintf("%s, %d criteria held", res.Verdict, len(res.Criteria))
}

// gentle writes a copy of a built-in scenario with a tenth of its requests: an
// emulated processor opens few connections in a second.
func (b *bench) gentle(t *testing.T, name string) string {
	t.Helper()
	script := b.lab(t, "scenario", "show", name)
	gentle := strings.Replace(script, "rate=50", "rate=5", 1)
	gentle = strings.Replace(gentle, "baseline nginx requests=100", "baseline nginx requests=50", 1)
	if gentle == script {
		t.Fatalf("no rate=50 in %s", script)
	}
	file := filepath.Join(b.Dir, name+".txt")
	if err := os.WriteFile(file, []byte(gentle), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func (b *bench) stepCreate(t *testing.T) string {
	made := b.create(t)
	b.master = made.MasterIP
	b.serving(t)
	if got := virsh(t, "list", "--name"); len(got) != 3 {
		t.Errorf("machines at libvirt: %q", got)
	}
	return "3 machines"
}

func (b *bench) stepStatus(t *testing.T) string {
	b.whole(t)
	before := b.ruby(t)
	var took []time.Duration
	for range 5 {
		start := time.Now()
		b.status(t)
		took = append(took, time.Since(start))
	}
	if b.ruby(t) != before {
		t.Error("status has started Vagrant")
	}
	slices.Sort(took)
	return fmt.Sprintf("lab status itself: median of 5 %.2f s (%.2f–%.2f)", took[2].Seconds(), took[0].Seconds(), took[4].Seconds())
}

func (b *bench) stepSave(t *testing.T) string {
	b.lab(t, "snapshot", "save", "clean")
	b.lab(t, "snapshot", "save", "clean") // replaced
	var all []flow.Snapshot
	decode(t, b.lab(t, "snapshot", "list", "-o", "json"), &all)
	if len(all) != 1 || all[0].Name != "clean" || !all[0].Whole {
		t.Errorf("snapshots %+v", all)
	}
	b.whole(t)
	return "twice, and list"
}

// stepDestroyApp leaves a mark on each machine and takes the app away.
func (b *bench) stepDestroyApp(t *testing.T) string {
	for _, node := range []string{"node1", "node2", "node3"} {
		b.lab(t, "ssh", node, "sudo touch /after-the-snapshot")
	}
	if _, err := b.http(t.Context(), http.MethodDelete, 8080, "/v2/apps/nginx?force=true", ""); err != nil {
		t.Fatal(err)
	}
	await(t, "the app to be gone", func(ctx context.Context) error {
		if b.nginx(ctx) == nil {
			return errors.New("nginx answers")
		}
		if s := b.status(t); len(s.Marathon.Tasks) > 0 || s.Marathon.Error != "" {
			return fmt.Errorf("%d tasks, %s", len(s.Marathon.Tasks), s.Marathon.Error)
		}
		return nil
	})
	return ""
}

func (b *bench) stepRestore(t *testing.T) string {
	b.lab(t, "snapshot", "restore", "clean")
	b.whole(t)
	if err := b.nginx(t.Context()); err != nil {
		t.Errorf("lab says that it is whole, and nginx: %v", err)
	}
	b.clocks(t)
	for _, node := range []string{"node1", "node2", "node3"} {
		if out := b.lab(t, "ssh", node, "ls /"); strings.Contains(out, "after-the-snapshot") {
			t.Errorf("%s has what came after the snapshot", node)
		}
	}
	return "nginx back, clocks right"
}

func (b *bench) stepSuspend(t *testing.T) string {
	b.lab(t, "suspend")
	s := b.status(t)
	for _, p := range s.Power {
		if p.State != lab.StatePaused {
			t.Errorf("%s is %s", p.Machine.Name, p.State)
		}
	}
	for _, line := range virsh(t, "list", "--all") {
		if !strings.Contains(line, "paused") {
			t.Errorf("libvirt says: %s", line)
		}
	}
	return ""
}

func (b *bench) stepResume(t *testing.T) string {
	b.lab(t, "resume")
	b.whole(t)
	if err := b.nginx(t.Context()); err != nil {
		t.Errorf("lab says that it is whole, and nginx: %v", err)
	}
	b.clocks(t)
	return "clocks right"
}

// stepFour boots two more machines beside those that run, and leaves what runs
// on them alone.
func (b *bench) stepFour(t *testing.T) string {
	before := b.tasks(t)
	made := b.create(t, "--slaves", "4")
	for _, want := range []string{"booted node4", "booted node5", "mesos_slave3", "mesos_slave4"} {
		if !slices.ContainsFunc(made.Changed, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("changed %q, without %q", made.Changed, want)
		}
	}
	b.wholeOf(t, 5)
	if s := b.status(t); s.Mesos.ActiveSlaves != 4 {
		t.Errorf("Mesos has %+v", s.Mesos)
	}
	if got := virsh(t, "list", "--name"); len(got) != 5 {
		t.Errorf("machines at libvirt: %q", got)
	}
	if after := b.tasks(t); !slices.Equal(after, before) {
		t.Errorf("tasks %q, before %q", after, before)
	}
	return "5 machines, tasks untouched"
}

// stepTwo gives the two machines back.
func (b *bench) stepTwo(t *testing.T) string {
	before := b.tasks(t)
	made := b.create(t, "--slaves", "2")
	for _, want := range []string{"removed node4", "removed node5"} {
		if !slices.Contains(made.Changed, want) {
			t.Errorf("changed %q, without %q", made.Changed, want)
		}
	}
	await(t, "Mesos to forget two slaves", func(context.Context) error {
		if s := b.status(t); len(s.Mesos.Slaves) != 2 {
			return fmt.Errorf("slaves %+v", s.Mesos.Slaves)
		}
		return nil
	})
	b.whole(t)
	if got := virsh(t, "list", "--all", "--name"); len(got) != 3 {
		t.Errorf("machines at libvirt: %q", got)
	}
	if after := b.tasks(t); !slices.Equal(after, before) {
		t.Errorf("tasks %q, before %q", after, before)
	}
	return "3 machines, tasks untouched"
}

// stepRepair pulls a slave's plug behind lab's back.
func (b *bench) stepRepair(t *testing.T) string {
	name := "lab-" + b.record(t).ID + "-node3"
	if all := virsh(t, "list", "--name"); !slices.Contains(all, name) {
		t.Fatalf("no %s among %q", name, all)
	}
	virsh(t, "destroy", name)
	if b.status(t).Whole {
		t.Error("status calls the lab whole")
	}
	made := b.create(t)
	if !slices.Contains(made.Changed, "booted node3") || slices.ContainsFunc(made.Changed, func(s string) bool {
		return strings.HasPrefix(s, "booted node1") || strings.HasPrefix(s, "booted node2")
	}) {
		t.Errorf("changed %q", made.Changed)
	}
	b.whole(t)
	b.serving(t)
	return "node3 killed with virsh"
}

// stepDestroy looks at libvirt afterwards: of the lab nothing is left. The
// box's image, which belongs to the box, stays in the pool, as Vagrant's habit
// is.
func (b *bench) stepDestroy(t *testing.T) string {
	l := b.record(t)
	b.lab(t, "destroy")
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		t.Errorf("the lab's folder: %v", err)
	}
	if left := virsh(t, "list", "--all", "--name"); len(left) > 0 {
		t.Errorf("machines: %q", left)
	}
	if left := virsh(t, "net-list", "--all", "--name"); len(left) > 0 {
		t.Errorf("networks: %q", left)
	}
	volumes := virsh(t, "vol-list", "default")
	if len(volumes) > 1 || len(volumes) == 1 && !strings.Contains(volumes[0], "_vagrant_box_image_") {
		t.Errorf("volumes: %q", volumes)
	}
	return ""
}
