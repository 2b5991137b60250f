// Package computer is this computer as checks look at it before a lab is made:
// its programs, files, networks, memory and disks, and how checks are run.
//
// # Nouns
//
// A Computer is a set of functions, so that a test is a Computer made of what
// real tools have printed elsewhere; This is the real one. A Check is one
// question with a stable id. Survey asks several at the same time.
//
// # Promises
//
// Looking changes nothing: no file is written, no port stays open. Programs
// are run with the C locale and killed, with what they started, when their
// time is over. What cannot be seen is a finding of its own, never an ok.
//
// # Left out on purpose
//
// What a provider or a stack needs: each provider has its own checks, and
// internal/flow has those of the state folder and the stack.
package computer
