//go:build linux

package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/mini"
	minimesos "github.com/mesoslab/lab/mini/mesos"
)

// agentCrowd is how many agents there are.
const agentCrowd = 100

// BenchmarkAgentProcesses takes what BenchmarkMaster takes of simulated agents
// of 100 real ones, each on an address of its own below 127.0.1.0/24, as they
// were measured of the real Mesos (5.7 and 6.8 s until all were registered;
// contracts, mesos-measured): the time from the first start until the last is
// registered, /state, what the master and an agent have resident, and what CPU
// an agent took.
//
// "processes" are a process each, as the real ones were; most of their time is
// the starts of 100 processes. "one process" are as many of the same program, each with its
// own port, work_dir and connection, as goroutines of one: what is left is what
// agents and master do.
//
// Agents wait a random part of --registration_backoff_factor before they speak,
// one second by default as the real ones do: "without back-off" is what is left
// when they do not.
func BenchmarkAgentProcesses(b *testing.B) {
	b.Log(machineSize())
	for _, kind := range []struct {
		name  string
		start func(b *testing.B, ctx context.Context, master, backoff string) crowd
	}{
		{"processes", startProcesses},
		{"one process", startTogether},
	} {
		for _, c := range []struct{ name, backoff string }{
			{"default back-off", "1secs"},
			{"without back-off", "1ms"},
		} {
			b.Run(kind.name+"/"+c.name, func(b *testing.B) {
				takeCrowd(b, func(ctx context.Context, master string) crowd { return kind.start(b, ctx, master, c.backoff) })
			})
		}
	}
}

// crowd are 100 agents that were started; they end with their context.
type crowd interface {
	// memory is what each has resident, in MB; nil if that cannot be told apart.
	memory(b *testing.B) []float64
	// end waits for all and returns the CPU that they took since the start.
	end(b *testing.B) time.Duration
	// log is what they said.
	log() []byte
}

func takeCrowd(b *testing.B, start func(ctx context.Context, master string) crowd) {
	registered, state, size, master, agent, cpu := in("ms"), in("ms"), in("kB"), in("MB"), in("MB"), in("ms")
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		m := startMaster(b, ctx)
		begun := time.Now()
		agents := start(ctx, m.addr)
		awaitCrowd(b, m, agents)
		registered.addTime(time.Since(begun))
		for range rounds {
			var n int
			state.addTime(timed(func() { n = m.get(b, "/state", nil) }))
			size.add(float64(n) / 1000)
		}
		master.add(m.memory(b))
		for _, v := range agents.memory(b) {
			agent.add(v)
		}
		cancel()
		cpu.addTime(agents.end(b) / agentCrowd)
	}
	registered.report(b, "registered")
	state.report(b, "state")
	size.report(b, "size")
	master.report(b, "master-memory")
	if len(agent.samples) > 0 {
		agent.report(b, "agent-memory")
	}
	cpu.report(b, "agent-cpu")
}

// awaitCrowd waits until the master counts all of them active.
func awaitCrowd(b *testing.B, m *benchMaster, agents crowd) {
	b.Helper()
	active := 0.0
	for range 3000 {
		if active = m.metric(b, "master/slaves_active"); active == agentCrowd {
			return
		}
		pause(b.Context(), 10*time.Millisecond)
	}
	b.Fatalf("%v of %d agents are active: %s", active, agentCrowd, bytes.TrimSpace(agents.log()))
}

// crowdMember are the address and the command of an agent.
func crowdMember(i int, dir, master, backoff string) (ip string, args []string) {
	ip = fmt.Sprintf("127.0.1.%d", i+1)
	return ip, []string{"mesos-agent", "--master=" + master, "--ip=" + ip, "--port=5051", "--hostname=" + ip,
		"--containerizers=mesos", "--resources=cpus:4;mem:2048;disk:1024;ports:[31000-31099]", "--quiet",
		"--work_dir=" + filepath.Join(dir, ip), "--registration_backoff_factor=" + backoff}
}

// processes are a crowd of which each is one.
type processes struct {
	list  []*exec.Cmd
	said  string // the file
	ended sync.WaitGroup
}

// startProcesses starts them one after the other.
func startProcesses(b *testing.B, ctx context.Context, master, backoff string) crowd {
	b.Helper()
	dir, binary := b.TempDir(), rig.Binary(b)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	p := &processes{said: log.Name()}
	for i := range agentCrowd {
		_, args := crowdMember(i, dir, master, backoff)
		cmd := exec.CommandContext(ctx, binary, append([]string{"mini"}, args...)...)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		p.list = append(p.list, cmd)
		p.ended.Go(func() { cmd.Wait() })
		b.Cleanup(func() { cmd.Process.Kill() })
	}
	return p
}

func (p *processes) memory(b *testing.B) (each []float64) {
	b.Helper()
	for _, cmd := range p.list {
		each = append(each, resident(b, cmd.Process.Pid))
	}
	return each
}

func (p *processes) end(*testing.B) (cpu time.Duration) {
	p.ended.Wait()
	for _, cmd := range p.list {
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return cpu
}

func (p *processes) log() []byte {
	text, _ := os.ReadFile(p.said)
	return text
}

// inProcess are a crowd in this process, beside the benchmark itself.
type inProcess struct {
	said  lockedBuffer
	ended sync.WaitGroup
	begun time.Duration // CPU of this process then
}

func startTogether(b *testing.B, ctx context.Context, master, backoff string) crowd {
	b.Helper()
	dir := b.TempDir()
	t := &inProcess{begun: ownCPU(b)}
	for i := range agentCrowd {
		ip, args := crowdMember(i, dir, master, backoff)
		listen, dial := net.ListenConfig{}, net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		env := mini.Env{Args: args, Environ: []string{"USER=root"}, Hostname: ip, Listen: listen.Listen, Dial: dial.DialContext,
			Stdout: &t.said, Stderr: &t.said}
		t.ended.Go(func() {
			if code := minimesos.Run(ctx, env); code != 0 {
				fmt.Fprintf(&t.said, "agent %s ended with %d\n", ip, code)
			}
		})
	}
	b.Cleanup(t.ended.Wait) // the context has ended by then
	return t
}

func (t *inProcess) memory(*testing.B) []float64 { return nil }

func (t *inProcess) end(b *testing.B) time.Duration {
	t.ended.Wait()
	return ownCPU(b) - t.begun
}

func (t *inProcess) log() []byte { return t.said.bytes() }

// ownCPU is what this process has taken so far.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// lockedBuffer is written to by many.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}
