package scenarios

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// What a script says that it needs, after "# needs:".
var (
	slavesNeed = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([1-9][0-9]?) slaves?$`) })
	pingsNeed  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^pings ([0-9a-z.]+) x ([1-9][0-9]?)$`) })
)

// checkNeed reads one of the words after "# needs:".
func checkNeed(need string) error {
	if m := pingsNeed().FindStringSubmatch(need); m != nil {
		if d, err := time.ParseDuration(m[1]); err == nil && d > 0 {
			return nil
		}
	}
	if !slavesNeed().MatchString(need) {
		return fmt.Errorf("needs %q: must be a number of slaves, like 2 slaves, or Mesos' pings, like pings 15s x 5 (what faults need is known from their verbs)", need)
	}
	return nil
}

// slaves is how many slaves a scenario says it needs.
func (sc Scenario) slaves() int {
	most := 1
	for _, n := range sc.Needs {
		if m := slavesNeed().FindStringSubmatch(n); m != nil {
			count, _ := strconv.Atoi(m[1]) // two digits
			most = max(most, count)
		}
	}
	return most
}

// pings are the settings of Mesos that a scenario says it needs; zero if it
// says nothing.
func (sc Scenario) pings() (timeout time.Duration, count int) {
	for _, n := range sc.Needs {
		if m := pingsNeed().FindStringSubmatch(n); m != nil {
			timeout, _ = time.ParseDuration(m[1]) // checked by checkNeed
			count, _ = strconv.Atoi(m[2])         // two digits
		}
	}
	return timeout, count
}

// suits says why a lab's settings are not those that a scenario is about. They
// are not changed for it: they are the master's command line, and a run that was
// killed would leave them behind.
func (sc Scenario) suits(s Settings) error {
	timeout, count := sc.pings()
	if count == 0 || s.PingTimeout == timeout && s.PingTimeouts == count {
		return nil
	}
	way := fmt.Sprintf("mesos: {slave_ping_timeout: %s, max_slave_ping_timeouts: %d} in lab.yaml, then lab create", timeout, count)
	if timeout == 15*time.Second && count == 5 {
		way = "lab create --patient"
	}
	return fmt.Errorf("needs pings %s x %d, this lab has %s x %d (%s changes that)", timeout, count, s.PingTimeout, s.PingTimeouts, way)
}
