// Package provision makes a machine that answers SSH into one whose Docker
// engine is open as the lab wants it.
//
// # Nouns
//
// A Host is one SSH connection to a machine; it runs commands, moves files by
// SFTP, dials sockets of the machine and gives a Docker client over its unix
// socket. Facts are what was found on a machine by one command: system, init
// system, engine, memory, disk, clock, networks. What is changed follows from
// them, one function a thing: SetClock, SetHosts, UseCgroupV1, InstallDocker,
// ConfigureDocker (DOCKER_OPTS, which live in /etc/default/docker on every init
// system); AwaitBoot and VerifyTCP look.
//
// # Promises
//
// Every change is idempotent: it looks first, and says whether it changed
// anything; what an interruption left half done is found and finished. A file
// is replaced by rename, never written in place. Docker is restarted only if a
// setting changed or its port is closed, and whether that worked is judged by
// the socket and the port, never by an exit code. A machine is restarted at
// most once, for its kernel's argument. All functions end soon after their
// context does. A Host is safe for concurrent use; it closes itself when the
// machine has been silent for a while.
//
// Commands are built by pure functions as argument lists and run elsewhere, so
// that tests look at them as data.
//
// # Systems
//
// Debian and Ubuntu with systemd, upstart (14.04) or sysvinit. Where Docker is
// there already, any Linux with one of the three.
//
// # What it touches
//
// On the machine: /etc/default/docker, /etc/hosts (between two markers, and
// loopback addresses of the machines' names), the clock, on systemd
// /etc/systemd/system/docker.service.d/lab.conf where the unit wants it; where
// the stack wants cgroup v1, /etc/default/grub.d/zz-lab-cgroup.cfg and a reboot; where
// Docker is missing, the packages docker.io and what it needs. While a fault is
// in force: signals to dockerd, a chain LAB-CUT in iptables' table mangle, a
// queue 7ab: of tc. Here: nothing.
//
// # Not here
//
// Images (package provision/images), which containers run and what they need
// of a machine (package stack), and making machines (the providers).
package provision
