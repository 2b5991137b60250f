// Package watch is the live picture of a lab: machines with their tasks, what
// clients get, what happened last.
//
// A Board collects what samplers find through a Source, each at its own pace,
// so that a part that does not answer holds up nothing else and is named. A
// View is a copy of the board at one moment; Lines makes text of it. Terminal
// shows views on a whole screen until somebody leaves, Plain writes lines for
// a pipe. Nothing is changed by watching but the few requests of its probe,
// and nothing here judges.
//
// The screen is github.com/gdamore/tcell/v3's: it knows terminals, restores
// them however the program ends, and brings a mock of one for tests.
// Charm's bubbletea was tried: linked into this program it costs each of a
// lab's processes some 15 ms more at its start and 3 MB more memory (measured;
// tcell: 2 ms, 1 MB).
package watch
