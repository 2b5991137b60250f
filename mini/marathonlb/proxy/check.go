package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// result is what one check found, in the words of HAProxy's statistics.
type result struct {
	ok     bool
	status string // INI, L4OK, L4TOUT, L4CON, L7OK, L7STS, L7RSP, L7TOUT
	code   int    // HTTP status, if any
	took   time.Duration
}

// watch probes s until ctx ends, for the first time after a delay.
func (p *Proxy) watch(ctx context.Context, b *backend, s *server, c Check, delay time.Duration) {
	for wait(ctx, delay) {
		start := time.Now()
		r := p.probe(ctx, s.conf.Load().Addr, c)
		if ctx.Err() != nil {
			return
		}
		r.took = time.Since(start)
		if changed, up := s.record(r, time.Now()); changed {
			b.settle(time.Now())
			word := "DOWN"
			if up {
				word = "UP"
			}
			p.log("Server %s/%s is %s, reason: %s, code: %d, check duration: %dms",
				b.name, s.conf.Load().Name, word, r.status, r.code, r.took.Milliseconds())
		}
		delay = c.Interval
	}
}

// wait lets d pass; false means that ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// probe checks an address once. As in HAProxy, a check time-out limits the
// answer and min(connect time-out, interval) the connection; without one the
// interval limits the connection.
func (p *Proxy) probe(ctx context.Context, addr string, c Check) result {
	connect := c.Interval
	if c.Timeout > 0 {
		connect = min(p.limits.Connect, c.Interval)
	}
	dctx, cancel := context.WithTimeout(ctx, connect)
	conn, err := p.dial(dctx, "tcp", addr)
	cancel()
	if err != nil {
		if timedOut(err) {
			return result{status: "L4TOUT"}
		}
		return result{status: "L4CON"}
	}
	defer conn.Close()
	if c.Path == "" {
		return result{ok: true, status: "L4OK"}
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	answer := c.Timeout
	if answer == 0 {
		answer = c.Interval
	}
	if err := conn.SetDeadline(time.Now().Add(answer)); err != nil {
		return result{status: "L4CON"}
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", c.Path); err != nil {
		return failedAnswer(err)
	}
	code, err := readStatus(conn)
	if err != nil {
		return failedAnswer(err)
	}
	if code < 200 || code > 399 {
		return result{status: "L7STS", code: code}
	}
	return result{ok: true, status: "L7OK", code: code}
}

func failedAnswer(err error) result {
	if timedOut(err) {
		return result{status: "L7TOUT"}
	}
	return result{status: "L7RSP"}
}

var errNotHTTP = errors.New("not an HTTP status line")

// readStatus reads an HTTP/1 status line and returns its code.
func readStatus(r io.Reader) (int, error) {
	const longest = 1 << 10
	line, err := bufio.NewReaderSize(io.LimitReader(r, longest), 64).ReadString('\n')
	if err != nil && !(err == io.EOF && len(line) > 0) {
		return 0, err
	}
	proto, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	digits, _, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(digits)
	if !strings.HasPrefix(proto, "HTTP/1.") || len(digits) != 3 || err != nil || code < 100 {
		return 0, errNotHTTP
	}
	return code, nil
}
