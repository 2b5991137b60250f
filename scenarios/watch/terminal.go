package watch

import (
	"context"
	"fmt"
	"time"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/color"
)

// redraw is how often the screen is drawn.
const redraw = 250 * time.Millisecond

// Terminal shows views on the whole terminal until q, Esc or Ctrl-C is
// pressed or ctx ends. The terminal is as before when it returns, also after a
// panic.
func Terminal(ctx context.Context, view func(now time.Time) View) error {
	screen, err := tcell.NewScreen()
	if err != nil {
		return fmt.Errorf("open terminal: %w", err)
	}
	return show(ctx, screen, view)
}

func show(ctx context.Context, screen tcell.Screen, view func(now time.Time) View) error {
	if err := screen.Init(); err != nil {
		return fmt.Errorf("open terminal: %w", err)
	}
	defer screen.Fini()
	screen.HideCursor()
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		draw(screen, view(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case e := <-screen.EventQ():
			switch e := e.(type) {
			case *tcell.EventResize:
				screen.Sync()
			case *tcell.EventKey:
				if leaves(e) {
					return nil
				}
			}
		}
	}
}

func leaves(e *tcell.EventKey) bool {
	return e.Key() == tcell.KeyCtrlC || e.Key() == tcell.KeyEscape || e.Key() == tcell.KeyRune && (e.Str() == "q" || e.Str() == "Q")
}

var styles = map[Style]tcell.Style{
	Plain: tcell.StyleDefault,
	Bold:  tcell.StyleDefault.Bold(true),
	Dim:   tcell.StyleDefault.Dim(true),
	Good:  tcell.StyleDefault.Foreground(color.Green),
	Warn:  tcell.StyleDefault.Foreground(color.Yellow),
	Bad:   tcell.StyleDefault.Foreground(color.Red).Bold(true),
}

func draw(screen tcell.Screen, v View) {
	screen.Clear()
	width, height := screen.Size()
	for y, line := range v.Lines(height) {
		x := 0
		for _, s := range line {
			for text := s.Text; text != "" && x < width; {
				rest, w := screen.Put(x, y, text, styles[s.Style])
				if rest == text {
					break
				}
				x, text = x+w, rest
			}
		}
	}
	screen.Show()
}
