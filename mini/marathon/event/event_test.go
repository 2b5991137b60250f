package event

import (
	"testing"
	"time"
)

func TestEventsArePrintedInOneLine(t *testing.T) {
	at := time.Unix(1467811127, 123_000_000)
	for _, c := range []struct {
		kind    string
		payload any
		want    string
	}{
		{"scheduler_disconnected_event", struct{}{}, `{"eventType":"scheduler_disconnected_event","timestamp":"2016-07-06T13:18:47.123Z"}`},
		{"app_terminated_event", AppTerminated{"/a<b>\n"}, `{"appId":"/a<b>\n","eventType":"app_terminated_event","timestamp":"2016-07-06T13:18:47.123Z"}`},
	} {
		if got := string(Print(c.kind, c.payload, at)); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestHowManyMayWaitCanBeSet(t *testing.T) {
	b := NewBus()
	b.Outstanding = 2
	s := b.Subscribe()
	for range 5 {
		b.Publish("x", struct{}{})
	}
	if len(s.C) != 2 {
		t.Errorf("%d events wait", len(s.C))
	}
}

func TestSlowListenersLoseTheNewest(t *testing.T) {
	b := NewBus()
	slow, gone := b.Subscribe(), b.Subscribe()
	gone.Cancel()
	gone.Cancel()
	for i := range 60 {
		b.Publish(string(rune('A'+i)), struct{}{})
	}
	b.Close()
	var got []string
	for m := range slow.C {
		got = append(got, m.Type)
	}
	if len(got) != Outstanding || got[0] != "A" || got[49] != string(rune('A'+49)) {
		t.Errorf("%d events, from %s to %s", len(got), got[0], got[len(got)-1])
	}
	if _, open := <-b.Subscribe().C; open {
		t.Error("a closed bus takes listeners")
	}
	b.Publish("late", struct{}{})
}
