package scenarios

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mesoslab/lab"
)

// Words for what a fault hits, besides the names of machines.
const (
	wordVictim = "victim"
	wordSlave  = "slave"  // one of the slaves: see the options
	wordSlaves = "slaves" // all of them
	wordLeader = "leader" // the machine of the leading Mesos master
	wordDocker = "docker" // on=MACHINE
	wordTask   = "task"   // of=APP [on=MACHINE]
)

// components are the containers of the platform by name; a slave's has its
// number, or on=MACHINE.
var components = []string{"zookeeper", "mesos_master", "mesos_slave", "marathon", "marathon-lb"}

var slaveComponent = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^mesos_slave[1-9][0-9]{0,2}$`) })

// How one of several is picked.
const (
	pickFirst  = "first"  // in the order of machines; of tasks the oldest
	pickMost   = "most"   // the slave with most tasks of the app running=
	pickFewest = "fewest" // the slave with fewest, but one
	pickRandom = "random" // by seed=
)

// picking are the options that choose one of several.
func picking() []param {
	return []param{{name: "running", kind: kindApp}, {name: "pick", kind: kindPick, fallback: pickFirst}, {name: "seed", kind: kindSeed}}
}

// aiming are the options of verbs that do faults.
func aiming(k Kind) []param {
	if k.network() {
		from := append([]param{{name: "from", kind: kindNode}}, picking()...)
		if k.Verb == "slow" {
			from = append(from, param{name: "delay", kind: kindDuration}, param{name: "jitter", kind: kindDuration}, param{name: "loss", kind: kindPercent})
		}
		return append(from, param{name: "for", kind: kindDuration})
	}
	where := []param{{name: "on", kind: kindTargetMachine}, {name: "of", kind: kindApp}}
	return append(append(where, picking()...), param{name: "for", kind: kindDuration})
}

// partOf says what a word means; "" where it means none.
func partOf(word string) Part {
	switch {
	case word == wordDocker:
		return PartDocker
	case word == wordTask:
		return PartTask
	case slices.Contains(components, word) || slaveComponent().MatchString(word):
		return PartComponent
	case isMachine(word, wordVictim, wordSlave, wordSlaves, wordLeader, "master"):
		return PartMachine
	}
	return ""
}

// isMachine says whether a word is the name or address of a machine, or one of
// the words given.
func isMachine(word string, also ...string) bool {
	if slices.Contains(also, word) || machineName().MatchString(word) {
		return true
	}
	_, err := netip.ParseAddr(word)
	return err == nil
}

// target checks a word for what a fault hits, as far as that goes without a
// lab.
func (p param) target(value string) error {
	part := partOf(value)
	machines := []string{wordVictim, "master", wordSlave, wordSlaves, wordLeader}
	near := slices.Concat(machines, []string{"node1", "node2", "node3", "slave1", "slave2"})
	if p.kind == kindTargetMachine {
		if part == PartMachine {
			return nil
		}
		return fmt.Errorf("%s %q must be a machine: %s, node1, node2 …, slave1, slave2 … or an address%s", p.name, value, strings.Join(machines, ", "), lab.DidYouMean(value, near))
	}
	if part != "" {
		return nil
	}
	things := slices.Concat(components, []string{wordDocker, wordTask})
	return fmt.Errorf("%s %q must be a machine (%s, node1 …, slave1 … or an address), docker, task or one of %s%s",
		p.name, value, strings.Join(machines, ", "), strings.Join(components, ", "), lab.DidYouMean(value, append(near, things...)))
}

// saneTarget finds what words that are right by themselves cannot mean
// together.
func saneTarget(kind Kind) func(arguments, *knowledge) error {
	return func(a arguments, k *knowledge) error {
		word := a["target"]
		part := partOf(word)
		if kind.network() {
			part = PartNetwork
		}
		if why := kind.Never[part]; why != "" {
			return fmt.Errorf("%s %s: %s", kind.Verb, word, why)
		}
		if part == PartComponent && kind.Only != nil && !slices.Contains(kind.Only, word) {
			return fmt.Errorf("%s %s: it goes with %s only", kind.Verb, word, strings.Join(kind.Only, ", "))
		}
		if err := saneOptions(kind, part, word, a); err != nil {
			return fmt.Errorf("%s %s: %w", kind.Verb, word, err)
		}
		if app := a["running"]; app != "" && k.app != "" && app != k.app && !k.deployed[app] {
			return sameApp(a, k)
		}
		return nil
	}
}

func saneOptions(kind Kind, part Part, word string, a arguments) error {
	where := word // the word that says which machine
	if part != PartMachine && part != PartNetwork {
		where = a["on"]
	}
	fault := Fault{Verb: kind.Verb, Part: part}
	switch {
	case part == PartDocker && a["on"] == "":
		return fmt.Errorf("on which machine? give on=node2")
	case part == PartTask && a["of"] == "":
		return fmt.Errorf("a task of which app? give of=nginx")
	case part == PartComponent && word == "mesos_slave" && a["on"] == "":
		return fmt.Errorf("which slave's? give on=slave1, or mesos_slave1")
	case part != PartTask && a["of"] != "":
		return fmt.Errorf("of= goes with task only")
	case a["on"] != "" && (part == PartMachine || part == PartComponent && word != "mesos_slave"):
		return fmt.Errorf("on= goes with docker, mesos_slave and task only")
	case a["running"] != "" && where != wordSlave:
		return fmt.Errorf("running= goes with slave only: it says which one")
	case (a["pick"] == pickMost || a["pick"] == pickFewest) && a["running"] == "":
		return fmt.Errorf("pick=%s: most of what? give slave running=nginx", a["pick"])
	case a["pick"] == pickRandom && a["seed"] == "":
		return fmt.Errorf("pick=random needs seed=1 or another number, so that it can be repeated")
	case a["seed"] != "" && a["pick"] != pickRandom:
		return fmt.Errorf("seed= goes with pick=random only")
	case a["pick"] == pickRandom && where != wordSlave && part != PartTask:
		return fmt.Errorf("pick= chooses one of several: it goes with slave and task only")
	case a["for"] != "" && fault.Passing() && kind.Verb != "restart":
		return fmt.Errorf("for= makes no sense: it does not stay broken")
	case kind.Verb == "slow" && a["delay"] == "" && a["loss"] == "":
		return fmt.Errorf("how slow? give delay=100ms or loss=5%%")
	case kind.Verb == "slow" && a["jitter"] != "" && a["delay"] == "":
		return fmt.Errorf("jitter= goes with delay= only")
	case kind.Verb == "slow" && a["jitter"] != "" && a.duration("jitter") > a.duration("delay"):
		return fmt.Errorf("jitter=%s must not be more than delay=%s", a["jitter"], a["delay"])
	}
	return nil
}

// percent reads a share with its sign: 5%.
func (p param) percent(value string) error {
	number, signed := strings.CutSuffix(value, "%")
	share, err := strconv.ParseFloat(number, 64)
	if err == nil && !signed {
		return fmt.Errorf("%s=%q must have its sign; did you mean %s%%?", p.name, value, value)
	}
	if err != nil || !(share > 0 && share <= 100) {
		return fmt.Errorf("%s=%q must be a share like 5%%, at most 100%%", p.name, value)
	}
	return nil
}

func (a arguments) share(name string) float64 {
	share, _ := strconv.ParseFloat(strings.TrimSuffix(a[name], "%"), 64) // checked by parse
	return share / 100
}
