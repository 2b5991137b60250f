package ui

import (
	"bytes"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

func TestEventLine(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 123e6, time.Local)
	for want, e := range map[string]lab.Event{
		"15:04:05.123  create    node2 ▸ machine/boot":               {Op: "create", Kind: lab.EventStart, Node: "node2", Step: "machine/boot"},
		"15:04:05.123  create    node2 … machine/ssh: refused":       {Op: "create", Kind: lab.EventWait, Node: "node2", Step: "machine/ssh", Text: "refused"},
		"15:04:05.123  create    node2 ✔ machine/ssh (1.50 s)":       {Op: "create", Kind: lab.EventDone, Node: "node2", Step: "machine/ssh", Data: map[string]any{"seconds": 1.5}},
		"15:04:05.123  scenario  ✘ expect lost victim: it was early": {Op: "scenario", Kind: lab.EventFail, Step: "expect lost victim", Err: "it was early\nand more"},
		"15:04:05.123  scenario     7.00 s  ◆ a1 is TASK_LOST":       {Op: "scenario", Kind: lab.EventNote, Text: "   7.00 s  ◆ a1 is TASK_LOST"},
		"15:04:05.123            ✘ broken":                           {Kind: lab.EventFail, Err: "broken"},
	} {
		e.Time = at
		if got := EventLine(e); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestColorsFollowSigns(t *testing.T) {
	for line, want := range map[string]string{
		"   0.00 s  ⚡ node2 loses power": "\x1b[1;31m   0.00 s  ⚡ node2 loses power\x1b[0m",
		"── a chapter":                   "\x1b[1m── a chapter\x1b[0m",
		"node2 boot ✔":                   "node2 boot ✔",
	} {
		if got := painted(line); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var out bytes.Buffer
	r := NewPlain(&out)
	r.Report(lab.Event{Kind: lab.EventNote, Text: "◆ seen"})
	r.Close()
	if got := out.String(); got != "◆ seen\n" {
		t.Errorf("a pipe gets %q", got)
	}
}
