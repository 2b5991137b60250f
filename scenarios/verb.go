package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// verb is one word of the script language. The same table drives running and
// checking, so that check knows exactly what run accepts.
type verb struct {
	name    string
	summary string
	args    []param // by position
	options []param // key=value
	// rest names the raw end of the line that the verb takes after its
	// arguments: words for people, in which nothing is parsed.
	rest string
	// after lists what earlier lines must have done, gives what this one does.
	after, gives []fact
	// watched says that the first argument must be the app that traffic goes
	// to: about others the observers know nothing.
	watched bool
	// fault is the kind of fault that the verb does, where it does.
	fault string
	// requires names ways to break something that the verb uses besides; possible
	// says why a lab cannot do it.
	requires []string
	possible func(ctx context.Context, l Lab, a arguments) error
	// sane finds what can never hold, beyond each value by itself.
	sane func(a arguments, k *knowledge) error
	do   func(ctx context.Context, r *run, a arguments) error
}

// fact is something that a script has done by some line.
type fact string

const (
	factTraffic  fact = "traffic"
	factBaseline fact = "baseline"
	factVictim   fact = "victim"
	factUpdate   fact = "update"
	factKnown    fact = "known"
	factChange   fact = "change" // a fault, or a change of an app after the baseline
)

// lacking says what to do about a fact that is not given.
var lacking = map[fact]string{
	factTraffic:   "no traffic runs by then: give the verb traffic before it",
	factBaseline:  "nothing is known of the time before: give the verb baseline before it",
	factVictim:    "no victim is chosen by then: give the verb victim before it",
	factKnown:     "nothing is known by its identity: give the verb remember before it",
	factUpdate:    "no app was updated by then: give update before it",
	factFramework: "no framework runs by then: give the verb framework before it",
	factChange:    "nothing is broken or changed by then: give kill, cut, scale or another fault before it",
}

// param is one argument of a verb.
type param struct {
	name     string
	kind     kind
	fallback string
}

// kind says what an argument may be.
type kind int

const (
	kindWord        kind = iota
	kindApp              // an app's id
	kindNode             // one machine: its name, its alias, its address, or "victim"
	kindNodes            // the same, or "slaves"
	kindWho              // the same, or "slave"
	kindCount            // a whole number from 1
	kindRate             // requests a second
	kindDuration         // 10s
	kindPlace            // other or any
	kindAll              // the word all
	kindFile             // an app of lab's own, or a JSON file
	kindUpdate           // the same, for an app that is there
	kindQuantity         // something that a run measures
	kindConnections      // new or kept

	kindTarget        // what a fault hits: a machine, docker, a component, a task
	kindTargetMachine // the same, a machine only
	kindTargetOrApp   // the same, or an app
	kindPick          // first, most, fewest or random
	kindSeed          // a whole number from 1
	kindPercent       // 5%

	kindWay // the way of an upgrade
)

// isMachine says whether the word victim may stand there.
func (k kind) isMachine() bool {
	return slices.Contains([]kind{kindNode, kindNodes, kindTarget, kindTargetMachine, kindTargetOrApp}, k)
}

// arguments are a verb's values by parameter name, complete with defaults.
type arguments map[string]string

func (a arguments) duration(name string) time.Duration {
	d, _ := time.ParseDuration(a[name]) // checked by parse
	return d
}

func (a arguments) count(name string) int {
	n, _ := strconv.Atoi(a[name]) // checked by parse
	return n
}

// parse fits words to the verb's parameters.
func (v verb) parse(words []string) (arguments, error) {
	a := arguments{}
	for _, p := range v.options {
		a[p.name] = p.fallback
	}
	rest := v.args
	for _, w := range words {
		if key, value, ok := strings.Cut(w, "="); ok && len(v.options) > 0 {
			p, err := v.option(key)
			if err == nil {
				err = p.check(value)
			}
			if err != nil {
				return nil, err
			}
			a[key] = value
			continue
		}
		if len(rest) == 0 {
			return nil, fmt.Errorf("%s: surplus word %q (usage: %s)", v.name, w, v.usage())
		}
		if err := rest[0].check(w); err != nil {
			return nil, err
		}
		a[rest[0].name], rest = w, rest[1:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%s: %s is missing (usage: %s)", v.name, rest[0].name, v.usage())
	}
	return a, nil
}

// parseRaw fits the end of a line to a verb that takes it as it is.
func (v verb) parseRaw(text string) (arguments, error) {
	var words []string
	for range v.args {
		word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		if word == "" {
			break
		}
		words, text = append(words, word), rest
	}
	a, err := v.parse(words)
	if err != nil {
		return nil, err
	}
	a[v.rest] = strings.TrimSpace(text)
	return a, nil
}

func (v verb) option(key string) (param, error) {
	i := slices.IndexFunc(v.options, func(p param) bool { return p.name == key })
	if i >= 0 {
		return v.options[i], nil
	}
	var known []string
	for _, p := range v.options {
		known = append(known, p.name+"=")
	}
	return param{}, fmt.Errorf("%s knows no %s=: allowed are %s%s", v.name, key, strings.Join(known, ", "), lab.DidYouMean(key+"=", known))
}

func (v verb) usage() string {
	parts := []string{v.name}
	for _, p := range v.args {
		parts = append(parts, strings.ToUpper(p.name))
	}
	for _, p := range v.options {
		value := p.fallback
		if value == "" {
			value = "…"
		}
		parts = append(parts, "["+p.name+"="+value+"]")
	}
	if v.rest != "" {
		parts = append(parts, strings.ToUpper(v.rest)+"…")
	}
	return strings.Join(parts, " ")
}

const (
	maxCount = 1_000_000
	maxRate  = 2000 // requests a second; beyond it the probe would measure itself
)

func (p param) check(value string) error {
	switch p.kind {
	case kindCount, kindSeed:
		return p.number(value, maxCount)
	case kindRate:
		return p.number(value, maxRate)
	case kindDuration:
		if d, err := time.ParseDuration(value); err != nil || d <= 0 {
			unit := ""
			if _, err := strconv.ParseFloat(value, 64); err == nil {
				unit = "; did you mean " + value + "s?"
			}
			return fmt.Errorf("%s=%q must be a duration with its unit, like 10s or 2m%s", p.name, value, unit)
		}
	case kindNode, kindNodes, kindWho:
		return p.machine(value)
	case kindTarget, kindTargetMachine:
		return p.target(value)
	case kindPick:
		return p.oneOf(value, pickFirst, pickMost, pickFewest, pickRandom)
	case kindPercent:
		return p.percent(value)
	case kindTargetOrApp:
		if partOf(value) == "" && !appID().MatchString(value) {
			return p.target(value)
		}
	case kindAll:
		return p.oneOf(value, "all")
	case kindConnections:
		return p.oneOf(value, string(ConnectionsNew), string(ConnectionsKept))
	case kindWay:
		return p.oneOf(value, wayZeroDowntime)
	case kindPlace:
		return p.oneOf(value, "other", "any")
	case kindFile, kindUpdate:
		return checkAppName(value)
	case kindQuantity:
		return p.oneOf(value, quantityNames()...)
	case kindApp:
		if !appID().MatchString(value) {
			return fmt.Errorf("%s %q must be an app's id: small letters, digits, - and / as in nginx", p.name, value)
		}
	default:
		if value == "" {
			return fmt.Errorf("%s is empty", p.name)
		}
	}
	return nil
}

var (
	appID       = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^/?[a-z0-9.-]+(/[a-z0-9.-]+)*$`) })
	machineName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(node|slave)[1-9][0-9]{0,2}$`) })
)

func (p param) number(value string, most int) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 || n > most {
		return fmt.Errorf("%s=%q must be a whole number from 1 to %d", p.name, value, most)
	}
	return nil
}

func (p param) oneOf(value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s %q must be one of %s%s", p.name, value, strings.Join(allowed, ", "), lab.DidYouMean(value, allowed))
}

// machine checks a machine's name as far as that goes without a lab.
func (p param) machine(value string) error {
	allowed := []string{"victim", "master"}
	switch p.kind {
	case kindNodes:
		allowed = append(allowed, "slaves")
	case kindWho:
		allowed = []string{"slave", "slaves", "master"}
	}
	if slices.Contains(allowed, value) || machineName().MatchString(value) {
		return nil
	}
	if _, err := netip.ParseAddr(value); err == nil {
		return nil
	}
	near := append(slices.Clone(allowed), "node1", "node2", "node3", "slave1", "slave2")
	return fmt.Errorf("%s %q must be a machine: %s, node1, node2 …, slave1, slave2 … or an address%s",
		p.name, value, strings.Join(allowed, ", "), lab.DidYouMean(value, near))
}
