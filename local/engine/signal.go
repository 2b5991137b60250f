package engine

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// linuxSignals are the signals that clients name, with Linux' numbers, which
// are the API's on every system.
var linuxSignals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
	"SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CONT": 18, "STOP": 19,
	"TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28,
	"IO": 29, "PWR": 30, "SYS": 31,
}

// parseSignal reads KILL, SIGKILL, sigkill or 9 and returns Linux' number.
func parseSignal(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n <= 0 || n > 64 {
			return 0, api.BadRequest("invalid signal: %s", s)
		}
		return n, nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n, ok := linuxSignals[name]; ok {
		return n, nil
	}
	rt, offset, up := strings.Cut(name, "+")
	base, sign := 34, 1
	if !up {
		rt, offset, up = strings.Cut(name, "-")
		base, sign = 64, -1
	}
	n, err := strconv.Atoi(offset)
	if !up {
		n, err = 0, nil
	}
	want := map[int]string{1: "RTMIN", -1: "RTMAX"}[sign]
	if name == "RTMIN" {
		return 34, nil
	}
	if err != nil || rt != want || n < 0 || n > 30 {
		return 0, api.BadRequest("invalid signal: %s", s)
	}
	return base + sign*n, nil
}

// stopSignal is the number of the signal that stops the container.
func (r record) stopSignal() int {
	if n, err := parseSignal(r.Config.StopSignal); err == nil {
		return n
	}
	return int(syscall.SIGTERM)
}

const (
	sigkill = 9
	sigterm = 15
)
