package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

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

// ip shows the machine's one address; a machine here has no other network.
func ip(_ context.Context, p *Proc) int {
	var words []string
	for _, a := range p.Args[1:] {
		if !strings.HasPrefix(a, "-") {
			words = append(words, a)
		}
	}
	object := "addr"
	if len(words) > 0 {
		object = words[0]
	}
	if len(words) > 1 && !strings.HasPrefix("show", words[1]) && !strings.HasPrefix("list", words[1]) && words[1] != "dev" && words[1] != "ls" {
		fmt.Fprintf(p.Stderr, "RTNETLINK answers: Operation not permitted (an embedded machine's address is in lab.yaml)\n")
		return 2
	}
	address := p.info().IP
	subnet := address[:strings.LastIndexByte(address, '.')+1] + "0/24"
	switch {
	case strings.HasPrefix("address", object):
		p.printf("1: lo: <LOOPBACK,UP,LOWER_UP>\n    inet %s/24 scope host lo\n", address)
	case strings.HasPrefix("link", object):
		p.printf("1: lo: <LOOPBACK,UP,LOWER_UP>\n")
	case strings.HasPrefix("route", object):
		p.printf("%s dev lo scope link src %s\n", subnet, address)
	default:
		fmt.Fprintf(p.Stderr, "Object \"%s\" is unknown: address, link and route are known.\n", object)
		return 1
	}
	return 0
}

func ifconfig(_ context.Context, p *Proc) int {
	p.printf("lo: flags=73<UP,LOOPBACK,RUNNING>\n        inet %s  netmask 255.255.255.0\n", p.info().IP)
	return 0
}

// address looks a name up in the machine's /etc/hosts, as the resolver does.
func (p *Proc) address(host string) (string, bool) {
	if net.ParseIP(host) != nil {
		return host, true
	}
	if host == p.Hostname() {
		return p.info().IP, true
	}
	text, err := p.Files().ReadFile("/etc/hosts")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for i, name := range fields {
			if i > 0 && name == host {
				return fields[0], true
			}
		}
	}
	return "", false
}

// ping tries whether a machine answers. There is no ICMP between embedded
// machines (the computer's own kernel would answer for one without power), so
// it opens connections to the machine's SSH port.
func ping(ctx context.Context, p *Proc) int {
	o, hosts, ok := p.options("c:i:W:w:s:qn4v")
	if !ok {
		return 2
	}
	if len(hosts) != 1 {
		p.errorf("usage: ping [-c COUNT] [-i SECONDS] [-W SECONDS] MACHINE")
		return 2
	}
	count, every, patience := -1, time.Second, time.Second
	if text, given := o["c"]; given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return p.errorf("invalid argument: '%s'", text)
		}
		count = n
	}
	for letter, to := range map[string]*time.Duration{"i": &every, "W": &patience} {
		if text, given := o[letter]; given {
			d, err := duration(text)
			if err != nil || d <= 0 {
				return p.errorf("bad timing interval: '%s'", text)
			}
			*to = d
		}
	}
	address, known := p.address(hosts[0])
	if !known || p.Machine() == nil {
		p.errorf("%s: Name or service not known", hosts[0])
		return 2
	}
	port := p.info().SSHPort
	p.printf("PING %s (%s): connections to its port %d; embedded machines have no ICMP\n", hosts[0], address, port)
	sent, answered := 0, 0
	for ; (count < 0 || sent < count) && ctx.Err() == nil; sent++ {
		if sent > 0 {
			if sleepFor(ctx, every); ctx.Err() != nil {
				break
			}
		}
		if p.pingOnce(ctx, net.JoinHostPort(address, strconv.Itoa(port)), address, sent+1, patience) {
			answered++
		}
	}
	// Ctrl-C is how it ends: the count is told all the same.
	fmt.Fprintf(unbound(p.Stdout), "\n--- %s ping statistics ---\n%d attempts, %d answered, %d%% lost\n", hosts[0], sent, answered, 100*(sent-answered)/max(1, sent))
	if answered == 0 {
		return 1
	}
	return 0
}

// unbound is an output that still takes something after an interrupt.
func unbound(w io.Writer) io.Writer {
	if o, ok := w.(output); ok {
		return o.w
	}
	return w
}

func (p *Proc) pingOnce(ctx context.Context, to, address string, n int, patience time.Duration) bool {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start := time.Now()
	conn, err := p.Machine().Dial(limited, "tcp", to)
	switch {
	case err == nil:
		conn.Close()
		p.printf("answer from %s: seq=%d time=%.3f ms\n", address, n, float64(time.Since(start).Microseconds())/1000)
		return true
	case ctx.Err() != nil:
		return false
	case errors.Is(err, syscall.ECONNREFUSED):
		p.printf("from %s: seq=%d Connection refused: nothing runs there\n", address, n)
	case errors.Is(err, syscall.ENETUNREACH):
		p.printf("seq=%d Network is unreachable: not an address of this lab\n", n)
	default:
		p.printf("no answer from %s: seq=%d\n", address, n)
	}
	return false
}

// nc joins a connection within the lab with standard input and output; -z only
// tries to connect.
func nc(ctx context.Context, p *Proc) int {
	o, words, ok := p.options("zvnw:q:N4tC")
	if !ok {
		return 1
	}
	if len(words) != 2 || p.Machine() == nil {
		return p.errorf("usage: %s [-zvN] [-w SECONDS] MACHINE PORT", p.name())
	}
	patience := 10 * time.Second
	if text, given := o["w"]; given {
		d, err := duration(text)
		if err != nil || d <= 0 {
			return p.errorf("timeout too small: %s", text)
		}
		patience = d
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	conn, err := p.Machine().Dial(limited, "tcp", net.JoinHostPort(words[0], words[1]))
	cancel()
	if err != nil {
		why := "Connection timed out"
		if errors.Is(err, syscall.ECONNREFUSED) {
			why = "Connection refused"
		} else if limited.Err() == nil || !errors.Is(err, context.DeadlineExceeded) {
			why = wordsOfDial(err)
		}
		if o.has("v") || p.name() == "telnet" || !o.has("z") {
			p.errorf("connect to %s port %s (tcp) failed: %s", words[0], words[1], why)
		}
		return 1
	}
	defer conn.Close()
	if o.has("v") || p.name() == "telnet" {
		fmt.Fprintf(p.Stderr, "Connection to %s %s port [tcp] succeeded!\n", words[0], words[1])
	}
	if o.has("z") {
		return 0
	}
	return p.joinConn(ctx, conn, o.has("N"))
}

func wordsOfDial(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	return words(err)
}

// joinConn ends with the other side. Without -N the end of the input is not
// passed on: some servers would leave without an answer.
func (p *Proc) joinConn(ctx context.Context, conn net.Conn, passEnd bool) int {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	in := p.Stdin
	t := p.Keyboard()
	if t != nil {
		in = t.Reader(ctx)
	}
	copying := func() {
		if _, err := io.Copy(conn, in); err == nil && passEnd {
			if half, ok := conn.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // the other side may have left
			}
		}
	}
	if t != nil {
		work.Go(copying)
		defer work.Wait()
	} else {
		go copying() // ends with the pipe
	}
	defer cancel()
	if _, err := io.Copy(p.Stdout, conn); err != nil && !errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
		return p.failed("read", err)
	}
	return 0
}
