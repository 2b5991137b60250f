package outbox

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestOrderAndClose(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		q := New[int](10)
		var got []int
		done := make(chan error, 1)
		go func() { done <- q.Each(t.Context(), func(i int) error { got = append(got, i); return nil }) }()
		q.Push(1)
		q.Push(2)
		synctest.Wait()
		q.Push(3)
		q.Close()
		q.Push(4)
		if err := <-done; err != nil || !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestOverflow(t *testing.T) {
	q := New[int](2)
	for i := range 5 {
		q.Push(i)
	}
	if err := q.Each(t.Context(), func(int) error { return nil }); !errors.Is(err, ErrOverflow) {
		t.Errorf("got %v", err)
	}
}

func TestReaderStops(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		q := New[int](2)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- q.Each(ctx, func(int) error { return nil }) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		broken := errors.New("broken")
		q.Push(1)
		if err := q.Each(t.Context(), func(int) error { return broken }); err != broken {
			t.Errorf("got %v", err)
		}
	})
}
