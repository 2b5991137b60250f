package shell

import (
	"bufio"
	"context"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mesoslab/lab/local/terminal"
)

// pager is one text on a terminal. Its input is read while it is shown.
type pager struct {
	t          *terminal.Terminal
	title      string
	leaveAtEnd bool

	top       int // the first line on the screen, once that much was read
	from      int // what was the first line when top was asked for
	following bool
	pattern   *regexp.Regexp
	typing    *string // what is typed behind /, else nil
	note      string  // for the next prompt

	mu    sync.Mutex
	lines []string
	ended bool
	err   error
}

func newPager(t *terminal.Terminal, title string) *pager { return &pager{t: t, title: title} }

// show returns when the user leaves, or ctx ends.
func (g *pager) show(ctx context.Context, r io.Reader) error {
	mode := g.t.SetMode(terminal.Raw())
	defer g.t.SetMode(mode)
	io.WriteString(g.t, "\x1b[?1049h") // the other screen: what was there comes back
	defer io.WriteString(g.t, "\x1b[?1049l")
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	more, keys := make(chan struct{}, 1), make(chan string)
	work.Go(func() { g.read(ctx, r, more) })
	work.Go(func() { pressedKeys(ctx, g.t, keys) })
	stop := context.AfterFunc(ctx, func() { unblock(r) })
	defer stop()
	defer unblock(r)
	for {
		resized := g.t.Resized()
		if g.over() {
			return g.failure()
		}
		g.draw()
		select {
		case <-more:
		case <-resized:
		case k, ok := <-keys:
			if !ok || g.key(k) {
				return g.failure()
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// unblock ends a read that waits for a pipe.
func unblock(r io.Reader) {
	if s, ok := r.(stream); ok {
		r = s.Reader
	}
	if f, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = f.SetReadDeadline(time.Unix(1, 0)) // an ordinary file never waits
	}
}

func (g *pager) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// read takes in the text, and goes on at the end of a file that grows while it
// is followed.
func (g *pager) read(ctx context.Context, r io.Reader, more chan<- struct{}) {
	b := bufio.NewReader(r)
	partial := ""
	for ctx.Err() == nil {
		line, err := b.ReadString('\n')
		g.mu.Lock()
		news := line != "" || !g.ended
		if line = partial + line; strings.HasSuffix(line, "\n") || err != nil && err != io.EOF {
			g.lines, partial = append(g.lines, strings.TrimSuffix(line, "\n")), ""
		} else {
			partial = line
		}
		if err == io.EOF && !g.ended {
			if partial != "" {
				g.lines, partial = append(g.lines, partial), ""
			}
			g.ended = true
		}
		if err != nil && err != io.EOF && ctx.Err() == nil {
			g.err, g.ended = err, true
		}
		g.mu.Unlock()
		if news {
			select {
			case more <- struct{}{}:
			default:
			}
		}
		if err == io.EOF {
			sleepFor(ctx, followEvery)
		} else if err != nil {
			return
		}
	}
}

// key does what a key asks for, and reports whether that is to leave.
func (g *pager) key(k string) (leave bool) {
	if g.typing != nil {
		g.searchKey(k)
		return false
	}
	page := max(1, g.t.Size().Rows-1)
	if g.following {
		if k == "\x03" || k == "q" || k == "Q" {
			g.following = false
		}
		return k == "q" || k == "Q"
	}
	seen := g.clamp()
	move := func(lines int) { g.top, g.from = seen+lines, seen }
	switch k {
	case "q", "Q", "Z":
		return true
	case " ", "f", "\x06", "\x16", "z", "\x1b[6~":
		move(page)
	case "b", "\x02", "w", "\x1b[5~":
		move(-page)
	case "d", "\x04":
		move(page / 2)
	case "u", "\x15":
		move(-page / 2)
	case "j", "e", "\r", "\n", "\x0e", "\x1b[B", "\x1bOB":
		move(1)
	case "k", "y", "\x10", "\x1b[A", "\x1bOA":
		move(-1)
	case "g", "<", "\x1b[H", "\x1b[1~", "\x1bOH":
		move(-seen)
	case "G", ">", "\x1b[F", "\x1b[4~", "\x1bOF":
		move(1 << 30)
	case "F":
		g.following = true
	case "/":
		g.typing = new(string)
	case "n":
		g.find(1)
	case "N":
		g.find(-1)
	case "h", "H":
		g.note = "space b: pages · j k: lines · g G: ends · /word n N: search · F: follow · q: leave"
	case "\x03":
		g.note = "q leaves"
	}
	return false
}

// over reports whether more has been asked to go on from the last page.
func (g *pager) over() bool {
	wanted := g.top
	at := g.clamp()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leaveAtEnd && !g.following && g.ended && wanted > at && at <= g.from
}

// clamp returns the first line to show: top, as far as there is text yet. At
// the end of the text top is no further.
func (g *pager) clamp() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	size := g.t.Size()
	room, last := max(1, size.Rows-1), len(g.lines)
	for last > 0 {
		if room -= len(g.rows(g.lines[last-1])); room < 0 {
			break
		}
		last--
	}
	at := max(0, min(g.top, last))
	if g.top = max(0, g.top); g.ended {
		g.top = at
	}
	return at
}

func (g *pager) searchKey(k string) {
	switch {
	case k == "\x03" || k == "\x1b":
		g.typing = nil
	case k == "\x7f" || k == "\b":
		if *g.typing == "" {
			g.typing = nil
			return
		}
		_, size := utf8.DecodeLastRuneInString(*g.typing)
		*g.typing = (*g.typing)[:len(*g.typing)-size]
	case k == "\r" || k == "\n":
		text := *g.typing
		g.typing = nil
		if text != "" {
			re, err := regexp.Compile(text)
			if err != nil {
				re = regexp.MustCompile(regexp.QuoteMeta(text))
			}
			g.pattern = re
		}
		g.find(1)
	case k >= " " && k[0] != 0x1b:
		*g.typing += k
	}
}

// find goes to the next line with the pattern, in a direction.
func (g *pager) find(step int) {
	if g.pattern == nil {
		g.note = "nothing was searched for: /"
		return
	}
	from := g.clamp()
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := from + step; i >= 0 && i < len(g.lines); i += step {
		if g.pattern.MatchString(g.lines[i]) {
			g.top = i
			return
		}
	}
	g.note = "pattern not found"
}
