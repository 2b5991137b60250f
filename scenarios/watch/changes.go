package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
)

// Changes compares the states of things at one look with those at the look
// before, and tells what is different.
type Changes struct {
	tell  func(name, before, now string) string // a state of "" is: not there
	known map[string]string                     // nil before the first look
}

// NewChanges has tell put a change into words.
func NewChanges(tell func(name, before, now string) string) *Changes { return &Changes{tell: tell} }

// Look takes in the states by name and returns what has changed, sorted by
// name. There is nothing to tell of the first look.
func (c *Changes) Look(now map[string]string) []string {
	var news []string
	if c.known != nil {
		all := maps.Clone(c.known)
		maps.Copy(all, now)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if c.known[name] != now[name] {
				news = append(news, c.tell(name, c.known[name], now[name]))
			}
		}
	}
	c.known = now
	return news
}

// SlaveStates are the states of slaves by node, as SlaveNews has them:
// "S1 active".
func SlaveStates(agents []scenarios.Agent, nodes []lab.Node) map[string]string {
	states := map[string]string{}
	for _, a := range agents {
		state := briefID(a.ID) + " inactive"
		if a.Active {
			state = briefID(a.ID) + " active"
		}
		for _, n := range nodes {
			if n.IP.String() == a.IP {
				states[n.Name] = state
			}
		}
	}
	return states
}

// SlaveNews says how a slave comes, goes, or loses its connection.
func SlaveNews(node, before, now string) string {
	switch {
	case now == "":
		return fmt.Sprintf("Mesos has removed the slave on %s (it was %s)", node, before)
	case before == "":
		return fmt.Sprintf("a slave has registered on %s: %s", node, now)
	}
	return fmt.Sprintf("the slave on %s is %s (it was %s)", node, now, before)
}

// briefID is the part of a slave's id that differs within a cluster.
func briefID(id string) string { return id[strings.LastIndex(id, "-")+1:] }
