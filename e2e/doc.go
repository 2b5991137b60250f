// Package e2e proves the whole of lab, from the command line to the loopback
// sockets: real lab commands (package rig builds and runs them) on embedded
// machines, looked at with curl, ssh, the Docker client and /proc (so it runs on
// Linux only).
//
// It holds tests only, one file a question: does the way from create to
// destroy hold (whole), does create converge (size, repair), what remains of a
// command that was killed (killed), is the verdict honest (verdict), does every
// scenario pass (those with scenarios in their names), who gets in (guard), what
// does bad input get (refused), do foreign programs fit in the place of ours
// (swap), can people work with the pages (pages), does the same hold on machines
// in containers (docker) and in network namespaces (namespaces), and so on.
//
// No test measures time or sleeps; each waits for conditions, with patience.
// Tests of verdicts run one after the other, the rest side by side: a starved
// sampler is no fault of lab's.
package e2e
