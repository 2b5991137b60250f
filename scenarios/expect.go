package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// tolerance is what a judgement by the law of pings allows on top: sampling,
// the event's way, a loaded computer (criteria of the scenario failover).
const tolerance = time.Second

// expectations are the second words of "expect".
func expectations() map[string]verb {
	out := map[string]verb{}
	for _, list := range [][]verb{onMachines(), onTasks(), onApps(), onVersions(), onRoom(), onControl(), onAgents(), onSides(), onState(), onReleases(), onSharing()} {
		for _, v := range list {
			name := v.name
			v.name = "expect " + name
			out[name] = v
		}
	}
	return out
}

func expectationNames() []string { return slices.Sorted(maps.Keys(expectations())) }

func expectation(words []string) (verb, error) {
	names := expectationNames()
	if len(words) == 0 {
		return verb{}, fmt.Errorf("expect what? one of %s", strings.Join(names, ", "))
	}
	v, ok := expectations()[words[0]]
	if !ok {
		return verb{}, fmt.Errorf("expect %q: must be one of %s%s", words[0], strings.Join(names, ", "), lab.DidYouMean(words[0], names))
	}
	return v, nil
}

func within(fallback string) param { return param{"within", kindDuration, fallback} }

// onMachines are expectations on machines and their slaves.
func onMachines() []verb {
	machine := []param{{name: "machine", kind: kindNodes}}
	broken := []fact{factTraffic, factChange}
	return []verb{
		{name: "silence", summary: "a peer gets no answer at all from the machine, not even a refusal",
			args: machine, options: []param{{"from", kindNode, "master"}, within("10s")}, after: []fact{factChange}, do: expectSilence},
		{name: "refused", summary: "a peer is refused by the machine's kernel: nobody listens there any more",
			args: machine, options: []param{{"from", kindNode, "master"}, within("10s")}, after: []fact{factChange}, do: expectRefused},
		{name: "inactive", summary: "Mesos lists the machine's slave, but calls it inactive: its connection is gone, its tasks still count",
			args: machine, options: []param{within("10s")}, after: broken, do: expectInactive},
		{name: "lost", summary: "Mesos loses the machine's slave and its tasks by the law of pings",
			args: machine, after: []fact{factBaseline, factChange}, do: expectLost},
		{name: "agents", summary: "Mesos has a slave on every slave machine again",
			args: []param{{name: "all", kind: kindAll}}, options: []param{within("60s")}, after: []fact{factTraffic}, do: expectAgents},
	}
}

// onTasks are expectations on tasks, by their ids.
func onTasks() []verb {
	app := []param{{name: "app", kind: kindApp}}
	changed := []fact{factBaseline, factChange}
	return []verb{
		{name: "replaced", summary: "for each lost task a new one, with a new id, runs on another machine (on=any: anywhere)",
			args: app, options: []param{{"on", kindPlace, "other"}, within("60s")}, after: changed, watched: true, do: expectReplaced},
		{name: "serving", summary: "each new task answers requests through the load balancer",
			args: app, options: []param{{"requests", kindCount, "10"}, within("30s")}, after: changed, watched: true, sane: enoughTime, do: expectServing},
		{name: "instances", summary: "so many tasks run, and each has answered since the last change",
			args: []param{app[0], {name: "count", kind: kindCount}}, options: []param{{"requests", kindCount, "10"}, within("60s")},
			after: changed, watched: true, sane: enoughTime, do: expectInstances},
		{name: "youngest", summary: "scaling down has killed the youngest tasks, and they are out of the load balancer",
			args: app, options: []param{within("60s")}, after: changed, watched: true, do: expectYoungest},
		{name: "restarted", summary: "every task of the baseline has been replaced by a new one",
			args: app, options: []param{within("60s")}, after: changed, watched: true, do: expectRestarted},
		{name: "steady", summary: "no task comes, goes or moves for a while",
			args: app, options: []param{{"for", kindDuration, "15s"}}, after: changed, watched: true, do: expectSteady},
	}
}

// onApps are expectations on an app as a whole.
func onApps() []verb {
	app := []param{{name: "app", kind: kindApp}}
	return []verb{
		{name: "shares", summary: "the load balancer gives every instance the same share of requests (within 3 σ)",
			args: app, options: []param{{"requests", kindCount, "200"}, within("60s")}, after: []fact{factBaseline}, watched: true, sane: enoughTime, do: expectShares},
		{name: "placed", summary: "the app's tasks run on so many machines",
			args: app, options: []param{{"machines", kindCount, "2"}, within("30s")}, after: []fact{factTraffic}, watched: true, do: expectPlaced},
		{name: "queued", summary: "Marathon waits for offers to launch what is missing, and nothing is launched, for a while",
			args: app, options: []param{{"for", kindDuration, "3s"}, within("60s")}, after: []fact{factBaseline, factChange}, watched: true, do: expectQueued},
		{name: "outage", summary: "no client gets an answer, for a while",
			args: app, options: []param{{"for", kindDuration, "2s"}, within("60s")}, after: []fact{factBaseline, factChange}, watched: true, do: expectOutage},
		{name: "whole", summary: "the app has exactly its instances, by Marathon and by every engine's own count",
			args: app, options: []param{within("30s")}, do: expectWhole},
	}
}
