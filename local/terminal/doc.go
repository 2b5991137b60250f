// Package terminal is a terminal's line discipline: what a kernel does between
// a keyboard and the programs that read it, for programs that are functions of
// this process and have no kernel's terminal.
//
// # Nouns
//
// A Terminal has two sides. The user's side types (Type, Feed), hears (the
// screen given to New) and is resized; an SSH channel or a hijacked HTTP
// connection is behind it. The program's side reads and writes. A Mode says
// what happens in between. Foreground names whoever is to hear of ctrl-C.
//
// # Rules
//
// They are those of termios(3) and Linux's n_tty, as far as they go:
//
//	canonical     a read returns one line, ended by the enter key; until then it
//	              can be corrected: ^H ^? one character, ^W a word, ^U the line,
//	              ^R shows it again, ^V takes the next key as it is. ^D hands out
//	              what is there; on an empty line that is the end of the file.
//	not canonical a read returns what was typed
//	echo          keys are shown when they are typed, also while nobody reads;
//	              control characters as ^X
//	signals       ^C ^\ ^Z throw away what was typed and tell the foreground
//	flow          ^S holds the screen back until ^Q or a signal
//	output        \n becomes \r\n (not a second \r behind one)
//
// There is one queue of keys, and whoever reads next gets what comes next:
// what was typed ahead is kept for the next program, or for the prompt. When
// the mode changes to canonical, keys that nobody has read count as if they
// were typed then, but are not echoed a second time; when it changes back, ends
// of file among them are dropped. Two differences: characters are erased by
// their width on the screen, and a full queue makes the user's side wait
// instead of dropping keys.
//
// # Promises
//
// Safe for concurrent use; starts no goroutines. Reads end with their context,
// writes only with the screen. No files, no ports.
//
// # Left out on purpose
//
// Process groups and stopping (a Suspend is only reported), delays, parity,
// case, VMIN and VTIME, and the escape sequences of any screen.
package terminal
