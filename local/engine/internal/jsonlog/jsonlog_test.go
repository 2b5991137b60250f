package jsonlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func everything() Query { return Query{Stdout: true, Stderr: true, Tail: -1} }

func texts(t *testing.T, l *Log, q Query) string {
	t.Helper()
	var b strings.Builder
	err := l.Read(t.Context(), q, func(e Entry) error { b.WriteString(e.Text); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func fill(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := l.Append("stdout", time.Now(), fmt.Appendf(nil, "line %d\n", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueries(t *testing.T) {
	l := New(t.TempDir())
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, e := range []struct{ stream, text string }{{"stdout", "a\n"}, {"stderr", "b\n"}, {"stdout", "c\n"}, {"stdout", "d"}} {
		if err := l.Append(e.stream, begin.Add(time.Duration(i)*time.Second), []byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		name string
		edit func(*Query)
		want string
	}{
		{"all", func(*Query) {}, "a\nb\nc\nd"},
		{"stderr", func(q *Query) { q.Stdout = false }, "b\n"},
		{"stdout", func(q *Query) { q.Stderr = false }, "a\nc\nd"},
		{"tail", func(q *Query) { q.Tail = 2 }, "c\nd"},
		{"tail of a stream", func(q *Query) { q.Tail = 1; q.Stdout = false }, "b\n"},
		{"no tail", func(q *Query) { q.Tail = 0 }, ""},
		{"long tail", func(q *Query) { q.Tail = 99 }, "a\nb\nc\nd"},
		{"since", func(q *Query) { q.Since = begin.Add(2 * time.Second) }, "c\nd"},
		{"until", func(q *Query) { q.Until = begin.Add(time.Second) }, "a\nb\n"},
		{"follow a finished log", func(q *Query) { q.Follow = true }, "a\nb\nc\nd"},
	} {
		t.Run(x.name, func(t *testing.T) {
			q := everything()
			x.edit(&q)
			if got := texts(t, l, q); got != x.want {
				t.Errorf("%q, want %q", got, x.want)
			}
		})
	}
}

func TestRotationKeepsTheNewest(t *testing.T) {
	l := New(t.TempDir())
	l.maxFile = 500
	fill(t, l, 0, 100)
	l.Seal()
	got := strings.Split(strings.TrimSpace(texts(t, l, everything())), "\n")
	if got[len(got)-1] != "line 99" || len(got) < 10 || len(got) > 60 {
		t.Errorf("kept %d lines up to %q", len(got), got[len(got)-1])
	}
	for i := 1; i < len(got); i++ {
		var a, b int
		fmt.Sscanf(got[i-1], "line %d", &a)
		fmt.Sscanf(got[i], "line %d", &b)
		if b != a+1 {
			t.Fatalf("%q comes after %q", got[i], got[i-1])
		}
	}
	if files, _ := filepath.Glob(filepath.Join(l.dir, "log*")); len(files) != Files {
		t.Errorf("files: %v", files)
	}
}

// TestFollow reads across rotations while lines are written, and ends with
// the log.
func TestFollow(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := New(t.TempDir())
		l.maxFile = 500
		l.Open()
		var got []string
		done := make(chan error)
		q := everything()
		q.Follow = true
		go func() {
			done <- l.Read(t.Context(), q, func(e Entry) error { got = append(got, e.Text); return nil })
		}()
		for i := range 200 {
			fill(t, l, i, i+1)
			synctest.Wait() // the reader has seen it
		}
		l.Seal()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(got) != 200 || got[199] != "line 199\n" {
			t.Errorf("followed %d lines", len(got))
		}
	})
}

func TestFollowEnds(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := New(t.TempDir())
		l.Open()
		q := everything()
		q.Follow = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		none := func(Entry) error { return nil }
		if err := l.Read(ctx, q, none); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("follow of an empty log: %v", err)
		}
		q.Until = time.Now().Add(time.Second)
		begin := time.Now()
		if err := l.Read(t.Context(), q, none); err != nil || time.Since(begin) > 2*time.Second {
			t.Errorf("follow until: %v after %v", err, time.Since(begin))
		}
		stop := errors.New("enough")
		fill(t, l, 0, 1)
		q = everything()
		if err := l.Read(t.Context(), q, func(Entry) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("the reader's own error: %v", err)
		}
		l.Seal()
	})
}

func TestTornLine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "log"), []byte(`{"log":"good\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}`+"\n"+`{"log":"to`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := New(dir)
	fill(t, l, 0, 1)
	l.Seal()
	if got := texts(t, l, everything()); got != "good\nline 0\n" {
		t.Errorf("%q", got)
	}
}

func TestLines(t *testing.T) {
	l := New(t.TempDir())
	w := &Lines{Log: l, Stream: "stdout"}
	long := strings.Repeat("x", MaxLine+10)
	for _, piece := range []string{"one\ntw", "o\n", long, "\n", "rest"} {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("write %d: %d, %v", len(piece), n, err)
		}
	}
	w.Flush()
	l.Seal()
	var got []string
	err := l.Read(t.Context(), everything(), func(e Entry) error { got = append(got, e.Text); return nil })
	if err != nil || len(got) != 5 || got[1] != "two\n" || len(got[2]) != MaxLine || got[3] != "xxxxxxxxxx\n" || got[4] != "rest" {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

func TestLinesSurviveAFullDisk(t *testing.T) {
	var heard []error
	w := &Lines{Log: New(filepath.Join(t.TempDir(), "no", "such")), Stream: "stdout", Failed: func(err error) { heard = append(heard, err) }}
	for range 3 {
		if _, err := w.Write([]byte("lost\n")); err != nil {
			t.Error(err)
		}
	}
	if len(heard) != 1 || !errors.Is(heard[0], os.ErrNotExist) {
		t.Errorf("heard %v", heard)
	}
}

// FuzzRead: whatever is in the file, reading ends without an error and gives
// the entry that follows.
func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n"))
	f.Add([]byte("{}\n\n[]\n{\"log\":1}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "log"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		l := New(dir)
		if err := l.Append("stdout", time.Now(), []byte("the end\n")); err != nil {
			t.Fatal(err)
		}
		l.Seal()
		if got := texts(t, l, everything()); !strings.HasSuffix(got, "the end\n") {
			t.Errorf("%q", got)
		}
	})
}
