package marathon

import (
	"context"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/store"
)

// TestDetectsAMasterElectedAnew: one that was started again has the address of
// the one that died, and is another: who only looks at addresses goes on
// waiting for the old one.
func TestDetectsAMasterElectedAnew(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		conn, err := store.Connect([]string{zkHost + ":2181"}, 10*time.Second, w.net.Host(firstHost).Dial, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		d := &scheduler.ZooKeeper{Conn: conn, Path: "/mesos"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		leader, err := d.Next(ctx, "")
		if err != nil || leader != mesosHost+":5050" {
			t.Fatalf("%q, %v", leader, err)
		}
		info, _, err := conn.Get("/mesos/json.info_0000000001")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Create("/mesos/json.info_0000000002", info, 0, openACL); err != nil {
			t.Fatal(err)
		}
		if again, err := d.Next(shortly(t), leader); err == nil {
			t.Errorf("a second candidate is taken for a new leader: %q", again)
		}
		if err := conn.Delete("/mesos/json.info_0000000001", -1); err != nil {
			t.Fatal(err)
		}
		if again, err := d.Next(shortly(t), leader); err != nil || again != leader {
			t.Errorf("the next master at the same address: %q, %v", again, err)
		}
	})
}

func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}
