package ui

import "strings"

// Colors lets the renderer paint its lines. Call it before the first event.
func (r *Renderer) Colors() *Renderer {
	r.colors = true
	return r
}

// paints are the colours of lines by the sign that they hold, the first that
// fits: what was broken, what failed, what was mended, what was seen, chapters.
var paints = []struct{ sign, sgr string }{
	{"⚡", "1;31"}, {"✘", "31"}, {"↺", "32"}, {"◆", "36"}, {"── ", "1"}, {"━━ ", "1"}, {"?  ", "35"}, {"=  ", "35"},
}

// painted wraps a line in the colour of its sign, for terminals.
func painted(line string) string {
	for _, p := range paints {
		if strings.Contains(line, p.sign) {
			return "\x1b[" + p.sgr + "m" + line + "\x1b[0m"
		}
	}
	return line
}
