package shell

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/mesoslab/lab/local/terminal"
)

// less shows files a screen at a time; without a screen it is cat. more is the
// same, but leaves at the end.
func less(ctx context.Context, p *Proc) int {
	toEnd, follow := false, false
	var names []string
	for _, a := range p.Args[1:] {
		switch {
		case a == "+F":
			follow = true
		case a == "+G":
			toEnd = true
		case strings.HasPrefix(a, "+"), strings.HasPrefix(a, "-") && a != "-": // how it shows: nothing to do
		default:
			names = append(names, a)
		}
	}
	if len(names) == 0 && p.Keyboard() != nil {
		return p.errorf("missing filename (\"%s --help\" does not help here: it is %s FILE, or … | %s)", p.name(), p.name(), p.name())
	}
	t := p.Screen()
	if t == nil || p.Terminal() != t {
		return p.each(names, func(_ string, r io.Reader) error { _, err := io.Copy(p.Stdout, r); return err })
	}
	if len(names) == 0 {
		names = []string{"-"}
	}
	status := 0
	for i, name := range names {
		r, err := p.open(name)
		if err != nil {
			status = p.failed(name, err)
			continue
		}
		g := newPager(t, title(name, i, len(names)))
		g.leaveAtEnd, g.following = p.name() == "more", follow
		if toEnd {
			g.top = 1 << 30
		}
		err = g.show(ctx, r)
		r.Close()
		if err != nil && ctx.Err() == nil {
			status = p.failed(name, err)
		}
	}
	return status
}

func title(name string, i, n int) string {
	switch {
	case name == "-":
		return ""
	case n > 1:
		return fmt.Sprintf("%s (file %d of %d)", name, i+1, n)
	}
	return name
}

// page shows a text as less does, or prints it where nobody can turn pages or
// nothing is to be turned.
func (p *Proc) page(ctx context.Context, text string) error {
	t := p.Screen()
	if t == nil || p.Terminal() != t || strings.Count(text, "\n") < t.Size().Rows {
		_, err := io.WriteString(p.Stdout, text)
		return err
	}
	return newPager(t, "").show(ctx, strings.NewReader(text))
}

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

// rows is a line as it fills the screen.
func (g *pager) rows(line string) []string {
	width := max(1, g.t.Size().Columns)
	if g.t.Size().Columns == 0 {
		width = 80
	}
	var out []string
	var b strings.Builder
	used := 0
	for text := plainText(line); text != ""; {
		cluster, rest, w, _ := uniseg.FirstGraphemeClusterInString(text, -1)
		if used+w > width {
			out = append(out, b.String())
			b.Reset()
			used = 0
		}
		b.WriteString(cluster)
		used, text = used+w, rest
	}
	return append(out, b.String())
}

// plainText is a line without anything that moves the cursor.
func plainText(line string) string {
	var b strings.Builder
	column := 0
	for _, r := range colours.ReplaceAllString(line, "") {
		switch {
		case r == '\t':
			n := 8 - column%8
			b.WriteString(strings.Repeat(" ", n))
			column += n
		case r < 0x20 || r == 0x7f:
			if r != '\r' {
				b.WriteString("^" + string(r^0x40))
				column += 2
			}
		default:
			b.WriteRune(r)
			column++
		}
	}
	return b.String()
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*[mK]`)

// draw shows the screen as it is to be.
func (g *pager) draw() {
	if g.following {
		g.top = 1 << 30
	}
	at := g.clamp()
	g.mu.Lock()
	rows := max(1, g.t.Size().Rows-1)
	var b strings.Builder
	b.WriteString("\x1b[H")
	n, next := 0, at
	for ; next < len(g.lines) && n < rows; next++ {
		for _, row := range g.rows(g.lines[next]) {
			if n < rows {
				b.WriteString(row + "\x1b[K\r\n")
				n++
			}
		}
	}
	for ; n < rows; n++ {
		b.WriteString("~\x1b[K\r\n")
	}
	b.WriteString(g.prompt(next) + "\x1b[K\x1b[J")
	g.mu.Unlock()
	io.WriteString(g.t, b.String()) // a screen that is gone ends ctx
}

// prompt is the last line; mu is held.
func (g *pager) prompt(next int) string {
	text := ":"
	switch {
	case g.typing != nil:
		return "/" + plainText(*g.typing)
	case g.note != "":
		text, g.note = g.note, ""
	case g.following:
		text = "Waiting for data... (ctrl-C to stop)"
	case g.ended && next >= len(g.lines):
		text = strings.TrimSpace(g.title + " (END)")
	case g.title != "" && g.top == 0:
		text = g.title
	case g.leaveAtEnd:
		text = "--More--"
	default:
		return ":"
	}
	return "\x1b[7m" + text + "\x1b[m"
}

// man has no pages.
func man(_ context.Context, p *Proc) int {
	if len(p.Args) < 2 {
		p.printf("What manual page do you want?\n")
		return 1
	}
	fmt.Fprintf(p.Stderr, "No manual entry for %s: an embedded machine has no manual pages. help lists its commands; your own computer has the manual.\n", p.Args[len(p.Args)-1])
	return 16
}
