package scenarios

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// chaotic are the verbs that leave to chance what is broken.
func chaotic() []verb {
	return []verb{
		{name: "chaos", summary: "break slaves at random, one fault after the other: the machine, its Docker daemon, its Mesos slave, a task of the app, its network; the same seed gives the same faults",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"faults", kindCount, "10"}, {"seed", kindSeed, "1"}, {"keep", kindDuration, "3s"}, within("60s")},
			after: []fact{factBaseline}, gives: []fact{factChange}, watched: true, requires: []string{"cut"}, sane: enoughFaults, possible: possibleChaos, do: verbChaos},
	}
}

// strike is one fault of a chaos, in the words of a script.
type strike struct {
	kind  Kind
	part  Part
	words []string
	keep  time.Duration // how long it stays once its effect was seen
	rest  time.Duration // from its end to the next
}

func (s strike) String() string { return s.kind.Verb + " " + strings.Join(s.words, " ") }

// shots are the ways in which a chaos breaks each part: those whose effect
// somebody else can see, and that leave a machine as it was. What comes back at
// once by itself is left to tasks and slaves, of which Mesos tells.
func shots() map[Part][]string {
	return map[Part][]string{
		PartMachine:   {"kill", "crash", "pause", "stop"},
		PartDocker:    {"kill", "pause", "stop"},
		PartComponent: {"kill", "crash", "pause", "stop"},
		PartTask:      {"kill", "crash", "pause", "stop"},
		PartNetwork:   {"cut"},
	}
}

func enoughFaults(a arguments, _ *knowledge) error {
	if n := a.count("faults"); n < len(Parts()) {
		return fmt.Errorf("chaos faults=%d can never hit a victim of each of the %d kinds", n, len(Parts()))
	}
	return nil
}

// possibleChaos wants every kind of victim: a lab that cannot break one would
// show less than it says.
func possibleChaos(ctx context.Context, l Lab, _ arguments) error {
	can := func(f Fault) bool { return l.Can(ctx, f) == nil }
	if err := l.Can(ctx, Fault{Verb: "cut", Part: PartNetwork}); err != nil {
		return err
	}
	_, err := schedule(1, len(Parts()), "any", l.Machines(), 0, can)
	return err
}

// schedule draws n faults by a seed alone: it depends on no more than the lab's
// machines and what these can do. The first faults hit each kind of victim once.
func schedule(seed uint64, n int, app string, machines []lab.Machine, keep time.Duration, can func(Fault) bool) ([]strike, error) {
	chance := rand.New(rand.NewPCG(seed, seed))
	slaves := slavesOf(machines)
	if len(slaves) == 0 {
		return nil, fmt.Errorf("%w: there is no slave to break", lab.ErrUsage)
	}
	verbs := map[Part][]Kind{}
	for part, names := range shots() {
		for _, name := range names {
			if k, _ := KindNamed(name); can(Fault{Verb: name, Part: part}) {
				verbs[part] = append(verbs[part], k)
			}
		}
		if len(verbs[part]) == 0 {
			return nil, fmt.Errorf("%w: this lab can break no %s in any of the ways %s", lab.ErrUsage, part, strings.Join(names, ", "))
		}
	}
	var parts []Part
	for len(parts) < n {
		some := Parts()
		if len(parts) == 0 {
			chance.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		} else {
			some = some[chance.IntN(len(some)):][:1]
		}
		parts = append(parts, some...)
	}
	var out []strike
	for _, part := range parts[:n] {
		s := strike{part: part, kind: verbs[part][chance.IntN(len(verbs[part]))]}
		node := slaves[chance.IntN(len(slaves))].Name
		switch part {
		case PartMachine:
			s.words = []string{node}
		case PartDocker:
			s.words = []string{wordDocker, "on=" + node}
		case PartComponent:
			s.words = []string{"mesos_slave", "on=" + node}
		case PartTask:
			s.words = []string{wordTask, "of=" + app, "pick=" + pickRandom, fmt.Sprintf("seed=%d", 1+chance.IntN(maxCount))}
		case PartNetwork:
			s.words = []string{node}
			if chance.IntN(2) == 0 {
				s.words = append(s.words, "from=master")
			}
		}
		s.keep = time.Duration(chance.Int64N(int64(keep) + 1))
		s.rest = time.Duration(chance.Int64N(int64(longestRest)))
		out = append(out, s)
	}
	return out, nil
}

// longestRest is the most that the next fault waits after the end of the last:
// the platform need not have healed by then.
const longestRest = time.Second

// find turns the words into the fault that they mean at this moment.
func (s strike) find(ctx context.Context, r *run) (Fault, error) {
	a, err := faultVerb(s.kind).parse(s.words)
	if err != nil {
		return Fault{}, lab.Permanent(err)
	}
	faults, err := r.aim().faults(ctx, s.kind, a)
	if err != nil {
		return Fault{}, fmt.Errorf("%s: %v", s, err) // what is not there yet is no reason to give up
	}
	return faults[0], nil
}

// tally counts by kind of victim, in their order.
func tally(hit map[Part]int) string {
	var words []string
	for _, p := range slices.Clone(Parts()) {
		words = append(words, fmt.Sprintf("%d × %s", hit[p], p))
	}
	return strings.Join(words, ", ")
}
