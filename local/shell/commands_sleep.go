package shell

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// duration reads sleep's 1.5, 2s, 3m, 1h.
func duration(given string) (time.Duration, error) {
	text := given
	unit := time.Second
	switch {
	case strings.HasSuffix(text, "s"):
		text = text[:len(text)-1]
	case strings.HasSuffix(text, "m"):
		text, unit = text[:len(text)-1], time.Minute
	case strings.HasSuffix(text, "h"):
		text, unit = text[:len(text)-1], time.Hour
	case strings.HasSuffix(text, "d"):
		text, unit = text[:len(text)-1], 24*time.Hour
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0, fmt.Errorf("invalid time interval '%s'", given)
	}
	return time.Duration(f * float64(unit)), nil
}

func sleepFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func sleep(ctx context.Context, p *Proc) int {
	if len(p.Args) == 1 {
		return p.errorf("missing operand")
	}
	var total time.Duration
	for _, a := range p.Args[1:] {
		if a == "infinity" {
			a = "1000000h"
		}
		d, err := duration(a)
		if err != nil {
			return p.errorf("%v", err)
		}
		total += d
	}
	sleepFor(ctx, total)
	if ctx.Err() != nil {
		return 130
	}
	return 0
}

// timeout ends a command after a while. Signals are the same to every command
// here; the status tells them apart.
func timeout(ctx context.Context, p *Proc) int {
	args, sig, preserve := p.Args[1:], syscall.SIGTERM, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, isSignal := strings.CutPrefix(args[0], "--signal=")
		switch {
		case isSignal:
		case args[0] == "-s" && len(args) > 1:
			name, isSignal, args = args[1], true, args[1:]
		case args[0] == "-k" && len(args) > 1:
			args = args[1:]
		case args[0] == "--preserve-status":
			preserve = true
		case args[0] == "--foreground", strings.HasPrefix(args[0], "--kill-after="):
		default:
			p.errorf("unrecognized option '%s'", args[0])
			return 125
		}
		if isSignal {
			known := false
			if sig, known = signalOf(name); !known {
				p.errorf("'%s': invalid signal", name)
				return 125
			}
		}
		args = args[1:]
	}
	if len(args) < 2 {
		p.errorf("missing operand")
		return 125
	}
	d, err := duration(args[0])
	if err != nil {
		p.errorf("%v", err)
		return 125
	}
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	if d > 0 { // 0 is no limit
		limited, cancel = context.WithTimeout(limited, d)
		defer cancel()
	}
	status := p.start(limited, p.config(), args[1:])
	switch {
	case limited.Err() == nil || ctx.Err() != nil:
		return status
	case preserve || sig == syscall.SIGKILL:
		return 128 + int(sig)
	}
	return 124
}
