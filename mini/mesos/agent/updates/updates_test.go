package updates

import (
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

func TestDelay(t *testing.T) {
	want := []time.Duration{10, 20, 40, 80, 160, 320, 600, 600, 600}
	for n, w := range want {
		if got := Delay(n); got != w*time.Second {
			t.Errorf("after sending %d: %v, want %v", n+1, got, w*time.Second)
		}
	}
	if Delay(1<<20) != MaxDelay {
		t.Error("the wait overflowed")
	}
}

func TestOneAtATimeInOrder(t *testing.T) {
	var s Stream
	if _, _, ok := s.Next(); ok {
		t.Error("an empty stream has a next update")
	}
	s.Add(mesos.TaskStatus{UUID: []byte("a")})
	s.Add(mesos.TaskStatus{UUID: []byte("b")})
	if _, ok := s.Ack([]byte("a")); ok {
		t.Error("an update that was never sent was acknowledged")
	}
	for _, want := range []time.Duration{10 * time.Second, 20 * time.Second} {
		u, d, ok := s.Next()
		if !ok || string(u.UUID) != "a" || d != want {
			t.Errorf("got %s, %v, %v", u.UUID, d, ok)
		}
	}
	if _, ok := s.Ack([]byte("b")); ok {
		t.Error("the second update was acknowledged before the first")
	}
	if u, ok := s.Ack([]byte("a")); !ok || string(u.UUID) != "a" {
		t.Error("not acknowledged")
	}
	if _, ok := s.Ack([]byte("a")); ok {
		t.Error("acknowledged twice")
	}
	u, d, ok := s.Next()
	if !ok || string(u.UUID) != "b" || d != FirstDelay {
		t.Errorf("got %s, %v, %v", u.UUID, d, ok)
	}
	s.Next()
	s.Restart()
	if _, d, _ := s.Next(); d != FirstDelay {
		t.Errorf("after Restart: %v", d)
	}
}
