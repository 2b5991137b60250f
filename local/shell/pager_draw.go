package shell

import (
	"io"
	"regexp"
	"strings"

	"github.com/rivo/uniseg"
)

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
