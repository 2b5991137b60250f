package shell

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// kill signals processes that the machine lists, no others.
func kill(_ context.Context, p *Proc) int {
	args, sig := p.Args[1:], syscall.SIGTERM
	if len(args) > 0 && (args[0] == "-l" || args[0] == "-L") {
		p.printf("%s\n", "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP")
		return 0
	}
	if len(args) > 1 && args[0] == "-s" {
		args = append([]string{"-" + args[1]}, args[2:]...)
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		s, known := signalOf(args[0][1:])
		if !known {
			return p.errorf("%s: invalid signal specification", args[0][1:])
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
	o, _, ok := p.options("aeAfuxlwHNo:p:C: no-headers format= pid= sort= forest")
	if !ok {
		return 1
	}
	all := p.processes()
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
	case o.has("u"):
		columns = "user,pid,%cpu,%mem,rss,start,time,args"
	case o.has("f"):
		columns = "user,pid,ppid,stime,time,args"
	default:
		columns = "pid,time,args"
	}
	p.table(all, columns, o.has("no-headers"))
	if len(all) == 0 {
		return 1
	}
	return 0
}

// processes are those of the machine, init first.
func (p *Proc) processes() []Process {
	all := []Process{{PID: 1, User: "root", Start: p.info().Boot, Name: "init", Command: "/sbin/init"}}
	if m := p.Machine(); m != nil {
		all = append(all, m.Processes()...)
	}
	return all
}

// numbers are the columns that are set to the right.
const numbers = "pid ppid %cpu pcpu %mem pmem rss time"

func (p *Proc) table(all []Process, columns string, bare bool) {
	var heads, names []string
	for c := range strings.SplitSeq(columns, ",") {
		name, head, renamed := strings.Cut(strings.TrimSpace(c), "=")
		if !renamed {
			head = map[string]string{"args": "COMMAND", "cmd": "COMMAND", "comm": "COMMAND", "pcpu": "%CPU", "pmem": "%MEM"}[name]
			if head == "" {
				head = strings.ToUpper(name)
			}
		}
		heads, names = append(heads, head), append(names, name)
	}
	var rows [][]string
	if !bare && strings.Join(heads, "") != "" {
		rows = append(rows, heads)
	}
	for _, x := range all {
		cells := p.cells(x)
		var row []string
		for _, name := range names {
			row = append(row, cells[name])
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(names))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			width := -widths[i]
			if slices.Contains(strings.Fields(numbers), names[i]) {
				width = -width
			}
			fmt.Fprintf(&line, "%*s ", width, cell)
		}
		p.printf("%s\n", strings.TrimRight(line.String(), " "))
	}
}

// cells are what ps can show of a process.
func (p *Proc) cells(x Process) map[string]string {
	share := (&meter{}).share([]Process{x})[x.PID]
	memory := 0.0
	if total := p.info().MemoryMiB << 20; total > 0 {
		memory = 100 * float64(x.RSS) / float64(total)
	}
	seconds := int(x.CPU.Seconds())
	ppid := "1"
	if x.PID == 1 {
		ppid = "0"
	}
	start := x.Start.Format("15:04")
	return map[string]string{
		"pid": strconv.Itoa(x.PID), "ppid": ppid, "user": x.User, "uid": "0", "comm": x.Name, "args": x.Command, "cmd": x.Command, "command": x.Command,
		"start": start, "stime": start, "lstart": x.Start.Format(time.ANSIC), "etime": upFor(time.Since(x.Start)), "tty": "?", "stat": "S",
		"time": fmt.Sprintf("%d:%02d", seconds/60, seconds%60), "rss": strconv.FormatInt(x.RSS>>10, 10),
		"%cpu": fmt.Sprintf("%.1f", share), "pcpu": fmt.Sprintf("%.1f", share), "%mem": fmt.Sprintf("%.1f", memory), "pmem": fmt.Sprintf("%.1f", memory),
	}
}

// pgrep lists processes whose name, or with -f whose command line, matches;
// pkill signals them; pidof wants the name as it is.
func pgrep(_ context.Context, p *Proc) int {
	args, sig := p.Args[1:], syscall.SIGTERM
	if p.name() == "pkill" && len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		if s, known := signalOf(args[0][1:]); known {
			sig, args = s, args[1:]
		}
	}
	p.Args = append(p.Args[:1:1], args...)
	o, patterns, ok := p.options("flaxnos")
	if !ok {
		return 2
	}
	if len(patterns) != 1 {
		return p.errorf("one pattern is needed")
	}
	pattern := patterns[0]
	if o.has("x") || p.name() == "pidof" {
		pattern = "^(?:" + regexp.QuoteMeta(pattern) + ")$"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		p.errorf("%v", err)
		return 2
	}
	status := 1
	for _, x := range p.processes() {
		text := x.Name
		if o.has("f") {
			text = x.Command
		}
		if x.PID == 1 || !re.MatchString(text) {
			continue
		}
		status = 0
		switch {
		case p.name() == "pkill":
			if err := p.Machine().Kill(x.PID, sig); err != nil {
				status = p.errorf("killing pid %d failed: %s", x.PID, words(err))
			}
		case o.has("a"):
			p.printf("%d %s\n", x.PID, x.Command)
		case o.has("l"):
			p.printf("%d %s\n", x.PID, x.Name)
		default:
			p.printf("%d\n", x.PID)
		}
	}
	return status
}

// signalOf reads TERM, SIGTERM or 15.
func signalOf(text string) (syscall.Signal, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return syscall.Signal(n), n >= 0 && n < 32
	}
	return signalByName(strings.TrimPrefix(strings.ToUpper(text), "SIG"))
}
