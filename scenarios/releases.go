package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Releases is what a zero-downtime deployment needs of the platform beyond
// what every scenario sees of it. Marathon has no word for it: two apps, the
// one the blue and the other the green, belong to one deployment group by
// their labels, and marathon-lb makes one backend of both
// (docs/scenarios.md, upgrade-zero-downtime).
type Releases interface {
	// Group lists the apps of a deployment group, the one that started first
	// in front. A group that nobody has is empty.
	Group(ctx context.Context, group string) ([]GroupApp, error)
	// Create makes an app that must not be there yet.
	Create(ctx context.Context, app AppFile) error
	// Dismiss kills tasks, in one request, and scales their app down by their
	// number.
	Dismiss(ctx context.Context, ids []string) error
	// Listeners are the servers of the group's backend, by its service port.
	Listeners(ctx context.Context, group string, port int) ([]Backend, error)
	// ConfiguredAs says whether an app has the configuration that it had in one
	// of its versions.
	ConfiguredAs(ctx context.Context, app, version string) (bool, error)
	// Reloading says whether more than one process of the load balancer lives:
	// the old one until its last connection has ended.
	Reloading(ctx context.Context) (bool, error)
}

// GroupApp is one of the two apps of a deployment group.
type GroupApp struct {
	ID        string // orders-blue
	Colour    string // blue or green
	Instances int
	Target    int // instances, when the deployment is over
	Port      int // that the load balancer serves
	Service   int // the app's own service port: Port, or the alternative one
	Deploying bool
	Tasks     []Task
}

// The words of a deployment group, as marathon-lb and its zdd.py read and write
// them.
const (
	labelGroup   = "HAPROXY_DEPLOYMENT_GROUP"
	labelAltPort = "HAPROXY_DEPLOYMENT_ALT_PORT"
	labelColour  = "HAPROXY_DEPLOYMENT_COLOUR"
	labelStarted = "HAPROXY_DEPLOYMENT_STARTED_AT"
	labelTarget  = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES"
	labelPort    = "HAPROXY_0_PORT"
	labelAppID   = "HAPROXY_APP_ID"

	blue  = "blue"
	green = "green"

	statusUp    = "UP"
	statusDown  = "DOWN"  // also "DOWN 1/2", on the way up
	statusMaint = "MAINT" // marathon-lb has disabled the server: nothing new goes there
)

// Colours are the ids that the apps of a group may have.
func Colours(group string) []string { return []string{group + "-" + blue, group + "-" + green} }

// owns says whether a task is one of the app's, or of one of its group's apps.
func (a App) owns(taskID string) bool {
	ids := []string{a.ID}
	if len(a.Members) > 0 {
		ids = Colours(a.ID) // also the one that should be gone
	}
	for _, id := range ids {
		if strings.HasPrefix(taskID, strings.ReplaceAll(strings.Trim(id, "/"), "/", "_")+".") {
			return true
		}
	}
	return false
}

// about says whether an event is about the app that is watched, or about one of
// its group's apps.
func (h *History) about(watched, app string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return app == "" || app == watched || len(h.last.Members) > 0 && slices.Contains(Colours(watched), app)
}

// sawDraining takes in which servers marathon-lb has disabled and how many
// requests these still answer. A HAProxy that was reloaded leaves these to its
// older process, which ends with the last of them. The caller holds the lock.
func (h *History) sawDraining(servers []Backend, grown map[string]int, older bool) {
	now := h.lastSeen["load balancer"]
	for _, s := range servers {
		if s.Status != statusMaint {
			continue
		}
		for _, id := range h.order {
			t := h.tasks[id]
			if t.Address != s.Address || !t.Ended.IsZero() {
				continue
			}
			if t.Draining.IsZero() {
				t.Draining, t.Handed = now, older
				underWay := fmt.Sprintf("%d requests under way", s.Current)
				if older {
					underWay = "its older process answers what is under way"
				}
				h.changed(fmt.Sprintf("◆ the load balancer drains %s: %s, nothing new goes there", t.Name, underWay))
			} else {
				t.Leaked += grown[s.Address]
			}
			t.Flying = max(t.Flying, s.Current)
			if s.Current > 0 || older {
				t.Drained = time.Time{}
			} else if t.Drained.IsZero() {
				t.Drained = now
				h.changed("◆ " + t.Name + " has answered its last request")
			}
		}
	}
}
