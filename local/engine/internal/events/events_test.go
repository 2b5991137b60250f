package events

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestSubscribeHasNoGap(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var b Bus
		begin := time.Now()
		b.Publish("container", "create", "1", map[string]string{"image": "x"})
		time.Sleep(time.Second)
		b.Publish("container", "start", "1", nil)
		ctx, cancel := context.WithCancel(t.Context())
		past, live := b.Subscribe(ctx, begin.Add(time.Millisecond))
		b.Publish("volume", "create", "v", nil)
		if len(past) != 1 || past[0].Action != "start" || past[0].Status != "start" || past[0].ID != "1" {
			t.Errorf("past: %+v", past)
		}
		if e := <-live; e.Type != "volume" || e.Status != "" || e.Scope != "local" {
			t.Errorf("live: %+v", e)
		}
		if none, _ := b.Subscribe(ctx, time.Time{}); none != nil {
			t.Errorf("past without since: %v", none)
		}
		if b.Watchers() != 2 {
			t.Errorf("%d watchers", b.Watchers())
		}
		cancel()
		synctest.Wait()
		if _, open := <-live; open || b.Watchers() != 0 {
			t.Errorf("a subscription outlived its context")
		}
	})
}

func TestMemoryAndPatienceAreBounded(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var b Bus
		begin := time.Now()
		_, lazy := b.Subscribe(t.Context(), time.Time{})
		for i := range Keep + 10 {
			b.Publish("container", "start", strconv.Itoa(i), nil)
		}
		past, _ := b.Subscribe(t.Context(), begin.Add(-time.Second))
		if len(past) != Keep || past[0].Actor.ID != "10" {
			t.Errorf("%d kept, from %s", len(past), past[0].Actor.ID)
		}
		n := 0
		for range lazy { // it ends, as the reader was cut off
			n++
		}
		if n != Keep {
			t.Errorf("the lazy reader got %d", n)
		}
	})
}
