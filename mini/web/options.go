package web

import (
	"flag"
	"fmt"
	"io"
	"strings"

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
