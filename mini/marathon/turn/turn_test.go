package turn

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestOneAtATime: whoever holds it holds it alone, and everybody gets it.
func TestOneAtATime(t *testing.T) {
	turn, count := New(), 0
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for range 200 {
				if i%2 == 0 {
					turn.Insist()
				} else if err := turn.Take(t.Context()); err != nil {
					t.Error(err)
					return
				}
				count++
				turn.Give()
			}
		})
	}
	all.Wait()
	if count != 50*200 {
		t.Errorf("%d of %d", count, 50*200)
	}
}

// TestCalledAway: who waits can be called away, holds nothing then, and takes
// nobody's turn with it.
func TestCalledAway(t *testing.T) {
	turn, count := New(), 0
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for n := range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					time.AfterFunc(time.Duration(n)*time.Microsecond, cancel)
				}
				err := turn.Take(ctx)
				if err == nil {
					count++
					turn.Give()
				} else if !errors.Is(err, context.Canceled) || i%2 == 1 {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if count < 20*100 {
		t.Errorf("%d, those that were not called away are %d", count, 20*100)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := turn.Take(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("taken by one that is called away already: %v", err)
	}
	turn.Insist() // it is free
}

// TestTimeGoesOn: in a synctest bubble a turn that is held for hours is waited
// for in no time.
func TestTimeGoesOn(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		turn, start := New(), time.Now()
		for range 3 {
			go func() {
				turn.Insist()
				time.Sleep(time.Hour)
				turn.Give()
			}()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := turn.Take(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		for range 4 { // those three and this one, in any order
			turn.Insist()
			turn.Give()
			time.Sleep(time.Hour)
		}
		turn.Insist()
		if held := time.Since(start); held < 3*time.Hour {
			t.Errorf("three had it for an hour each, and %v have passed", held)
		}
	})
}
