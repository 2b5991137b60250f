// Package endpoints prints a cluster the way the classic HTTP endpoints of a
// Mesos 1.3.2 master do: /state, /state-summary, /slaves, /frameworks,
// /tasks, /roles, /metrics/snapshot and their like.
//
// Nouns. A Master is what does not change while a master runs. A view of the
// cluster comes as a cluster.Snapshot. What is printed is an mjson value:
// the order of keys and the form of numbers are part of the contract
// (contracts section 6, captures-mesos/1.3.2).
//
// Everything but Answer is pure. Answer wraps for ?jsonp= and compresses for
// who accepts gzip.
//
// Two keys are honest rather than equal: build_date and build_time tell when
// this program's source was committed, and metrics that measure time inside
// the real master's allocator and registrar are left out.
package endpoints

import (
	"compress/gzip"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// Version is the Mesos version whose endpoints these are.
const Version = "1.3.2"

// nameRunes may stand in the name of a jsonp function.
const nameRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$."

// Master is what is known of the printing master itself.
type Master struct {
	Info    election.Master
	Leader  election.Master // zero: nobody known
	Started time.Time
	Flags   map[string]string
}

func epoch(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

// Flags is the answer of /flags.
func Flags(m Master) mjson.Object { return mjson.Object{}.Put("flags", flags(m)) }

func flags(m Master) mjson.Object {
	o := mjson.Object{}
	for _, k := range slices.Sorted(maps.Keys(m.Flags)) {
		o = o.Put(k, m.Flags[k])
	}
	return o
}

// VersionInfo is the answer of /version.
func VersionInfo() mjson.Object {
	b := Built()
	return mjson.Object{}.
		Put("build_date", b.Format(BuildDate)).
		Put("build_time", epoch(b)).
		Put("build_user", "").
		Put("version", Version)
}

// BuildDate is how Mesos writes the date of its build.
const BuildDate = "2006-01-02 15:04:05"

// Built is when the source was committed, or the epoch if that is unknown.
func Built() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t.UTC()
			}
		}
	}
	return time.Unix(0, 0).UTC()
}

// State is the answer of /state.
func State(m Master, s cluster.Snapshot) mjson.Object {
	b := Built()
	active := activeAgents(s)
	o := mjson.Object{}.
		Put("version", Version).
		Put("build_date", b.Format(BuildDate)).
		Put("build_time", epoch(b)).
		Put("build_user", "").
		Put("start_time", epoch(m.Started)).
		Put("elected_time", epoch(s.Elected)).
		Put("id", m.Info.ID).
		Put("pid", m.Info.PID).
		Put("hostname", m.Info.Hostname).
		Put("activated_slaves", float64(active)).
		Put("deactivated_slaves", float64(len(s.Agents)-active)).
		Put("unreachable_slaves", float64(len(s.Unreachable)))
	if l := m.Leader; l.PID != "" {
		o = o.Put("leader", l.PID).Put("leader_info", mjson.Object{}.
			Put("id", l.ID).Put("pid", l.PID).Put("port", l.Port).Put("hostname", l.Hostname))
	}
	o = putFlag(o, m, "cluster")
	o = putFlag(o, m, "log_dir")
	return o.
		Put("flags", flags(m)).
		Put("slaves", each(s.Agents, agent)).
		Put("recovered_slaves", each(s.Recovered, recovered)).
		Put("frameworks", each(s.Frameworks, framework)).
		Put("completed_frameworks", each(s.Completed, framework)).
		Put("orphan_tasks", mjson.Array{}).
		Put("unregistered_frameworks", mjson.Array{})
}

func putFlag(o mjson.Object, m Master, name string) mjson.Object {
	v, ok := m.Flags[name]
	return o.PutIf(ok, name, v)
}

func activeAgents(s cluster.Snapshot) int {
	n := 0
	for _, a := range s.Agents {
		if a.Connected {
			n++
		}
	}
	return n
}

// Slaves is the answer of /slaves; a non-empty id restricts it to one.
func Slaves(s cluster.Snapshot, id string) mjson.Object {
	list := []mjson.Object{}
	for _, a := range s.Agents {
		if id == "" || a.ID == id {
			list = append(list, agentFull(a))
		}
	}
	return mjson.Object{}.Put("slaves", list).Put("recovered_slaves", each(s.Recovered, recovered))
}

// Frameworks is the answer of /frameworks; a non-empty id restricts it.
func Frameworks(s cluster.Snapshot, id string) mjson.Object {
	pick := func(all []cluster.FrameworkView) []mjson.Object {
		list := []mjson.Object{}
		for _, f := range all {
			if id == "" || f.ID == id {
				list = append(list, framework(f))
			}
		}
		return list
	}
	return mjson.Object{}.
		Put("frameworks", pick(s.Frameworks)).
		Put("completed_frameworks", pick(s.Completed)).
		Put("unregistered_frameworks", mjson.Array{})
}

func each[T any](list []T, print func(T) mjson.Object) []mjson.Object {
	out := make([]mjson.Object, 0, len(list))
	for _, v := range list {
		out = append(out, print(v))
	}
	return out
}

// Answer writes v as JSON, as a call of the function named by ?jsonp= if
// there is one, and compressed if the client takes gzip.
func Answer(w http.ResponseWriter, r *http.Request, v any) {
	body := mjson.Marshal(v)
	w.Header().Set("Content-Type", "application/json")
	if cb := r.URL.Query().Get("jsonp"); cb != "" {
		if strings.ContainsFunc(cb, func(c rune) bool { return !strings.ContainsRune(nameRunes, c) }) {
			http.Error(w, "jsonp must name a function", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/javascript")
		body = slices.Concat([]byte(cb+"("), body, []byte(");"))
	}
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || len(body) < 1024 {
		w.Write(body)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil { // only for a level that there is not
		w.Header().Del("Content-Encoding")
		w.Write(body)
		return
	}
	z.Write(body)
	z.Close()
}
