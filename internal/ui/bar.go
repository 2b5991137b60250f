package ui

import (
	"io"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar is a liveLine drawn by schollz/progressbar as a spinner: how many steps
// lie ahead is not known.
type bar struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	width int
}

func newBar(out io.Writer) *bar {
	b := &bar{out: out, width: 80}
	if f, ok := out.(interface{ Fd() uintptr }); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			b.width = w
		}
	}
	return b
}

// Draw shows one line of text beside the spinner, cut to the terminal.
func (b *bar) Draw(text string) {
	if b.bar == nil {
		b.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(b.out), progressbar.OptionSpinnerType(14),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own: Draw is called often enough
			progressbar.OptionClearOnFinish())
	}
	if runes := []rune(text); len(runes) > b.width-4 {
		text = string(runes[:b.width-5]) + "…"
	}
	b.bar.Describe(text)
	b.bar.Add(1)
}

// Erase removes the line, so that a final one can take its place.
func (b *bar) Erase() {
	if b.bar != nil {
		b.bar.Finish()
		b.bar = nil
	}
}
