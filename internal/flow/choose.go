package flow

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/mesoslab/lab"
)

// Lack is what a provider lacks for a lab to be made with what is here.
type Lack struct {
	Provider string `json:"provider"`
	Lacks    string `json:"lacks,omitempty"` // in a few words: no Vagrant; "" if it is ready
}

// choice is the provider of a new lab.
type choice struct {
	name     string
	provider lab.Provider
	passed   []Lack // better ones, and what they lack; none if it was asked for
}

// why says in one short line why it is not a better one, and how to get that;
// "" if there is nothing to say.
func (c choice) why() string {
	if len(c.passed) == 0 {
		return ""
	}
	var lacks []string
	for _, p := range c.passed {
		lacks = append(lacks, p.Lacks)
	}
	return "why " + c.name + ": " + strings.Join(lacks, "; ") + " · to get it: lab doctor --provider " + c.passed[0].Provider
}

// choose finds the provider that a spec means: the one it names, or the first
// of Auto with which a lab can be made from what is here already.
func (f *Flow) choose(ctx context.Context, spec lab.Spec) (choice, error) {
	if spec.Provider != "" && spec.Provider != "auto" {
		p, err := f.provider(spec.Provider)
		return choice{name: spec.Provider, provider: p}, err
	}
	var passed []Lack
	for i, name := range f.Auto {
		p, err := f.provider(name)
		if err != nil {
			return choice{}, err
		}
		if i < len(f.Auto)-1 {
			if err := ready(ctx, p, spec.WithDefaults()); err != nil {
				passed = append(passed, Lack{name, err.Error()})
				continue
			}
		}
		return choice{name: name, provider: p, passed: passed}, nil
	}
	return choice{}, errors.New("choose provider: none is known")
}

// ready says what a provider lacks for a lab of this spec.
func ready(ctx context.Context, p lab.Provider, spec lab.Spec) error {
	features := p.Features()
	for _, text := range append(spec.IPs[:len(spec.IPs):len(spec.IPs)], strings.TrimSuffix(spec.Subnet, "/24")) {
		a, err := netip.ParseAddr(text)
		switch {
		case err != nil:
		case a.IsLoopback() && features.Real:
			return errors.New(features.Name + " takes no loopback addresses")
		case !a.IsLoopback() && !features.Real:
			return errors.New(features.Name + " takes loopback addresses only")
		}
	}
	if spec.Stack == "seed" && !features.Real {
		return errors.New(features.Name + " runs the mini stack only")
	}
	if r, ok := p.(lab.Readier); ok {
		return r.Ready(ctx, lab.Plan{Spec: spec})
	}
	return nil
}
