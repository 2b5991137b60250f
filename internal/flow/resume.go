package flow

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

// Resume lets the machines of a suspended lab go on and returns when the lab
// is whole: clocks right, engines and stack answering, slaves back (a pause
// longer than the pings' patience has cost some of them their place), every
// app healthy. Machines that are off are started.
func (f *Flow) Resume(ctx context.Context, name string) (*Created, error) {
	did := changes{since: time.Now()}
	var out *Created
	err := f.onLab(ctx, name, "lab resume", func(c change) error {
		if len(c.lab.Machines) == 0 {
			return &lab.Error{ID: "lab-not-made", Op: "resume", Err: errors.New("its machines have never been up"), Advice: "lab create makes them"}
		}
		var err error
		out, err = f.wake(ctx, c, &did)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Seconds = time.Since(did.since).Seconds()
	return out, nil
}

// wake makes a lab whole whose machines stood still or stand at an earlier
// time. It is create's way, with a look at all apps instead of the sample app:
// connections are opened anew after the machines go on, for old ones hang.
func (f *Flow) wake(ctx context.Context, c change, did *changes) (*Created, error) {
	l := c.lab
	if err := f.mendPower(ctx, l, did); err != nil {
		return nil, err
	}
	hosts, machines, err := f.machines(ctx, l, c.provider, c.report, did)
	defer closeAll(hosts)
	if err != nil {
		return nil, err
	}
	l.Machines = machines
	if err := l.Save(); err != nil {
		return nil, err
	}
	out, err := f.platform(ctx, l, c.provider, hosts, sampleApp{}, c.report, did)
	if err != nil {
		return nil, err
	}
	steady := time.Duration(0)
	if len(did.list) > 0 {
		// Sessions and pings that ran out meanwhile are found out one tick
		// after the machines go on: a lab that looks whole before that is not.
		steady = l.Spec.Mesos.SlavePingTimeout
	}
	return out, f.awaitWhole(ctx, c, hosts, steady)
}

// wholePatience bounds the wait for apps: Marathon's back-off after failures,
// and a health check that is asked once a minute.
const wholePatience = 5 * time.Minute

// awaitWhole returns when the lab has been whole for a while.
func (f *Flow) awaitWhole(ctx context.Context, c change, hosts map[string]*provision.Host, steady time.Duration) error {
	p, err := f.resolve(c.lab, c.provider)
	if err != nil {
		return err
	}
	docker := map[string]stack.Docker{}
	for name, h := range hosts {
		if docker[name], err = h.Docker(ctx); err != nil {
			return err
		}
	}
	clients := p.Clients(nil)
	return c.report.Step("resume", "", "apps", func(wait func(string)) error {
		ctx, cancel := context.WithTimeout(ctx, wholePatience)
		defer cancel()
		var whole time.Time
		return lab.Until(ctx, 250*time.Millisecond, "the lab to be whole", func(ctx context.Context) error {
			s := stack.Observe(ctx, p, docker, clients)
			lack := cmp.Or(s.Lacks(), s.Unsettled())
			switch {
			case lack != "":
				whole = time.Time{}
			case whole.IsZero():
				whole = time.Now()
				fallthrough
			default:
				if time.Since(whole) >= steady {
					return nil
				}
				lack = "whole, for one ping to pass"
			}
			wait(lack)
			return errors.New(lack)
		})
	})
}
