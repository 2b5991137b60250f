package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// quiet is how long an open step may go without a word: looked at ten times
// as often, so that no word comes later than a second after the one before.
const quiet = 900 * time.Millisecond

// Renderer turns events into lines. Its Report may be called from many
// goroutines.
type Renderer struct {
	mu       sync.Mutex
	out      io.Writer
	live     liveLine // nil where lines are final
	colors   bool
	start    time.Time
	lastLine time.Time
	open     map[key]*openStep
	order    []key
	children map[key][]string
	stop     chan struct{}
	done     chan struct{}
}

type key struct{ node, step string }

type openStep struct {
	since time.Time
	wait  string
}

// liveLine is a line that is drawn over until a final one is printed.
type liveLine interface {
	Draw(text string)
	Erase()
}

// NewPlain renders for a pipe: every line is final.
func NewPlain(out io.Writer) *Renderer { return newRenderer(out, nil, quiet/10) }

// NewTerminal renders for a terminal: a live bar below the final lines.
func NewTerminal(out io.Writer) *Renderer { return newRenderer(out, newBar(out), 100*time.Millisecond) }

func newRenderer(out io.Writer, live liveLine, every time.Duration) *Renderer {
	now := time.Now()
	r := &Renderer{
		out: out, live: live, start: now, lastLine: now,
		open: map[key]*openStep{}, children: map[key][]string{},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go r.tick(every)
	return r
}

// Close draws nothing more. Steps still open are forgotten: the error that
// ended them is printed elsewhere.
func (r *Renderer) Close() {
	close(r.stop)
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live != nil {
		r.live.Erase()
	}
}

func (r *Renderer) tick(every time.Duration) {
	defer close(r.done)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-t.C:
			r.mu.Lock()
			r.progress()
			r.mu.Unlock()
		}
	}
}

// progress says what is open: drawn over on a terminal, else in a line when
// the last one is a second old.
func (r *Renderer) progress() {
	if len(r.order) == 0 {
		return
	}
	var parts []string
	for _, k := range r.order {
		s := r.open[k]
		if _, isParent := r.children[k]; isParent {
			continue
		}
		text := strings.TrimSpace(k.node + " " + shortStep(k.step))
		if s.wait != "" {
			text += ": " + s.wait
		}
		parts = append(parts, fmt.Sprintf("%s (%.0f s)", text, time.Since(s.since).Seconds()))
	}
	if len(parts) == 0 {
		return
	}
	line := strings.Join(parts, " · ")
	if r.live != nil {
		r.live.Draw(fmt.Sprintf("%5.1f s  %s", time.Since(r.start).Seconds(), line))
		return
	}
	if time.Since(r.lastLine) >= quiet {
		r.line("… " + line)
	}
}

// Report is the lab.Report of this renderer.
func (r *Renderer) Report(e lab.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key{e.Node, e.Step}
	switch e.Kind {
	case lab.EventStart:
		if _, ok := r.open[k]; !ok {
			r.order = append(r.order, k)
		}
		r.open[k] = &openStep{since: e.Time}
		if parent, ok := r.parent(k); ok {
			r.children[parent] = slices.Clip(r.children[parent]) // a group from now on, though empty
		}
	case lab.EventWait:
		if s := r.open[k]; s != nil {
			s.wait = e.Text
		}
	case lab.EventDone:
		if e.Data["quiet"] == true {
			r.forget(k)
			return
		}
		r.finish(k, e)
	case lab.EventFail:
		r.flush(k)
		r.line(strings.TrimSpace(fmt.Sprintf("%s %s ✘ %s", e.Node, shortStep(k.step), firstLine(e.Err))))
		r.forget(k)
	case lab.EventNote:
		if e.Data["quiet"] == true {
			return // for those who look back
		}
		text := strings.TrimRight(e.Text, " ") // what leads it sets times under each other
		if e.Node != "" {
			text = e.Node + " " + strings.TrimSpace(text)
		}
		r.line(text)
	}
}

// parent returns the open step that collects k, if there is one.
func (r *Renderer) parent(k key) (key, bool) {
	group, _, ok := strings.Cut(k.step, "/")
	if !ok {
		return key{}, false
	}
	p := key{k.node, group}
	_, open := r.open[p]
	return p, open
}

func (r *Renderer) finish(k key, e lab.Event) {
	word := shortStep(k.step)
	if e.Text != "" {
		word = e.Text
	}
	if p, ok := r.parent(k); ok {
		r.children[p] = append(r.children[p], word+" ✔")
	} else if _, group := r.children[k]; !group {
		r.line(strings.TrimSpace(fmt.Sprintf("%s %s ✔", e.Node, word)))
	} else {
		r.flush(k)
	}
	r.forget(k)
}

// flush prints what a group has collected.
func (r *Renderer) flush(k key) {
	if words := r.children[k]; len(words) > 0 {
		r.line(strings.TrimSpace(k.node + "  " + strings.Join(words, "  ")))
	}
}

func (r *Renderer) forget(k key) {
	delete(r.open, k)
	delete(r.children, k)
	r.order = slices.DeleteFunc(r.order, func(o key) bool { return o == k })
}

func (r *Renderer) line(text string) {
	if r.live != nil {
		r.live.Erase()
	}
	if r.colors {
		text = painted(text)
	}
	fmt.Fprintln(r.out, text)
	r.lastLine = time.Now()
}

func shortStep(step string) string {
	if _, name, ok := strings.Cut(step, "/"); ok {
		return name
	}
	return step
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
