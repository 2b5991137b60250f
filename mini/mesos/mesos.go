// Package mesos is the mini Mesos: a small master and agent that speak the
// real ones' HTTP protocols.
//
// Run is what an image lab/mesos runs: the first word names the program, as
// in the seed's image (contracts, seed 2).
//
//	start-mesos-master.sh   the master with the flags the seed's script gives it
//	start-mesos-slave.sh    the agent, likewise (package agent)
//	mesos-master            the master (package master)
//	mesos-slave, mesos-agent  the agent
//
// The rooms: master and its packages, agent and its packages; wire, their
// protocol; election, how masters agree who leads; mjson, JSON as Mesos
// writes it. Versions: the API is that of Mesos 1.3.2; where people watch and
// 0.26 behaved otherwise, the master follows 0.26 unless started with
// --compat=1.3.
package mesos

import (
	"context"
	"fmt"
	"path"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/agent"
	"github.com/mesoslab/lab/mini/mesos/master"
)

var _ mini.Program = Run

// Run starts the program that env.Args[0] names; the other words are its
// flags. The exit code is the program's; 127 means that there is no such
// program, as a shell would say.
func Run(ctx context.Context, env mini.Env) int {
	if len(env.Args) == 0 {
		fmt.Fprintln(env.Stderr, "mesos: which program? one of start-mesos-master.sh, start-mesos-slave.sh, mesos-master, mesos-slave, mesos-agent")
		return 127
	}
	switch name := path.Base(env.Args[0]); name {
	case "start-mesos-master.sh":
		args, err := startMaster(env)
		if err != nil {
			fmt.Fprintln(env.Stderr, err)
			return 1
		}
		env.Args = append(args, env.Args[1:]...)
		return master.Run(ctx, env)
	case "mesos-master":
		env.Args = env.Args[1:]
		return master.Run(ctx, env)
	case "start-mesos-slave.sh", "mesos-slave", "mesos-agent":
		return agent.Run(ctx, env)
	default:
		fmt.Fprintf(env.Stderr, "mesos: %s: no such program here\n", name)
		return 127
	}
}

// startMaster returns the flags of the seed's start-mesos-master.sh. The
// ports may be moved: ZooKeeper's with LAB_ZK_PORT, or all of its URL with
// MESOS_ZK, the master's with MESOS_PORT.
func startMaster(env mini.Env) ([]string, error) {
	ip := env.Getenv("LOCAL_IP")
	if ip == "" {
		return nil, fmt.Errorf("start-mesos-master.sh: LOCAL_IP is not set")
	}
	zk := env.Getenv("MESOS_ZK")
	if zk == "" {
		port := env.Getenv("LAB_ZK_PORT")
		if port == "" {
			port = "2181"
		}
		zk = "zk://" + ip + ":" + port + "/mesos"
	}
	return []string{
		"--ip=" + ip, "--zk=" + zk, "--quorum=1", "--work_dir=/var/lib/mesos", "--log_dir=/log/mesos",
		"--hostname_lookup=false",
	}, nil
}
