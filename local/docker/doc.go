// Package docker is the docker command of an embedded machine: the part of it
// that looks at containers, follows their logs and works in them.
//
// Command is a shell.Command over moby's client library. It speaks to the
// machine's own engine, or to another of the lab with -H or DOCKER_HOST, dials
// as the machine does, and touches nothing else: no configuration, no plugins,
// no file of the computer. Docker's own command line could not promise that.
//
// On a terminal, exec -it, run -it and attach give every key to the program in
// the container until it ends, with the size of the terminal, and leave the
// terminal as it was.
//
// Left out on purpose: everything that builds, pushes, saves or copies files,
// contexts, swarm, compose. Those words answer with the way to use the real
// command from outside.
package docker
