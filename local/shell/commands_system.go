package shell

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func systemCommands() map[string]Command {
	return map[string]Command{
		"uname": uname, "hostname": hostname, "id": id, "whoami": whoami, "date": date, "uptime": uptime, "nproc": nproc, "free": free,
		"df": df, "kill": kill, "ps": ps, "ss": ss, "which": which, "getent": getent, "arch": func(_ context.Context, p *Proc) int { p.printf("%s\n", hardware()); return 0 },
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
		p.printf("%s\n", p.info().IP)
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

// strftime knows the letters people use in scripts.
func strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, known := map[byte]string{
			'Y': "2006", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'j': "002", 'Z': "MST", 'z': "-0700",
			'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04", 'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': time.ANSIC,
			'I': "03", 'p': "PM",
		}[format[i]]
		switch {
		case known:
			b.WriteString(t.Format(layout))
		case format[i] == 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case format[i] == 'N':
			fmt.Fprintf(&b, "%09d", t.Nanosecond())
		case format[i] == '3' && i+1 < len(format) && format[i+1] == 'N':
			i++
			fmt.Fprintf(&b, "%03d", t.Nanosecond()/1e6)
		case format[i] == 'n':
			b.WriteByte('\n')
		case format[i] == '%':
			b.WriteByte('%')
		default:
			b.WriteString("%" + format[i:i+1])
		}
	}
	return b.String()
}

func date(_ context.Context, p *Proc) int {
	o, rest, ok := p.options("uRI iso-8601= rfc-3339=")
	if !ok {
		return 1
	}
	t := time.Now()
	if o.has("u") {
		t = t.UTC()
	}
	switch {
	case len(rest) > 0 && strings.HasPrefix(rest[0], "+"):
		p.printf("%s\n", strftime(rest[0][1:], t))
	case len(rest) > 0:
		return p.errorf("cannot set date: Operation not permitted")
	case o.has("R"):
		p.printf("%s\n", t.Format(time.RFC1123Z))
	case o.has("I"):
		p.printf("%s\n", t.Format(time.DateOnly))
	default:
		p.printf("%s\n", t.Format(time.UnixDate))
	}
	return 0
}

func uptime(_ context.Context, p *Proc) int {
	up := time.Since(p.info().Boot)
	p.printf(" %s up %d:%02d,  load average: 0.00, 0.00, 0.00\n", time.Now().Format(time.TimeOnly), int(up.Hours()), int(up.Minutes())%60)
	return 0
}

func nproc(_ context.Context, p *Proc) int {
	p.printf("%d\n", p.info().CPUs)
	return 0
}

func free(_ context.Context, p *Proc) int {
	o, _, ok := p.options("mkgh")
	if !ok {
		return 1
	}
	total := p.info().MemoryMiB
	if !o.has("m", "h") {
		total <<= 10
	}
	p.printf("%17s %10s %10s\nMem:   %10d %10d %10d\nSwap:  %10d %10d %10d\n", "total", "used", "free", total, 0, total, 0, 0, 0)
	return 0
}

// df shows the machine's disk as its plan has it, less what its folder holds.
func df(ctx context.Context, p *Proc) int {
	o, names, ok := p.options("hPkmTa")
	if !ok {
		return 1
	}
	for _, name := range names {
		if _, err := p.Files().Stat(p.Path(name)); err != nil {
			return p.failed(name, err)
		}
	}
	var used int64
	// What cannot be looked at is not counted.
	_ = p.walk(ctx, "/", func(_ string, i fs.FileInfo) {
		if i.Mode().IsRegular() {
			used += (i.Size() + 1023) / 1024
		}
	})
	total, unit := p.info().DiskMiB<<10, "1024-blocks"
	if !o.has("P", "k") {
		unit = "1K-blocks"
	}
	if o.has("h", "m") {
		total, used, unit = total>>10, used>>10, "1M-blocks"
	}
	available := max(0, total-used)
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintf(w, "Filesystem\t%s\tUsed\tAvailable\tCapacity\tMounted on\n", unit)
	fmt.Fprintf(w, "/dev/lab\t%d\t%d\t%d\t%d%%\t/\n", total, used, available, used*100/max(1, total))
	w.Flush()
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

// kill signals processes that the machine lists, no others.
func kill(_ context.Context, p *Proc) int {
	args, sig := p.Args[1:], syscall.SIGTERM
	if len(args) > 1 && args[0] == "-s" {
		args = append([]string{"-" + args[1]}, args[2:]...)
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name := strings.TrimPrefix(strings.ToUpper(args[0][1:]), "SIG")
		s, known := signalByName(name)
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < 32 {
			s, known = syscall.Signal(n), true
		}
		if !known {
			return p.errorf("%s: invalid signal specification", name)
		}
		sig, args = s, args[1:]
	}
	if len(args) == 0 {
		return p.errorf("usage: kill [-s sigspec | -n signum | -sigspec] pid ...")
	}
	status := 0
	for _, a := range args {
		if ok, err := p.killJob(a, sig); ok {
			if err != nil {
				status = p.errorf("(%s) - %s", a, words(err))
			}
			continue
		}
		pid, err := strconv.Atoi(a)
		switch {
		case err != nil && strings.HasPrefix(a, "%"):
			status = p.errorf("%s: no such job", a)
			continue
		case err != nil:
			status = p.errorf("%s: arguments must be process or job IDs", a)
			continue
		}
		err = syscall.ESRCH
		if m := p.Machine(); m != nil {
			err = m.Kill(pid, sig)
		}
		if err != nil {
			status = p.errorf("(%d) - %s", pid, words(err))
		}
	}
	return status
}

// ps shows the machine's processes; init is number 1. Columns can be chosen
// with -o, processes with -p and -C.
func ps(_ context.Context, p *Proc) int {
	args := p.Args[1:]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args[0] = "-" + args[0] // ps aux
	}
	o, _, ok := p.options("aeAfuxlwHo:p:C: no-headers format= pid=")
	if !ok {
		return 1
	}
	all := []Process{{PID: 1, User: "root", Start: p.info().Boot, Name: "init", Command: "/sbin/init"}}
	if m := p.Machine(); m != nil {
		all = append(all, m.Processes()...)
	}
	if wanted := o["p"] + o["pid"]; wanted != "" {
		list := strings.FieldsFunc(wanted, func(r rune) bool { return r == ',' || r == ' ' })
		all = slices.DeleteFunc(all, func(x Process) bool { return !slices.Contains(list, strconv.Itoa(x.PID)) })
	}
	if name := o["C"]; name != "" {
		all = slices.DeleteFunc(all, func(x Process) bool { return x.Name != name })
	}
	columns := o["o"] + o["format"]
	switch {
	case columns != "":
	case o.has("u", "f"):
		columns = "user,pid,start,args"
	default:
		columns = "pid,args"
	}
	p.table(all, columns, o.has("no-headers"))
	if len(all) == 0 {
		return 1
	}
	return 0
}

func (p *Proc) table(all []Process, columns string, bare bool) {
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 1, ' ', 0)
	defer w.Flush()
	var heads, names []string
	for c := range strings.SplitSeq(columns, ",") {
		name, head, renamed := strings.Cut(strings.TrimSpace(c), "=")
		if !renamed {
			head = map[string]string{"args": "COMMAND", "cmd": "COMMAND", "comm": "COMMAND"}[name]
			if head == "" {
				head = strings.ToUpper(name)
			}
		}
		heads, names = append(heads, head), append(names, name)
	}
	if !bare && strings.Join(heads, "") != "" {
		fmt.Fprintln(w, strings.Join(heads, "\t"))
	}
	for _, x := range all {
		var cells []string
		for _, name := range names {
			cells = append(cells, map[string]string{
				"pid": strconv.Itoa(x.PID), "user": x.User, "comm": x.Name, "args": x.Command, "cmd": x.Command, "command": x.Command,
				"start": x.Start.Format("15:04"), "stime": x.Start.Format("15:04"), "lstart": x.Start.Format(time.ANSIC), "ppid": "1",
			}[name])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
}

func ss(_ context.Context, p *Proc) int {
	o, _, ok := p.options("tlnpxaueH4")
	if !ok {
		return 1
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	if !o.has("H") {
		fmt.Fprintln(w, "Netid\tState\tLocal Address:Port\tProcess")
	}
	if p.Machine() == nil {
		return 0
	}
	for _, s := range p.Machine().Sockets() {
		if o.has("t") && s.Network != "tcp" || o.has("x") && s.Network != "unix" || s.Network == "unix" && !o.has("x", "a") {
			continue
		}
		program := ""
		if o.has("p") {
			program = fmt.Sprintf("users:((%q,pid=%d))", s.Program, s.PID)
		}
		fmt.Fprintf(w, "%s\tLISTEN\t%s\t%s\n", s.Network, s.Address, program)
	}
	return 0
}
