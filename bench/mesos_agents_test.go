//go:build linux

package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab/e2e/rig"
)

// agentProcesses is how many agents there are, each a process of its own.
const agentProcesses = 100

// BenchmarkAgentProcesses takes what BenchmarkMaster takes of simulated agents
// of 100 real ones, each a process on an address of its own below 127.0.1.0/24,
// as they were measured of the real Mesos (5.7 and 6.8 s until all were
// registered; contracts, mesos-measured): the time from the first start until
// the last is registered, /state, and what the master and an agent have
// resident. Agents wait a random part of --registration_backoff_factor before
// they speak, one second by default as the real ones do: "without back-off" is
// what is left when they do not.
func BenchmarkAgentProcesses(b *testing.B) {
	b.Log(machineSize())
	for _, c := range []struct{ name, backoff string }{
		{"default back-off", "1secs"},
		{"without back-off", "1ms"},
	} {
		b.Run(c.name, func(b *testing.B) {
			registered, state, size, master, agent := in("ms"), in("ms"), in("kB"), in("MB"), in("MB")
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				m := startMaster(b, ctx)
				begun := time.Now()
				agents := startAgents(b, ctx, m.addr, c.backoff)
				agents.await(b, m)
				registered.addTime(time.Since(begun))
				for range rounds {
					var n int
					state.addTime(timed(func() { n = m.get(b, "/state", nil) }))
					size.add(float64(n) / 1000)
				}
				master.add(m.memory(b))
				for _, p := range agents.list {
					agent.add(resident(b, p.Process.Pid))
				}
				cancel()
				agents.ended.Wait()
			}
			registered.report(b, "registered")
			state.report(b, "state")
			size.report(b, "size")
			master.report(b, "master-memory")
			agent.report(b, "agent-memory")
		})
	}
}

type agentProcs struct {
	list  []*exec.Cmd
	log   *os.File
	ended sync.WaitGroup
}

// startAgents starts them one after the other; they end with ctx.
func startAgents(b *testing.B, ctx context.Context, master, backoff string) *agentProcs {
	b.Helper()
	dir, binary := b.TempDir(), rig.Binary(b)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	agents := &agentProcs{log: log}
	for i := range agentProcesses {
		ip := fmt.Sprintf("127.0.1.%d", i+1)
		cmd := exec.CommandContext(ctx, binary, "mini", "mesos-agent", "--master="+master, "--ip="+ip, "--port=5051", "--hostname="+ip,
			"--containerizers=mesos", "--resources=cpus:4;mem:2048;disk:1024;ports:[31000-31099]", "--quiet",
			"--work_dir="+filepath.Join(dir, ip), "--registration_backoff_factor="+backoff)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		agents.list = append(agents.list, cmd)
		agents.ended.Go(func() { cmd.Wait() })
		b.Cleanup(func() { cmd.Process.Kill() })
	}
	return agents
}

// await waits until the master counts all of them active.
func (a *agentProcs) await(b *testing.B, m *benchMaster) {
	b.Helper()
	active := 0.0
	for range 3000 {
		if active = m.metric(b, "master/slaves_active"); active == agentProcesses {
			return
		}
		pause(b.Context(), 10*time.Millisecond)
	}
	text, _ := os.ReadFile(a.log.Name())
	b.Fatalf("%v of %d agents are active: %s", active, agentProcesses, bytes.TrimSpace(text))
}
