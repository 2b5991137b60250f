package launch

import (
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/marathon/app"
)

func TestBackOffOfAConfiguration(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var q Queue
		a := app.Default("/a")
		a.Version = app.At(time.Now())
		if !q.Set(a, 2) || q.Set(a, 2) || q.Set(a, 1) || !q.Set(a, 3) || !q.AnyReady() {
			t.Error("more to launch is not told from less")
		}
		if w := q.Failed(a, a.ConfigVersion()); w != time.Second || q.AnyReady() || !q.NextEnd().Equal(time.Now().Add(time.Second)) {
			t.Errorf("after a failure: waits %v, ready %v", w, q.AnyReady())
		}
		if q.Set(a, 4) {
			t.Error("something can be launched in the back-off")
		}
		time.Sleep(time.Second)
		if !q.AnyReady() || !q.NextEnd().IsZero() {
			t.Error("the back-off does not end")
		}
		if w := q.Failed(a, a.ConfigVersion()); w != 1150*time.Millisecond {
			t.Errorf("second wait %v", w)
		}
		b := a
		b.Version = app.At(time.Now().Add(time.Minute))
		if !q.Set(b, 4) || q.Wait(a) <= 0 {
			t.Error("another configuration has to wait, too")
		}
		a.MaxLaunchDelaySeconds = 5
		for range 30 {
			q.Failed(a, a.ConfigVersion())
		}
		if w := q.Wait(a); w != 5*time.Second {
			t.Errorf("at most %v", w)
		}
		q.Forget()
		if q.Wait(a) != 5*time.Second {
			t.Error("a back-off was forgotten before its end")
		}
		time.Sleep(5 * time.Second)
		q.Forget()
		if w := q.Failed(a, a.ConfigVersion()); w != time.Second {
			t.Errorf("after it has aged out: %v", w)
		}
		q.Reset("/a")
		if q.Wait(a) > 0 {
			t.Error("not reset")
		}
		q.Drop("/a")
		if q.AnyReady() || len(q.Items()) != 0 || q.Item("/a") != nil {
			t.Error("still queued")
		}
	})
}
