package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/moby/moby/client"
	"github.com/spf13/pflag"

	"github.com/mesoslab/lab/local/shell"
)

// call is one run of the command.
type call struct {
	*shell.Proc
	host string // unix:///var/run/docker.sock or tcp://node1:2375
	api  *client.Client
	name string         // of the subcommand
	f    *pflag.FlagSet // its flags
	args []string       // its arguments
}

// exitStatus is how a subcommand ended that has said all there is to say.
type exitStatus int

func (exitStatus) Error() string { return "failed" }

// errUsage is a mistake in the words of the command.
var errUsage = errors.New("usage")

type subcommand struct {
	usage  string // behind the name
	about  string
	least  int                    // arguments at least
	most   int                    // and at most; -1 for any number
	flags  func(f *pflag.FlagSet) // nil for none
	words  bool                   // what follows the first argument is another command's
	do     func(context.Context, *call) error
	hidden bool
}

// Command is the docker command.
func Command(ctx context.Context, p *shell.Proc) int {
	c := &call{Proc: p, host: "unix://" + shell.DockerSocket}
	if h := p.Getenv("DOCKER_HOST"); h != "" {
		c.host = h
	}
	err := c.run(ctx, p.Args[1:])
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return 130
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, errUsage):
		fmt.Fprintf(p.Stderr, "docker: %s\n", strings.TrimPrefix(err.Error(), errUsage.Error()+": "))
		return 125
	}
	fmt.Fprintln(p.Stderr, c.words(err))
	return 1
}

func usage(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errUsage}, a...)...)
}

// words are an error's as the docker command says it.
func (c *call) words(err error) string {
	if client.IsErrConnectionFailed(err) {
		return fmt.Sprintf("Cannot connect to the Docker daemon at %s. Is the docker daemon running?", c.host)
	}
	if none, ok := errors.AsType[noObject](err); ok {
		return "Error: " + none.Error()
	}
	return "Error response from daemon: " + strings.TrimPrefix(err.Error(), "Error response from daemon: ")
}

// run takes the global flags off and runs a subcommand.
func (c *call) run(ctx context.Context, args []string) error {
	global := newFlags("docker")
	global.StringVarP(&c.host, "host", "H", c.host, "")
	help := global.BoolP("help", "h", false, "")
	version := global.BoolP("version", "v", false, "")
	global.StringP("log-level", "l", "", "")
	global.BoolP("debug", "D", false, "")
	if err := global.Parse(args); err != nil {
		return usage("%v", err)
	}
	args = global.Args()
	switch {
	case *version:
		args = []string{"version"}
	case *help || len(args) == 0 || args[0] == "help":
		c.help()
		return nil
	}
	if len(args) > 1 && (args[0] == "container" || args[0] == "image" || args[0] == "system") {
		args = grouped(args)
	}
	sub, ok := subcommands()[args[0]]
	if !ok {
		return usage("'%s' is not a docker command of this machine. See 'docker help'.\nFrom outside, a real one has it: DOCKER_HOST=tcp://%s:2375 docker %s",
			args[0], c.Hostname(), strings.Join(args, " "))
	}
	return c.sub(ctx, args[0], sub, args[1:])
}

// grouped turns "container ls" into "ps", and so on.
func grouped(args []string) []string {
	switch args[0] + " " + args[1] {
	case "container ls", "container list", "container ps":
		return append([]string{"ps"}, args[2:]...)
	case "image ls", "image list":
		return append([]string{"images"}, args[2:]...)
	case "image rm", "image prune", "container prune", "system prune", "system df":
		return []string{args[0] + " " + args[1]}
	}
	return args[1:]
}

func newFlags(name string) *pflag.FlagSet {
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SetInterspersed(false)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

func (c *call) sub(ctx context.Context, name string, sub subcommand, args []string) error {
	c.name, c.f = name, newFlags(name)
	c.f.SetInterspersed(!sub.words)
	if sub.flags != nil {
		sub.flags(c.f)
	}
	help := c.f.Bool("help", false, "")
	if err := c.f.Parse(args); err != nil {
		return usage("%v\nSee 'docker %s --help'.", err, name)
	}
	c.args = c.f.Args()
	if *help {
		fmt.Fprintf(c.Stdout, "\nUsage:  docker %s %s\n\n%s\n\nOptions:\n%s", name, sub.usage, sub.about, c.f.FlagUsages())
		return nil
	}
	if n := len(c.args); n < sub.least || sub.most >= 0 && n > sub.most {
		return usage("\"docker %s\" does not take %d arguments.\n\nUsage:  docker %s %s", name, n, name, sub.usage)
	}
	if err := c.connect(); err != nil {
		return err
	}
	defer c.api.Close()
	return sub.do(ctx, c)
}

// connect makes the client of the engine. Nothing is dialled yet.
func (c *call) connect() error {
	m := c.Machine()
	if m == nil {
		return usage("there is no engine in a container")
	}
	network, address, _ := strings.Cut(c.host, "://")
	if address == "" {
		network, address = "tcp", c.host // docker -H node1:2375
	}
	if network == "tcp" && !strings.Contains(address, ":") {
		address += ":2375"
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx, network, address) }
	if network != "tcp" && network != "unix" {
		return usage("host %s: tcp:// and unix:// are known here", c.host)
	}
	var err error
	c.api, err = client.New(client.WithHost(network+"://"+address), client.WithDialContext(dial))
	if err != nil {
		return usage("host %s: %v", c.host, err)
	}
	return nil
}

func subcommands() map[string]subcommand {
	all := map[string]subcommand{}
	for _, some := range []map[string]subcommand{listings(), actions(), inspections(), streams()} {
		maps.Copy(all, some)
	}
	return all
}

func (c *call) help() {
	fmt.Fprint(c.Stdout, "\nUsage:  docker [-H HOST] COMMAND\n\nThis machine's docker command knows:\n")
	all := subcommands()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !all[name].hidden {
			fmt.Fprintf(c.Stdout, "  %-10s %s\n", name, all[name].about)
		}
	}
	fmt.Fprintf(c.Stdout, "\n'docker COMMAND --help' says more. A real docker command reaches this engine from\noutside: DOCKER_HOST=tcp://%s:2375 docker …\n", c.Hostname())
}

// each does something for every argument, prints the argument where that
// worked, and goes on where it did not.
func (c *call) each(names []string, do func(name string) error) error {
	failed := false
	for _, name := range names {
		if err := do(name); err != nil {
			fmt.Fprintln(c.Stderr, c.words(err))
			failed = true
			continue
		}
		fmt.Fprintln(c.Stdout, name)
	}
	if failed {
		return exitStatus(1)
	}
	return nil
}
