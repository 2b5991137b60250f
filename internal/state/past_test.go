package state

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

func texts(t *testing.T, l *Lab, last int) string {
	t.Helper()
	var out []string
	err := l.Events(t.Context(), last, false, func(e PastEvent) error {
		if e.Err != nil {
			out = append(out, "!"+string(e.Raw))
			return nil
		}
		out = append(out, e.Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestEventsAreReadBack(t *testing.T) {
	l := &Lab{Dir: t.TempDir()}
	if got := texts(t, l, -1); got != "" {
		t.Errorf("without a log: %q", got)
	}
	report, closeLog, err := l.EventLog(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		report.Emit(lab.Event{Kind: lab.EventNote, Text: fmt.Sprint(i)})
	}
	if err := closeLog(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(l.Dir, "events.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Lines of somebody else, and one in the making.
	if _, err := f.WriteString("nonsense\n{}\n{\"kind\":\"no"); err != nil {
		t.Fatal(err)
	}
	for last, want := range map[int]string{-1: "0 1 2 3 !nonsense !{}", 3: "3 !nonsense !{}", 0: "", 100: "0 1 2 3 !nonsense !{}"} {
		if got := texts(t, l, last); got != want {
			t.Errorf("the last %d: %q, want %q", last, got, want)
		}
	}
}

// TestEventsAreFollowed writes a line in two halves while somebody follows,
// then removes the lab.
func TestEventsAreFollowed(t *testing.T) {
	l := &Lab{Dir: t.TempDir()}
	name := filepath.Join(l.Dir, "events.jsonl")
	write := func(text string) {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(chan string)
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		done <- l.Events(ctx, -1, true, func(e PastEvent) error { seen <- e.Text; return nil })
	}()
	write(`{"kind":"note","text":"first"}` + "\n" + `{"kind":"note",`)
	if got := <-seen; got != "first" {
		t.Errorf("saw %q", got)
	}
	write(`"text":"second"}` + "\n")
	if got := <-seen; got != "second" {
		t.Errorf("saw %q", got)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || ctx.Err() != nil {
		t.Errorf("the end of the lab: %v, %v", err, ctx.Err())
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("{\"kind\":\"note\"}\n\n\xff\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &Lab{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(l.Dir, "events.jsonl"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		lines := 0
		if err := l.Events(t.Context(), -1, false, func(PastEvent) error { lines++; return nil }); err != nil {
			t.Fatal(err)
		}
		if want := strings.Count(string(data), "\n"); lines != want {
			t.Errorf("%d events of %d lines", lines, want)
		}
	})
}
