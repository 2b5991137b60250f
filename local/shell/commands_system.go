package shell

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func systemCommands() map[string]Command {
	return map[string]Command{
		"uname": uname, "hostname": hostname, "id": id, "whoami": whoami, "date": date, "uptime": uptime, "nproc": nproc, "free": free,
		"df": df, "kill": kill, "ps": ps, "pgrep": pgrep, "pkill": pgrep, "pidof": pgrep, "which": which, "getent": getent, "arch": func(_ context.Context, p *Proc) int { p.printf("%s\n", hardware()); return 0 },
	}
}

// kernelRelease is what uname -r says; it names no real kernel.
const kernelRelease = "4.0.0-lab"

func hardware() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	case "386":
		return "i686"
	}
	return runtime.GOARCH
}

func uname(_ context.Context, p *Proc) int {
	o, _, ok := p.options("asnrvmpio")
	if !ok {
		return 1
	}
	var out []string
	for _, f := range [][2]string{{"s", "Linux"}, {"n", p.Hostname()}, {"r", kernelRelease}, {"v", "#1 lab"}, {"m", hardware()}, {"o", "GNU/Linux"}} {
		if o.has("a", f[0]) || len(o) == 0 && f[0] == "s" {
			out = append(out, f[1])
		}
	}
	p.printf("%s\n", strings.Join(out, " "))
	return 0
}

func hostname(_ context.Context, p *Proc) int {
	o, names, ok := p.options("fsiIad")
	switch {
	case !ok:
		return 1
	case len(names) > 0:
		return p.errorf("you must be root of the lab: a machine's name is in lab.yaml")
	case o.has("i", "I"):
		p.printf("%s\n", p.info().IP) // one address, and no name to look up
	case o.has("s"):
		host, _, _ := strings.Cut(p.Hostname(), ".")
		p.printf("%s\n", host)
	default:
		p.printf("%s\n", p.Hostname())
	}
	return 0
}

func (p *Proc) info() Info {
	if m := p.Machine(); m != nil {
		return m.Info()
	}
	return Info{Boot: time.Now(), CPUs: 1}
}

func id(_ context.Context, p *Proc) int {
	o, _, ok := p.options("ugGnr")
	if !ok {
		return 1
	}
	uid, user := 0, p.User()
	if user != "root" {
		uid = 1000
	}
	switch {
	case o.has("G") && o.has("n"):
		p.printf("%s docker\n", user)
	case o.has("G"):
		p.printf("%d 999\n", uid)
	case o.has("n"):
		p.printf("%s\n", user)
	case o.has("u", "g"):
		p.printf("%d\n", uid)
	default:
		p.printf("uid=%d(%s) gid=%d(%s) groups=%d(%s),999(docker)\n", uid, user, uid, user, uid, user)
	}
	return 0
}

func whoami(_ context.Context, p *Proc) int {
	p.printf("%s\n", p.User())
	return 0
}

func getent(_ context.Context, p *Proc) int {
	if len(p.Args) < 2 {
		return 1
	}
	f, err := p.open("/etc/" + p.Args[1])
	if err != nil {
		return 2
	}
	defer f.Close()
	status := 2
	_ = lines(f, func(l string) error {
		words := strings.FieldsFunc(l, func(r rune) bool { return r == ':' || r == ' ' || r == '\t' })
		if len(p.Args) == 2 || slices.Contains(words, p.Args[2]) {
			p.printf("%s\n", l)
			status = 0
		}
		return nil
	})
	return status
}

func nproc(_ context.Context, p *Proc) int {
	p.printf("%d\n", p.info().CPUs)
	return 0
}

// memoryUsed is what the machine's processes take, in bytes.
func (p *Proc) memoryUsed() int64 {
	var sum int64
	for _, x := range p.processes() {
		sum += x.RSS
	}
	return sum
}

func free(_ context.Context, p *Proc) int {
	o, _, ok := p.options("bkmghtws mebi kibi human bytes")
	if !ok {
		return 1
	}
	show := func(n int64) string { return strconv.FormatInt(n>>10, 10) }
	switch {
	case o.has("h", "human"):
		show = func(n int64) string {
			if n == 0 {
				return "0B"
			}
			return human(n) + "i"
		}
	case o.has("m", "mebi"):
		show = func(n int64) string { return strconv.FormatInt(n>>20, 10) }
	case o.has("g"):
		show = func(n int64) string { return strconv.FormatInt(n>>30, 10) }
	case o.has("b", "bytes"):
		show = func(n int64) string { return strconv.FormatInt(n, 10) }
	}
	total, used := p.info().MemoryMiB<<20, p.memoryUsed()
	left := max(0, total-used)
	p.printf("%7s %11s %11s %11s %11s\n", "", "total", "used", "free", "available")
	p.printf("%-7s %11s %11s %11s %11s\n", "Mem:", show(total), show(used), show(left), show(left))
	p.printf("%-7s %11s %11s %11s\n", "Swap:", show(0), show(0), show(0))
	return 0
}

// df shows the machine's disk as its plan has it, less what its folder holds.
func df(ctx context.Context, p *Proc) int {
	o, names, ok := p.options("hPkmTaHil human-readable portability print-type all")
	if !ok {
		return 1
	}
	for _, name := range names {
		if _, err := p.Files().Stat(p.Path(name)); err != nil {
			return p.failed(name, err)
		}
	}
	used, err := usage{block: 4096, show: func(int64, string) {}}.of(ctx, p, "/", 0, false)
	if err != nil {
		return p.failed("/", err)
	}
	total := p.info().DiskMiB << 20
	left := max(0, total-used)
	heads := []string{"Filesystem", "1K-blocks", "Used", "Available", "Use%", "Mounted on"}
	show := func(n int64) string { return strconv.FormatInt(n>>10, 10) }
	switch {
	case o.has("h", "H", "human-readable"):
		heads[1], heads[3], show = "Size", "Avail", human
	case o.has("m"):
		heads[1], show = "1M-blocks", func(n int64) string { return strconv.FormatInt(n>>20, 10) }
	case o.has("P", "portability"):
		heads[1], heads[4] = "1024-blocks", "Capacity"
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	fmt.Fprintf(w, "/dev/lab\t%s\t%s\t%s\t%d%%\t/\n", show(total), show(used), show(left), (used*100+total-1)/max(1, total))
	return flushed(p, w)
}

func flushed(p *Proc, w *tabwriter.Writer) int {
	if err := w.Flush(); err != nil {
		return p.failed("write", err)
	}
	return 0
}

func which(_ context.Context, p *Proc) int {
	status := 0
	for _, name := range p.Args[1:] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if at := p.where(name); at != "" {
			p.printf("%s\n", at)
		} else {
			status = 1
		}
	}
	return status
}
