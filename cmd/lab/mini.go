package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/mesoslab/lab/local/handoff"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathon"
	"github.com/mesoslab/lab/mini/marathonlb"
	"github.com/mesoslab/lab/mini/mesos"
	"github.com/mesoslab/lab/mini/supervise"
	"github.com/mesoslab/lab/mini/web"
	"github.com/mesoslab/lab/mini/zookeeper"
)

// miniProgram finds the program behind the seed's word (start-mesos-master.sh)
// or the program's own name. keepName says that the program wants to know by
// which of its names it was called.
func miniProgram(word string) (run mini.Program, keepName bool) {
	switch path.Base(word) {
	case "zkServer.sh", "zookeeper":
		return zookeeper.Run, false
	case "start-mesos-master.sh", "start-mesos-slave.sh", "mesos-master", "mesos-slave", "mesos-agent":
		return mesos.Run, true
	case "marathon":
		return marathon.Run, false
	case "start-marathonlb.sh", "marathon_lb.py":
		return marathonlb.Run, true
	case "nginx", "web":
		return web.Run, true
	}
	return nil, false
}

// runMini is the process of a container: "lab mini start-mesos-master.sh".
func runMini(args, environ []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "lab mini: which program?")
		return 2
	}
	if args[0] == "supervise" {
		debug.SetGCPercent(50)
		return supervise.Run(args[1:], environ, stderr)
	}
	run, keepName := miniProgram(args[0])
	if run == nil {
		fmt.Fprintf(stderr, "lab mini: no program %q\n", args[0])
		return 127 // as a shell says it
	}
	if !keepName {
		args = args[1:]
	}
	// Eleven of these run at once on a laptop: small heaps matter more than
	// the last percent of speed.
	debug.SetGCPercent(50)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := mini.Env{Args: args, Environ: environ, Stdout: stdout, Stderr: stderr}
	env.Hostname = env.Getenv("HOSTNAME")
	if env.Getenv(handoff.EnvIP) != "" {
		env.Root = "." // the machine starts us in the container's rootfs
	}
	world, err := handoff.FromEnviron(env.Getenv)
	if err != nil {
		fmt.Fprintf(stderr, "lab mini %s: %v\n", args, err)
		return 1
	}
	defer world.Close()
	env.Listen, env.Dial = world.Listen, world.Dial
	if env.Launcher, env.Children, err = launchers(world); err != nil {
		fmt.Fprintf(stderr, "lab mini %s: %v\n", args, err)
		return 1
	}
	env.Environ = withoutMachine(environ)
	return run(ctx, env)
}

// launchers run programs that are not lab's own: those that outlive this
// process are the machine's, where there is one, the others this process's.
func launchers(world handoff.World) (own, children mini.Launcher, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	plain := supervise.NewPlain(self)
	if world.Programs != nil {
		return world.Programs, plain, nil
	}
	return plain, plain, nil
}

// withoutMachine drops the variables by which machine and process find each
// other: the program has no business with them.
func withoutMachine(environ []string) []string {
	var out []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, handoff.EnvFD+"=") {
			out = append(out, kv)
		}
	}
	return out
}
