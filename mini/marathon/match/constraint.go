package match

import (
	"strconv"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Peer is another task of the app: where it runs.
type Peer struct {
	Host       string
	Attributes map[string]string
}

// field is the value of a constraint's field at one place.
func field(name, host string, attributes map[string]string) (string, bool) {
	if name == "hostname" {
		return host, true
	}
	v, ok := attributes[name]
	return v, ok
}

// satisfied checks one constraint for one more task at a place. An agent
// without the attribute satisfies only UNLIKE.
func satisfied(c app.Constraint, host string, attributes map[string]string, peers []Peer) bool {
	here, known := field(c.Field(), host, attributes)
	if !known {
		return c.Operator() == "UNLIKE"
	}
	count := map[string]int{}
	for _, p := range peers {
		if v, ok := field(c.Field(), p.Host, p.Attributes); ok {
			count[v]++
		}
	}
	switch c.Operator() {
	case "UNIQUE":
		return count[here] == 0
	case "CLUSTER":
		if c.Value() != "" {
			return here == c.Value()
		}
		return count[here] == len(peers)
	case "GROUP_BY":
		return evens(count, here, c.Value())
	case "LIKE", "UNLIKE":
		re, err := c.Regexp()
		if err != nil {
			return false // Validate lets none through
		}
		return re.MatchString(here) == (c.Operator() == "LIKE")
	}
	return false
}

// evens reports whether one more task here keeps the groups even: here is a
// new group, or the smallest of enough groups.
func evens(count map[string]int, here, minimum string) bool {
	if count[here] == 0 {
		return true
	}
	least, _ := strconv.Atoi(minimum) // "" is 0; Validate lets only numbers through
	if len(count) < least {
		return false
	}
	for _, n := range count {
		if n < count[here] {
			return false
		}
	}
	return true
}
