//go:build linux

package bench

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/scenarios"
)

// situation is a lab that keeps the rules, or one that does not, and whether
// a failover may be called one there.
type situation struct {
	name   string
	frozen string // the component that freezes when the fault is done
	fault  bool   // something is broken at all
	passes bool
}

func situations() []situation {
	return []situation{
		{name: "whole", fault: true, passes: true},
		{name: "no fault", passes: false},
		{name: "Marathon frozen", frozen: "marathon", fault: true},
		{name: "load balancer frozen", frozen: "marathon-lb", fault: true},
	}
}

// BenchmarkFailoverShell does a failover as lab's scenario and as a shell
// script with curl and sleep, side by side: how long it takes where all goes
// well, and how often the verdict is right where it does not. A round takes three
// minutes: what does not come is waited for.
func BenchmarkFailoverShell(b *testing.B) {
	labtest.NeedProgram(b, "curl")
	b.Log(machineSize())
	ours, shell := in("ms"), in("ms")
	right := map[string]int{}
	asked := 0
	for b.Loop() {
		for _, s := range situations() {
			asked++
			for name, run := range map[string]func(*testing.B, *rig.Lab, situation) (bool, time.Duration){"lab": byScenario, "shell": byShell} {
				l := rig.New(b)
				l.Create()
				l.AwaitWhole()
				passed, took := run(b, l, s)
				if passed == s.passes {
					right[name]++
				} else {
					b.Logf("%s: %s says passed=%t", s.name, name, passed)
				}
				if s.passes && passed {
					map[string]*figures{"lab": ours, "shell": shell}[name].addTime(took)
				}
				l.Must("destroy")
			}
		}
	}
	b.Logf("right verdicts: lab %d of %d, shell script %d of %d", right["lab"], asked, right["shell"], asked)
	b.ReportMetric(100*float64(right["lab"])/float64(asked), "lab-right-%")
	b.ReportMetric(100*float64(right["shell"])/float64(asked), "shell-right-%")
	ours.report(b, "lab")
	shell.report(b, "shell")
}

func byScenario(b *testing.B, l *rig.Lab, s situation) (passed bool, took time.Duration) {
	args := []string{"scenario", "failover"}
	if !s.fault {
		args = append(args, "--placebo")
	}
	start := time.Now()
	run := l.Start(args...)
	if s.frozen != "" {
		run.AwaitEvent("loses power")
		defer freeze(b, l, s.frozen)()
	}
	var res scenarios.Result
	run.Wait(nil).JSON(b, &res)
	return res.Verdict == scenarios.Pass, time.Since(start)
}

func byShell(b *testing.B, l *rig.Lab, s situation) (passed bool, took time.Duration) {
	script, err := filepath.Abs("testdata/failover.sh")
	if err != nil {
		b.Fatal(err)
	}
	fault := "#!/bin/sh\n"
	if s.frozen != "" {
		fault += "lab break pause " + s.frozen + "\n"
	}
	if s.fault {
		fault += "lab break kill node2\n"
	}
	bin := b.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "fault"), []byte(fault), 0o755); err != nil {
		b.Fatal(err)
	}
	cmd := l.Command() // for its environment
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", script, l.IP(1), "fault"}
	if err := os.Symlink(l.Command().Path, filepath.Join(bin, "lab")); err != nil {
		b.Fatal(err)
	}
	for i, v := range cmd.Env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			cmd.Env[i] = "PATH=" + bin + ":" + path
		}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err = cmd.Run()
	took = time.Since(start)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		b.Fatal(err)
	}
	return err == nil && strings.HasSuffix(out.String(), "PASS\n"), took
}

// freeze stops a component of the master; the function that it returns lets it
// go on.
func freeze(b *testing.B, l *rig.Lab, component string) (thaw func()) {
	b.Helper()
	docker := l.Docker(1)
	if _, err := docker.ContainerPause(b.Context(), component, client.ContainerPauseOptions{}); err != nil {
		b.Fatal(err)
	}
	return func() {
		if _, err := docker.ContainerUnpause(b.Context(), component, client.ContainerUnpauseOptions{}); err != nil {
			b.Error(err)
		}
	}
}
