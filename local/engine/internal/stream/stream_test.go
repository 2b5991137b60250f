package stream

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	f := Frames{W: &b}
	for _, p := range []Piece{{Stdout, []byte("out")}, {Stderr, []byte("e")}} {
		if err := f.Write(p.Stream, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	if want := "\x01\x00\x00\x00\x00\x00\x00\x03out\x02\x00\x00\x00\x00\x00\x00\x01e"; b.String() != want {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	raw := Frames{W: &b, Raw: true}
	if err := raw.Write(Stderr, []byte("plain")); err != nil || b.String() != "plain" {
		t.Errorf("%q %v", b.String(), err)
	}
}

// drain reads until the end.
func drain(t *testing.T, r *Reader) (string, error) {
	var b bytes.Buffer
	err := r.Copy(t.Context(), func(p Piece) error { b.Write(p.Data); return nil })
	return b.String(), err
}

func TestFanout(t *testing.T) {
	var f Fanout
	f.Write(Stdout, []byte("nobody hears "))
	a := f.Reader()
	buf := []byte("both ")
	f.Write(Stdout, buf)
	copy(buf, "XXXXX") // the fan-out keeps its own copy
	b := f.Reader()
	f.Write(Stderr, []byte("hear"))
	f.Close()
	late := f.Reader()
	for _, x := range []struct {
		r    *Reader
		want string
	}{{a, "both hear"}, {b, "hear"}, {late, ""}} {
		if got, err := drain(t, x.r); got != x.want || err != nil {
			t.Errorf("%q %v, want %q", got, err, x.want)
		}
	}
}

func TestSlowReaderIsCutOff(t *testing.T) {
	var f Fanout
	slow, quick := f.Reader(), f.Reader()
	quick.Detach()
	for range Limit>>20 + 1 {
		f.Write(Stdout, make([]byte, 1<<20))
	}
	if _, err := drain(t, slow); !errors.Is(err, ErrSlow) {
		t.Errorf("slow reader: %v", err)
	}
}

func TestReaderEndsWithItsContext(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var f Fanout
		r := f.Reader()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Copy(ctx, func(Piece) error { return nil }) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		stop := errors.New("stop")
		r = f.Reader()
		f.Write(Stdout, []byte("x"))
		if err := r.Copy(t.Context(), func(Piece) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
	})
}
