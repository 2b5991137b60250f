package vagrant

import (
	"context"
	"net"
	"time"

	"github.com/mesoslab/lab/internal/computer"
)

// Options are what a Provider may be told; the zero value is good.
type Options struct {
	// Force renders the Vagrantfile anew even if it was changed by hand.
	Force bool
	// Grace is how long an interrupted Vagrant may take to end cleanly before
	// it is killed; 0 means two minutes.
	Grace time.Duration
	// LockWait is how long to wait for another vagrant process of the same
	// lab; 0 means five minutes before a change and ten seconds before a
	// question.
	LockWait time.Duration
	// Probe is how long a remembered endpoint may take to answer; 0 means two
	// seconds.
	Probe time.Duration
	// Dial reaches machines; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Computer is what checks look at; the zero value is this one.
	Computer computer.Computer
	// Reach asks for a URL's head and returns the HTTP status; nil means
	// net/http.
	Reach func(ctx context.Context, url string) (status int, err error)

	question time.Duration // how long a question to Vagrant may take
	kvm      string        // the device of KVM
}

func (o Options) withDefaults() Options {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Grace, 2 * time.Minute}, {&o.Probe, 2 * time.Second}, {&o.question, 2 * time.Minute}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if o.kvm == "" {
		o.kvm = "/dev/kvm"
	}
	o.Computer = o.Computer.Or()
	if o.Reach == nil {
		o.Reach = reach
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return o
}
