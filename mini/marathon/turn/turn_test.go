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

// TestGuests come in while it is lent, and only then; who lends it has it back
// when all of them have left, and nobody else had it meanwhile.
func TestGuests(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		turn := New()
		turn.Insist()
		var in, out int // guarded by synctest.Wait
		leave := make(chan struct{})
		look := func() {
			guest, err := turn.Look(t.Context())
			if err != nil || !guest {
				t.Errorf("looks with guest %v, %v", guest, err)
				return
			}
			in++
			<-leave
			turn.Leave()
		}
		go look()
		synctest.Wait()
		if in != 0 {
			t.Error("a guest before it is lent")
		}
		turn.Lend()
		synctest.Wait()
		go look()
		synctest.Wait()
		if in != 2 {
			t.Errorf("%d guests, want 2", in)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := turn.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("taken from one that has lent it: %v", err)
		}
		go func() { turn.Regain(); out++ }()
		synctest.Wait()
		late := make(chan bool, 1)
		go func() {
			guest, err := turn.Look(t.Context())
			if err != nil {
				t.Error(err)
			}
			late <- guest
		}()
		leave <- struct{}{}
		synctest.Wait()
		if out != 0 || in != 2 {
			t.Errorf("with a guest in it was regained %d times; %d guests", out, in)
		}
		leave <- struct{}{}
		synctest.Wait()
		if out != 1 {
			t.Error("it is not regained though all guests have left")
		}
		turn.Give()
		if <-late {
			t.Error("a guest of nobody")
		}
		turn.Give()
	})
}

// TestGuestsSeeNoChanges: whatever the order, what they look at stands still,
// and everybody gets what he came for.
func TestGuestsSeeNoChanges(t *testing.T) {
	turn := New()
	var pair [2]int
	var all, lookers sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 200 {
				turn.Insist()
				pair[0]++
				pair[1]++
				if n%2 == 0 {
					turn.Lend()
					turn.Regain()
				}
				turn.Give()
			}
		})
	}
	for range 8 {
		lookers.Go(func() {
			for range 200 {
				guest, err := turn.Look(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if pair[0] != pair[1] {
					t.Errorf("half a change: %v", pair)
				}
				if guest {
					turn.Leave()
				} else {
					turn.Give()
				}
			}
		})
	}
	all.Wait()
	lookers.Wait()
	if pair != [2]int{800, 800} {
		t.Errorf("%v of 800", pair)
	}
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
