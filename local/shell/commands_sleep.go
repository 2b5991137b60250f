package shell

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// duration reads sleep's 1.5, 2s, 3m, 1h.
func duration(text string) (time.Duration, error) {
	unit := time.Second
	switch {
	case strings.HasSuffix(text, "s"):
		text = text[:len(text)-1]
	case strings.HasSuffix(text, "m"):
		text, unit = text[:len(text)-1], time.Minute
	case strings.HasSuffix(text, "h"):
		text, unit = text[:len(text)-1], time.Hour
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0, fmt.Errorf("invalid time interval '%s'", text)
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

func timeout(ctx context.Context, p *Proc) int {
	args := p.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] == "-s" || args[0] == "-k" {
			args = args[min(1, len(args)-1):]
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
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	status := p.start(limited, p.config(), args[1:])
	if limited.Err() != nil && ctx.Err() == nil {
		return 124
	}
	return status
}
