package shell

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab/local/terminal"
)

// watch runs a command again and again and shows its beginning, until ctrl-C.
func watch(ctx context.Context, p *Proc) int {
	args, every, bare := p.Args[1:], 2*time.Second, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		value, joined := strings.CutPrefix(args[0], "-n")
		switch {
		case joined:
			if value == "" && len(args) > 1 {
				value, args = args[1], args[1:]
			}
			d, err := duration(value)
			if err != nil {
				return p.errorf("failed to parse argument: '%s'", value)
			}
			every = max(d, 100*time.Millisecond)
		case args[0] == "-t":
			bare = true
		case args[0] == "-d", args[0] == "-c", args[0] == "-x", args[0] == "-b":
		default:
			return p.errorf("invalid option %s: -n SECONDS and -t are known", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return p.errorf("usage: watch [-n SECONDS] COMMAND")
	}
	line := strings.Join(args, " ")
	for {
		var out bytes.Buffer
		cfg := p.config()
		shared := &locked{w: &out}
		cfg.Stdin, cfg.Stdout, cfg.Stderr = nil, shared, shared
		p.session.nested(cfg, func(n *Session) (int, error) { return n.script(ctx, line, "bash", nil) })
		if ctx.Err() != nil {
			return 130
		}
		if err := p.frame(every, bare, line, out.String()); err != nil {
			return p.failed("write", err)
		}
		sleepFor(ctx, every)
	}
}

// locked lets a pipeline's commands write to one place.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// frame shows as much of a text as the screen holds, in place of the one
// before.
func (p *Proc) frame(every time.Duration, bare bool, line, text string) error {
	size := terminal.Size{Columns: 80, Rows: 1 << 30}
	var b strings.Builder
	if t := p.Screen(); t != nil {
		b.WriteString("\x1b[H")
		if size = t.Size(); size.Columns == 0 || size.Rows == 0 {
			size = terminal.Size{Columns: 80, Rows: 24}
		}
	}
	end := "\n"
	if p.Screen() != nil {
		end = "\x1b[K\n"
	}
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if !bare {
		right := p.Hostname() + ": " + time.Now().Format(time.ANSIC)
		left := fmt.Sprintf("Every %.1fs: %s", every.Seconds(), line)
		left = clip(left, max(0, size.Columns-len(right)-1))
		all = append([]string{fmt.Sprintf("%-*s%s", max(0, size.Columns-len(right)), left, right), ""}, all...)
	}
	for i, l := range all[:min(len(all), size.Rows)] {
		if i > 0 {
			b.WriteString(end)
		}
		b.WriteString(clip(plainText(l), size.Columns))
	}
	if p.Screen() != nil {
		b.WriteString("\x1b[K\x1b[J")
	} else {
		b.WriteString("\n")
	}
	_, err := io.WriteString(p.Stdout, b.String())
	return err
}

func clip(text string, n int) string {
	r := []rune(text)
	return string(r[:min(len(r), max(0, n))])
}

// top shows the machine's processes, those that work first: every few seconds
// until q, or once with -b -n 1.
func top(ctx context.Context, p *Proc) int {
	every, batch, times := 3*time.Second, false, -1
	args := p.Args[1:]
	for len(args) > 0 {
		flag, value := args[0], ""
		if len(flag) > 2 && strings.IndexByte("nd", flag[1]) >= 0 {
			flag, value = flag[:2], flag[2:]
		} else if (flag == "-n" || flag == "-d") && len(args) > 1 {
			value, args = args[1], args[1:]
		}
		args = args[1:]
		switch n, err := strconv.Atoi(value); {
		case flag == "-b":
			batch = true
		case flag == "-bn1":
			batch, times = true, 1
		case flag == "-n" && err == nil && n > 0:
			times = n
		case flag == "-d":
			d, err := duration(value)
			if err != nil {
				return p.errorf("bad delay interval '%s'", value)
			}
			every = max(d, 100*time.Millisecond)
		default:
			return p.errorf("unknown option '%s': -b, -n and -d are known", flag)
		}
	}
	t := p.Screen()
	if t == nil || p.Keyboard() != t {
		batch = true
	}
	if batch {
		return p.topBatch(ctx, every, times)
	}
	return p.topScreen(ctx, t, every, times)
}

func (p *Proc) topBatch(ctx context.Context, every time.Duration, times int) int {
	m := &meter{}
	for n := 0; times < 0 || n < times; n++ {
		if n > 0 {
			sleepFor(ctx, every)
			p.printf("\n")
		}
		if ctx.Err() != nil {
			return 130
		}
		if _, err := fmt.Fprintln(p.Stdout, strings.Join(p.topLines(m), "\n")); err != nil {
			return p.failed("write", err)
		}
	}
	return 0
}

func (p *Proc) topScreen(ctx context.Context, t *terminal.Terminal, every time.Duration, times int) int {
	mode := t.SetMode(terminal.Keys())
	defer t.SetMode(mode)
	io.WriteString(t, "\x1b[H\x1b[2J")
	defer io.WriteString(t, "\n")
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	keys := make(chan string)
	work.Go(func() { pressedKeys(ctx, t, keys) })
	tick := time.NewTicker(every)
	defer tick.Stop()
	m := &meter{}
	for n := 0; times < 0 || n < times; n++ {
		resized := t.Resized()
		if err := p.frame(every, true, "", strings.Join(p.topLines(m), "\n")); err != nil {
			return p.failed("write", err)
		}
		select {
		case <-tick.C:
		case <-resized:
		case k, ok := <-keys:
			if !ok || k == "q" || k == "\x03" {
				return 0
			}
		case <-ctx.Done():
			return 130
		}
	}
	return 0
}

// meter remembers what processes had used.
type meter struct {
	at   time.Time
	used map[int]time.Duration
}

// share is how much of one processor each process had since the last time, in
// percent; at first, since it began.
func (m *meter) share(all []Process) map[int]float64 {
	now := time.Now()
	out, used := map[int]float64{}, map[int]time.Duration{}
	for _, x := range all {
		used[x.PID] = x.CPU
		over, did := now.Sub(x.Start), x.CPU
		if before, known := m.used[x.PID]; known {
			over, did = now.Sub(m.at), x.CPU-before
		}
		if over > 0 {
			out[x.PID] = 100 * did.Seconds() / over.Seconds()
		}
	}
	m.at, m.used = now, used
	return out
}

func (p *Proc) topLines(m *meter) []string {
	all := p.processes()
	share := m.share(all)
	slices.SortStableFunc(all, func(a, b Process) int { return cmp.Compare(share[b.PID], share[a.PID]) })
	info := p.info()
	used := p.memoryUsed()
	out := []string{
		"top -" + strings.TrimRight(p.uptimeLine(), "\n"),
		fmt.Sprintf("Tasks: %3d total", len(all)),
		fmt.Sprintf("MiB Mem : %8.1f total, %8.1f free, %8.1f used", float64(info.MemoryMiB), float64(info.MemoryMiB)-float64(used)/(1<<20), float64(used)/(1<<20)),
		"",
		fmt.Sprintf("%7s %-8s %8s %5s %5s %9s %s", "PID", "USER", "RES", "%CPU", "%MEM", "TIME+", "COMMAND"),
	}
	for _, x := range all {
		memory := 0.0
		if info.MemoryMiB > 0 {
			memory = 100 * float64(x.RSS) / float64(info.MemoryMiB<<20)
		}
		out = append(out, fmt.Sprintf("%7d %-8s %8d %5.1f %5.1f %9s %s", x.PID, x.User, x.RSS>>10, share[x.PID], memory, cpuTime(x.CPU), x.Command))
	}
	return out
}

// cpuTime is minutes, seconds and hundredths.
func cpuTime(d time.Duration) string {
	hundredths := int(d / (10 * time.Millisecond))
	return fmt.Sprintf("%d:%02d.%02d", hundredths/6000, hundredths/100%60, hundredths%100)
}
