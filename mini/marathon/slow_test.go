package marathon

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestSlowZooKeeper puts two Marathons on a ZooKeeper whose disk takes seconds
// for each flush, and ends the leader in the midst of a deployment, again and
// again. What was answered is there after, one of them leads, and what runs is
// what was asked for; Mesos sees no task twice.
func TestSlowZooKeeper(t *testing.T) {
	if bubble.Race {
		t.Skip("the ZooKeeper client library races by itself when it sets its watches anew")
	}
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	sum := 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				rng := rand.New(rand.NewPCG(seed, 1))
				hosts := []string{firstHost, secondHost}
				all := map[string]*program{}
				for _, h := range hosts {
					all[h] = w.marathon(h)
					w.up(h)
				}
				if code, m, _ := w.call("POST", firstHost, "/v2/apps", `{"id":"/web","cmd":"x","cpus":0.1,"mem":32,"instances":1}`); code != 201 {
					t.Fatalf("create: %d %v", code, m)
				}
				flushes := rand.New(rand.NewPCG(seed, 2))
				w.slow(func() time.Duration {
					if flushes.IntN(8) == 0 {
						return time.Duration(flushes.IntN(12000)) * time.Millisecond // more than anybody waits, and than a session
					}
					return time.Duration(flushes.IntN(3000)) * time.Millisecond
				})
				var answered, refused int
				want, doubt := 1, []int(nil) // what was answered last, and refused or not answered since
				for range 12 {
					n := 1 + rng.IntN(6)
					switch code, m, _ := w.call("PUT", hosts[rng.IntN(2)], "/v2/apps/web?force=true", fmt.Sprintf(`{"instances":%d}`, n)); code {
					case 200:
						want, doubt = n, nil
						answered++
					case 0, 502, 503, 504:
						doubt = append(doubt, n)
						refused++
					default:
						t.Errorf("scale: %d %v", code, m)
					}
					time.Sleep(time.Duration(rng.IntN(20000)) * time.Millisecond)
					if rng.IntN(3) == 0 {
						h := w.leader(hosts)
						if all[h] != nil {
							all[h].end()
							all[h] = w.marathon(h)
						}
					}
				}
				w.slow(nil)
				time.Sleep(10 * time.Minute) // tasks that were written down and never launched are given up after 5
				w.await("a leader that both know", func() bool { return w.leader(hosts) != "" })
				var last string
				defer func() {
					if t.Failed() {
						t.Logf("want %d, or of %v; %s", want, doubt, last)
					}
				}()
				w.await("what was answered", func() bool {
					_, m, _ := w.call("GET", firstHost, "/v2/apps/web", "")
					a, _ := m["app"].(map[string]any)
					n, _ := a["instances"].(float64)
					ds, _ := a["deployments"].([]any)
					last = fmt.Sprintf("%d, %d deployments, %d tasks", int(n), len(ds), len(w.twin.Tasks()))
					return (int(n) == want || slices.Contains(doubt, int(n))) && len(ds) == 0 && len(w.twin.Tasks()) == int(n)
				})
				t.Logf("%d changes were answered, %d refused", answered, refused)
				sum += answered
			})
		})
	}
	if sum < 2*int(seeds) {
		t.Error("too few changes were answered to see anything")
	}
}

// leader is the host that all of them say leads, or "".
func (w *world) leader(hosts []string) (leader string) {
	for i, h := range hosts {
		_, m, _ := w.call("GET", h, "/v2/leader", "")
		said, _ := m["leader"].(string)
		if i > 0 && said != leader {
			return ""
		}
		leader = said
	}
	host, _, _ := net.SplitHostPort(leader)
	return host
}
