package haproxy

import (
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// longestLog is how long HAProxy's log may become before it begins anew.
const longestLog = 1 << 20

// tail passes HAProxy's log on.
type tail struct {
	name string
	log  func(format string, args ...any)

	mu     sync.Mutex
	passed int64 // so much has been passed on
	marked int64 // where the start or the reload under way began
}

// mark begins a new stretch for since and failure.
func (t *tail) mark() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marked = 0
	if i, err := os.Stat(t.name); err == nil {
		t.marked = i.Size()
	}
}

// read returns the whole lines from an offset on.
func (t *tail) read(from int64) string {
	f, err := os.Open(t.name)
	if err != nil {
		return "" // nothing has been said
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, from, longestLog))
	if err != nil {
		return ""
	}
	return string(text[:strings.LastIndexByte(string(text), '\n')+1])
}

// since is what has been said since mark.
func (t *tail) since() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read(t.marked)
}

// What a master says when its new worker could not start: since 2.5, and before.
var failed = regexp.MustCompile(`(?m)Loading failure|in waitpid mode`)

// failure says whether the start or reload since mark has failed, and why.
func (t *tail) failure() (error, bool) {
	said := t.since()
	if !failed.MatchString(said) {
		return nil, false
	}
	return errors.New(alerts(said)), true
}

// What every reload says: the old worker's proxies stop, and then it has ended.
var ordinary = regexp.MustCompile(`^(Proxy \S+ stopped|Former worker \([0-9]+\) exited with code 0 )`)

// follow passes warnings and alerts on until ctx ends.
func (t *tail) follow(ctx context.Context) {
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			t.pass()
		}
	}
}

// pass passes on what is new.
func (t *tail) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.read(t.passed)
	t.passed += int64(len(text))
	for line := range strings.Lines(text) {
		severity, words := logLine(line)
		if severity == "ALERT" || severity == "WARNING" && !ordinary.MatchString(words) {
			t.log("haproxy: %s", words)
		}
	}
	if t.passed >= longestLog/2 {
		// It is written with O_APPEND, so HAProxy goes on at its new end.
		if err := os.Truncate(t.name, 0); err == nil {
			t.passed, t.marked = 0, 0
		}
	}
}
