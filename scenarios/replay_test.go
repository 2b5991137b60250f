package scenarios

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestReplayTellsTheSame records a run and compares what it said with what the
// replay says, also in the distance of words.
func TestReplayTellsTheSame(t *testing.T) {
	var said []lab.Event
	res, err := run1(t, builtinScenario(t, "failover"), Options{Report: func(e lab.Event) { said = append(said, e) }}, sabotage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, speed := range []float64{1, 5} {
		bubble.Test(t, func(t *testing.T) {
			var again []lab.Event
			start := time.Now()
			if err := Replay(t.Context(), res.Recording, speed, func(e lab.Event) { again = append(again, e) }); err != nil {
				t.Fatal(err)
			}
			if len(again) != len(said) || len(said) < 20 {
				t.Fatalf("%d events, the run had %d", len(again), len(said))
			}
			for i, e := range again {
				want := res.Recording.Events[i].At / speed
				if e.Text != said[i].Text || e.Kind != said[i].Kind || e.Step != said[i].Step || math.Abs(e.Time.Sub(start).Seconds()-want) > 1e-6 {
					t.Errorf("event %d: %+v, want %+v after %g s", i, e, said[i], want)
				}
			}
		})
	}
}

func TestReplayCanBeLeft(t *testing.T) {
	rec := &Recording{Events: []PastEvent{{At: 3600}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Replay(ctx, rec, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	for _, speed := range []float64{0, -1, math.NaN(), math.Inf(1), 1e6} {
		if err := Replay(t.Context(), rec, speed, nil); !errors.Is(err, lab.ErrUsage) {
			t.Errorf("speed %g: %v", speed, err)
		}
	}
}
