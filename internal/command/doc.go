// Package command runs a foreign program that works for minutes and says on
// the way how far it is. It owns three things that all such programs need: each
// line that the program says goes to whoever watches, the last few stand in its
// error, and the end of a context ends the program and all that it has started,
// gently first. Where asked for, whatever the program mounts disappears with it.
//
// What the lines mean is the caller's.
package command
