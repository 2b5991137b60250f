// Package rig runs the real lab command for end-to-end tests and benchmarks.
//
// A Lab is one lab of one test: its own state folder with a short path, its
// own loopback subnet, and a pipe whose end takes all its machines along, so
// that a test that dies leaves nothing. Run and Start run lab commands on it;
// Processes, Listeners and Folders look at the computer for what a lab has
// left, without asking lab.
//
// The command is built once in each test process, plainly: GOFLAGS holds as it
// is set, but for -race, which would make every machine and every container a
// process of the race detector. It finds its package's sources itself, so that
// go's test cache sees a change of any of them.
//
// Everything a Lab has made is removed when its test ends. What it cannot
// remove fails the test. It looks at /proc and exists on Linux only.
package rig
