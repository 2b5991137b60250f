package web

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini"
)

// options is what words and environment ask for.
type options struct {
	port      int
	behaviour behaviour
}

func parse(env mini.Env) (options, error) {
	o := options{}
	args := env.Args
	nginx := len(args) > 0 && (args[0] == "nginx" || args[0] == "/usr/sbin/nginx" || args[0] == "nginx-debug")
	if nginx || len(args) > 0 && args[0] == "web" {
		args = args[1:]
	}
	set := flag.NewFlagSet("web", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.IntVar(&o.port, "port", 80, "")
	if nginx {
		set.String("g", "", "")
		set.String("c", "", "")
	}
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unknown words: %s", strings.Join(set.Args(), " "))
	}
	if o.port < 0 || o.port > 65535 {
		return o, fmt.Errorf("--port %d is not a port", o.port)
	}
	var err error
	o.behaviour, err = readBehaviour(env)
	return o, err
}

// behaviour is how the site answers, as far as it differs from a good one.
type behaviour struct {
	delay time.Duration // before each page
}

// readBehaviour reads LAB_WEB_DELAY.
func readBehaviour(env mini.Env) (behaviour, error) {
	var b behaviour
	if v := env.Getenv("LAB_WEB_DELAY"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return b, fmt.Errorf("LAB_WEB_DELAY %q is not a duration such as 1s", v)
		}
		b.delay = d
	}
	return b, nil
}

// before runs before a page is written; false means that the client has gone
// and no page is wanted.
func (b behaviour) before(ctx context.Context) bool {
	if b.delay == 0 {
		return true
	}
	t := time.NewTimer(b.delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
