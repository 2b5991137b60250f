package web

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini"
)

// behaviour is how the program differs from a good web server. Its zero value
// does not.
type behaviour struct {
	release    string        // what the operator calls this version
	delay      time.Duration // before each page
	start      time.Duration // from the start on, nothing but 503
	crashAfter time.Duration // then the program ends with 1; 0 = never
	sick       bool          // from sickAfter on, nothing but 500
	sickAfter  time.Duration
	counter    string        // file that counts requests, "" = none
	memory     int64         // bytes to fill
	job        time.Duration // no server: so much work, then 0
}

// readBehaviour reads the LAB_WEB_* variables.
func readBehaviour(env mini.Env) (behaviour, error) {
	var b behaviour
	b.release, b.counter = env.Getenv("LAB_WEB_RELEASE"), env.Getenv("LAB_WEB_COUNTER")
	if strings.ContainsFunc(b.release, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return b, fmt.Errorf("LAB_WEB_RELEASE %q is not a word such as v2", b.release)
	}
	if b.counter != "" && !strings.HasPrefix(b.counter, "/") {
		return b, fmt.Errorf("LAB_WEB_COUNTER %q is not an absolute path such as /data/count", b.counter)
	}
	b.sick = env.Getenv("LAB_WEB_SICK_AFTER") != ""
	for _, v := range []struct {
		name string
		into *time.Duration
	}{
		{"LAB_WEB_DELAY", &b.delay}, {"LAB_WEB_START", &b.start}, {"LAB_WEB_CRASH_AFTER", &b.crashAfter},
		{"LAB_WEB_SICK_AFTER", &b.sickAfter}, {"LAB_WEB_JOB", &b.job},
	} {
		text := env.Getenv(v.name)
		if text == "" {
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return b, fmt.Errorf("%s %q is not a duration such as 1s", v.name, text)
		}
		*v.into = d
	}
	if text := env.Getenv("LAB_WEB_MEMORY"); text != "" {
		mib, err := strconv.ParseInt(strings.TrimSuffix(text, "MiB"), 10, 32)
		if err != nil || mib < 1 || mib > maxMemoryMiB || !strings.HasSuffix(text, "MiB") {
			return b, fmt.Errorf("LAB_WEB_MEMORY %q is not from 1MiB to %dMiB", text, maxMemoryMiB)
		}
		b.memory = mib << 20
	}
	return b, nil
}

// status is what the site has to say instead of a page, uptime after its
// start: 503 while it warms up, 500 once it is sick, else 200.
func (b behaviour) status(uptime time.Duration) int {
	switch {
	case uptime < b.start:
		return 503
	case b.sick && uptime >= b.sickAfter:
		return 500
	}
	return 200
}

// crash returns a channel that tells when the program has to end. The timer
// is the caller's to stop.
func (b behaviour) crash() (<-chan time.Time, func() bool) {
	if b.crashAfter == 0 {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(b.crashAfter)
	return t.C, t.Stop
}

// wait is a pause that ends early, with false, when ctx does.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
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
