// Package machine is an embedded machine: one process that boots, serves SSH
// and SFTP on its own address, runs a Docker-compatible engine as a service,
// starts the processes of its containers, and can lose power.
//
// # Nouns
//
// Run is the machine's whole life in its folder (package folder), which is its
// working directory. The network holds its listeners; the children are the
// processes of its containers; a service can be started, stopped and asked:
// docker, and ssh, which always runs. dockerd is one run of the docker
// service: an engine and its listeners, as DOCKER_OPTS in /etc/default/docker
// wants them. Without that file it listens on its unix socket only, like a
// fresh Docker.
//
// # Sessions
//
// An SSH session is a shell, a command or sftp. With a terminal (pty-req, with
// the modes of RFC 4254, section 8) the shell is interactive, and ctrl-C is a
// key that ends what runs; window-change is heard at once. A connection that
// cannot be accepted for want of descriptors is waited for: see acceptEach.
//
// # Power
//
//	SIGTERM   clean shutdown: containers are stopped, then foreign programs,
//	          then the process ends
//	SIGUSR1   power cut: children frozen, listeners hushed, then itself frozen
//	SIGUSR2   pause: the same, but SIGCONT goes on where it stood
//	SIGKILL   crash: the kernel answers for it, its children die with it
//	SIGHUP    the network: network.json has changed
//
// A hushed listener is still there, but takes nobody: its backlog is zero and
// filled by one connection of the machine's own, so that newcomers time out.
// Connections that are open stay open, and silent. What is not lab's own
// program (HAProxy, a task's command) opens its listeners itself: a filter on
// each, through a copy of its descriptor (package silence), drops what comes.
// Where the system allows none (macOS; kernels before 5.6) these programs are
// frozen all the same, but newcomers get a connection and then silence.
//
// # Network
//
// What network.json calls cut is not heard any more: filters on all sockets of
// the machine's processes drop what comes from there (package silence). The
// other machine does the same. Sockets that foreign programs open later are
// found within a quarter of a second; their own connections count as the
// machine's only if they come from its address.
//
// # Foreign programs
//
// Processes of the machine may ask for programs that are not lab's own (package
// handoff). Each runs under "lab mini supervise" (package mini/supervise), which
// the machine starts and records like its other children and holds by a pipe.
// As root they run only if Settings.AllowRootCmd says so, at the moment of the
// start. Where a supervisor was killed, what it has left becomes the machine's
// child and is ended: the machine has started no child that it has not recorded.
//
// # Promises
//
// procs.json names every child before it counts as started. The machine
// touches only its folder, listens only on its own address, and dials only
// addresses of its lab. Killed at any instant it leaves files that the next
// life can use, and no process that the next life or Destroy would not find (on
// Linux none at all: children get SIGKILL when the machine dies, and supervisors
// end what they run when they see the end of their pipe).
//
// # Left out on purpose
//
// A kernel (terminals are package terminal's), users with rights, ssh -R, X11
// and agent forwarding.
package machine
