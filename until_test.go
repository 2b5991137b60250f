package lab_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestUntilTellsWhatWasSeen: the look that the deadline cuts short is not what
// was seen last.
func TestUntilTellsWhatWasSeen(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		looks := 0
		err := lab.Until(ctx, time.Second, "two of them", func(ctx context.Context) error {
			if looks++; looks == 1 {
				return errors.New("three of them")
			}
			<-ctx.Done()
			return fmt.Errorf("ask: %w", ctx.Err())
		})
		if want := "waited 5s for two of them; last seen: three of them"; err == nil || err.Error() != want || looks != 2 {
			t.Errorf("%v after %d looks, want %s", err, looks, want)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not say that it was the deadline", err)
		}
		hung := lab.Until(ctx, time.Second, "anything", func(ctx context.Context) error { return ctx.Err() })
		if hung == nil || hung.Error() != "waited 0s for anything; last seen: context deadline exceeded" {
			t.Errorf("nothing was ever seen: %v", hung)
		}
	})
}
