// Package provision makes a machine that answers SSH into one whose Docker
// engine is open as the lab wants it.
//
// # Nouns
//
// A Host is one SSH connection to a machine; it runs commands, moves files by
// SFTP, dials sockets of the machine and gives a Docker client over its unix
// socket. Facts are what was found on a machine: init system, engine, memory,
// clock. DOCKER_OPTS is the one setting that this package changes; it lives in
// /etc/default/docker on every init system.
//
// # Promises
//
// Every change is idempotent: it looks first, and says whether it changed
// anything. A file is replaced by rename, never written in place. Docker is
// restarted only if a setting changed or its port is closed, and whether that
// worked is judged by the socket and the port, never by an exit code. All
// functions end soon after their context does. A Host is safe for concurrent
// use; it closes itself when the machine has been silent for a while.
//
// Commands are built by pure functions as argument lists and run elsewhere, so
// that tests look at them as data.
//
// # What it touches
//
// On the machine: /etc/default/docker, /etc/hosts (between two markers), and
// on systemd /etc/systemd/system/docker.service.d/lab.conf. Here: nothing.
//
// # Not here
//
// Images (provision/images), which containers run (package stack), making machines (the providers), and
// installing Docker where it is missing: that is an error with advice.
package provision
