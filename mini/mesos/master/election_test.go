package master

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

func TestLeaderAndFollower(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		group := new(election.Memory)
		one := r.master("10.0.0.1", group)
		two := r.master("10.0.0.4", group)
		for path, want := range map[string]string{
			"/state":                     "//10.0.0.1:5050/master/state",
			"/master/state.json":         "//10.0.0.1:5050/master/state.json",
			"/tasks?limit=1&order=asc":   "//10.0.0.1:5050/master/tasks?limit=1&order=asc",
			"/api/v1/scheduler":          "//10.0.0.1:5050/master/api/v1/scheduler",
			"/redirect":                  "//10.0.0.1:5050",
			wire.Path:                    "//10.0.0.1:5050" + wire.Path,
			"/master/maintenance/status": "//10.0.0.1:5050/master/maintenance/status",
		} {
			resp, body := r.get("10.0.0.4:5050", path)
			if resp.StatusCode != 307 || resp.Header.Get("Location") != want || len(body) != 0 {
				t.Errorf("%s: %d %q, want 307 %q", path, resp.StatusCode, resp.Header.Get("Location"), want)
			}
		}
		for _, path := range []string{"/health", "/flags", "/version", "/metrics/snapshot", "/"} {
			if resp, _ := r.get("10.0.0.4:5050", path); resp.StatusCode != 200 {
				t.Errorf("%s of a follower: %d", path, resp.StatusCode)
			}
		}
		_, err := wire.Dial(r.ctx, r.net.Host("10.0.0.2").Dial, "10.0.0.4:5050")
		var redirect *wire.RedirectError
		if !errors.As(err, &redirect) || redirect.Leader != "10.0.0.1:5050" {
			t.Errorf("agent at the follower: %v", err)
		}

		group.Expire(one.info.ID)
		<-one.done
		synctest.Wait() // until the next one leads
		if !errors.Is(one.err, errLostLeadership) {
			t.Errorf("former leader ended with %v", one.err)
		}
		if resp, _ := r.get("10.0.0.4:5050", "/state"); resp.StatusCode != 200 {
			t.Errorf("new leader: %d", resp.StatusCode)
		}
		if two.leading() == nil {
			t.Error("the second master does not lead")
		}
	})
}

func TestNobodyLeads(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		group := new(election.Memory)
		group.SetDown(true)
		r.master(masterIP, group)
		for _, path := range []string{"/state", "/redirect", "/api/v1/scheduler", wire.Path} {
			if resp, _ := r.get(masterAddr, path); resp.StatusCode != 503 {
				t.Errorf("%s: %d, want 503", path, resp.StatusCode)
			}
		}
		group.SetDown(false)
		time.Sleep(time.Second)
		if resp, _ := r.get(masterAddr, "/state"); resp.StatusCode != 200 {
			t.Errorf("elected: %d", resp.StatusCode)
		}
	})
}

// TestFollowerSurvivesLoss: only a leader must end when its candidacy is
// lost.
func TestFollowerSurvivesLoss(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		group := new(election.Memory)
		one := r.master("10.0.0.1", group)
		two := r.master("10.0.0.4", group)
		group.Expire(two.info.ID)
		synctest.Wait()
		one.stop()
		<-one.done
		if one.err != nil {
			t.Errorf("stopped leader: %v", one.err)
		}
		synctest.Wait()
		if two.leading() == nil {
			t.Error("the follower did not enter again")
		}
	})
}
