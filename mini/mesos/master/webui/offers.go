package webui

import (
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// Offers is the answer of /webui/offers. Times are seconds since 1970,
// lengths of time seconds, resources as in /state:
//
//	now, made, accepted, declined, invalid, rescinded  (counts since election)
//	held     [{id, framework_id, framework, slave_id, hostname, role, resources, made}]
//	ended    the last ones, newest first; besides: ended, outcome, tasks, refuse
//	filters  [{framework_id, framework, slave_id, hostname, role, resources, left}]
func Offers(l cluster.OfferLog, now time.Time) mjson.Object {
	held, ended, filters := []mjson.Object{}, []mjson.Object{}, []mjson.Object{}
	for _, r := range l.Held {
		held = append(held, record(r))
	}
	for _, r := range l.Ended {
		tasks := r.Tasks
		if tasks == nil {
			tasks = []string{}
		}
		ended = append(ended, record(r).Put("ended", epoch(r.Ended)).Put("outcome", string(r.Outcome)).
			Put("tasks", tasks).Put("refuse", r.Refuse.Seconds()))
	}
	for _, f := range l.Filters {
		filters = append(filters, mjson.Object{}.Put("framework_id", f.FrameworkID).Put("framework", f.Framework).
			Put("slave_id", f.AgentID).Put("hostname", f.Hostname).Put("role", f.Role).
			Put("resources", resources(f.Resources)).Put("left", f.Left.Seconds()))
	}
	return mjson.Object{}.Put("now", epoch(now)).
		Put("made", l.Made).Put("accepted", l.Accepted).Put("declined", l.Declined).
		Put("invalid", l.Invalid).Put("rescinded", l.Rescinded).
		Put("held", held).Put("ended", ended).Put("filters", filters)
}

func record(r cluster.OfferRecord) mjson.Object {
	return mjson.Object{}.Put("id", r.ID).Put("framework_id", r.FrameworkID).Put("framework", r.Framework).
		Put("slave_id", r.AgentID).Put("hostname", r.Hostname).Put("role", r.Role).
		Put("resources", resources(r.Resources)).Put("made", epoch(r.Made))
}

func resources(s resource.Set) mjson.Object {
	o := mjson.Object{}
	for _, it := range s.Flat().Items() {
		if it.Kind == resource.Scalar {
			o = o.Put(it.Name, s.Scalar(it.Name))
		} else {
			o = o.Put(it.Name, it.Value())
		}
	}
	return o
}

func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
