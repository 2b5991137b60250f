package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// Part is what of a machine a fault breaks.
type Part string

// The parts of a machine, in the order in which they are mended: each needs
// those before it.
const (
	PartMachine   Part = "machine"
	PartDocker    Part = "docker"    // the Docker daemon
	PartComponent Part = "component" // a container of the platform: zookeeper, mesos_master …
	PartTask      Part = "task"      // a task's container
	PartNetwork   Part = "network"   // the way to other machines
)

// Parts returns all of them in that order.
func Parts() []Part {
	return []Part{PartMachine, PartDocker, PartComponent, PartTask, PartNetwork}
}

// Kind is one way to break something. The words are those of scripts and of
// lab break.
type Kind struct {
	Verb    string
	Summary string
	// Power is what it does to a machine; "" if that is not a matter of power.
	Power lab.Power
	// Does says what a part does by it: "loses power". What is not in it cannot
	// be broken so; Never says why.
	Does  map[Part]string
	Never map[Part]string
	// Only lists the components that it goes with; nil means all.
	Only []string
	// Passes lists the parts that come back by themselves, or that others
	// replace: there is nothing to undo.
	Passes []Part
}

// Kinds returns the ways to break something.
func Kinds() []Kind {
	return []Kind{
		{
			Verb: "kill", Power: lab.PowerCut, Passes: []Part{PartTask},
			Summary: "a machine loses its power, silently: nobody gets an answer any more; a process gets SIGKILL and stays dead",
			Does:    map[Part]string{PartMachine: "loses power", PartDocker: "is killed", PartComponent: "is killed", PartTask: "is killed"},
		},
		{
			Verb: "crash", Power: lab.PowerCrash, Passes: []Part{PartDocker, PartComponent, PartTask},
			Summary: "all processes of a machine end at once: its kernel answers for them, with refusals; a process ends as by a bug of its own, and whoever watches over it starts it again",
			Does:    map[Part]string{PartMachine: "crashes", PartDocker: "crashes", PartComponent: "crashes", PartTask: "crashes"},
		},
		{
			Verb: "pause", Power: lab.PowerPause,
			Summary: "it freezes: it answers nobody, and goes on where it stood",
			Does:    map[Part]string{PartMachine: "freezes", PartDocker: "freezes", PartComponent: "freezes", PartTask: "freezes"},
		},
		{
			Verb: "stop", Power: lab.PowerOff, Passes: []Part{PartTask},
			Summary: "a clean end: a machine is shut down, a process gets its stop signal and time for it",
			Does:    map[Part]string{PartMachine: "shuts down", PartDocker: "is stopped", PartComponent: "is stopped", PartTask: "is stopped"},
		},
		{
			Verb: "restart", Power: lab.PowerOff, Passes: []Part{PartMachine, PartDocker, PartComponent},
			Summary: "a clean end and a new start; with a length of time in between",
			Does:    map[Part]string{PartMachine: "restarts", PartDocker: "restarts", PartComponent: "restarts"},
			Never:   map[Part]string{PartTask: "Docker would start the container again behind Mesos' back, and nobody would own it: give kill or stop, and Marathon starts a new one"},
		},
		{
			Verb: VerbWipe, Only: []string{"zookeeper"},
			Summary: "it starts again and finds none of its data; they are laid aside, and put back when that is undone",
			Does:    map[Part]string{PartComponent: "starts again, without its data"},
			Never:   map[Part]string{PartMachine: wipesData, PartDocker: wipesData, PartTask: wipesData},
		},
		{
			Verb: "cut", Summary: "a machine and the other machines, or one of them, get no packet from each other any more; this computer still reaches all of them",
			Does: map[Part]string{PartNetwork: "is cut off"},
		},
		{
			Verb: "slow", Summary: "what a machine sends to the other machines, or to one of them, takes longer (delay=, jitter=) or gets lost (loss=)",
			Does: map[Part]string{PartNetwork: "has a slow network"},
		},
	}
}

// VerbWipe is the word for a component that loses what it keeps on disk.
const VerbWipe = "wipe"

const wipesData = "it is about what zookeeper keeps, and goes with nothing else"

// KindNamed finds a kind by its verb.
func KindNamed(verb string) (Kind, bool) {
	all := Kinds()
	i := slices.IndexFunc(all, func(k Kind) bool { return k.Verb == verb })
	if i < 0 {
		return Kind{}, false
	}
	return all[i], true
}

// network says whether the kind is about the network between machines.
func (k Kind) network() bool { return k.Does[PartNetwork] != "" }

// Fault is one thing to break on one machine.
type Fault struct {
	Verb string
	Part Part
	Node string
	// Container is the component's name, or the id of a task's container.
	Container string
	Task      string // the task's id
	// From is the one other machine that a cut or slow is about; "" means all.
	From          string
	Delay, Jitter time.Duration // of slow, one way
	Loss          float64       // of slow, 0 … 1
	// Flags are those that a component was started with (VerbFlags).
	Flags string
	// Length is how long it is to last; 0 means until it is mended.
	Length time.Duration
}

// Passing says that there is nothing to undo: it comes back by itself, or
// others replace it.
func (f Fault) Passing() bool {
	k, _ := KindNamed(f.Verb)
	return f.Length == 0 && slices.Contains(k.Passes, f.Part)
}

// Thing names what is broken: node2, docker on node2, marathon.
func (f Fault) Thing() string {
	switch f.Part {
	case PartDocker:
		return "docker on " + f.Node
	case PartComponent:
		return f.Container
	case PartTask:
		return f.Task + " on " + f.Node
	}
	return f.Node
}

// Text tells the fault as something that happens: node2 loses power.
func (f Fault) Text() string {
	if f.Verb == VerbFlags {
		return f.Thing() + " is started anew with " + f.Flags
	}
	k, _ := KindNamed(f.Verb)
	text := f.Thing() + " " + k.Does[f.Part]
	if f.Part == PartNetwork {
		text += strings.Replace(f.network(), " from=", " from ", 1)
	}
	return text
}

// String is the fault in the words of a command: stop docker on node2.
func (f Fault) String() string {
	text := f.Verb + " " + f.Thing()
	if f.Verb == VerbFlags {
		return text + " " + f.Flags
	}
	if f.Part == PartNetwork {
		text += f.network()
	}
	return text
}

func (f Fault) network() string {
	var out strings.Builder
	if f.From != "" {
		fmt.Fprintf(&out, " from=%s", f.From)
	}
	if f.Delay > 0 {
		fmt.Fprintf(&out, " delay=%s", f.Delay)
	}
	if f.Jitter > 0 {
		fmt.Fprintf(&out, " jitter=%s", f.Jitter)
	}
	if f.Loss > 0 {
		fmt.Fprintf(&out, " loss=%g%%", f.Loss*100)
	}
	return out.String()
}

// undone tells that it is mended.
func (f Fault) undone() string {
	switch f.Verb {
	case VerbFlags:
		return f.Thing() + " has its own flags again"
	case VerbWipe:
		return f.Thing() + " has its data back"
	}
	does := map[Part]string{PartMachine: "powered on", PartDocker: "runs again", PartComponent: "runs again", PartTask: "goes on", PartNetwork: "has its network back"}
	return f.Thing() + " " + does[f.Part]
}

// Same says whether two faults are about the same thing.
func (f Fault) Same(g Fault) bool {
	return f.Part == g.Part && f.Node == g.Node && f.Container == g.Container && (f.Part != PartNetwork || f.From == g.From && f.Verb == g.Verb)
}
