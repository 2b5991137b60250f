// Package shell is the sandbox shell of an embedded machine: a POSIX shell
// with the usual small commands, confined to one folder.
//
// A Config names the folder (Root), the user, the streams and the Machine it
// may ask; Run runs one script, a Session keeps its state from line to line.
// A Command is a program of the machine, written as a Go function: the shell
// has no others and never starts a program of the computer it runs on.
//
// The language is mvdan.cc/sh's, bound to the folder by all its handlers, and
// by Environ where it has none: opening, listing, testing and finding files,
// ~user, HOME and UID never look at the computer. Process substitution <( )
// is refused, as it needs a named pipe in a real folder. /dev/null, /dev/zero,
// /dev/urandom and the standard streams are made up; other devices and /proc
// are ordinary files of the folder, if there at all.
//
// Files are reached through os.Root only: neither ".." nor a symbolic link
// leads out of it. Absolute targets of links that the shell makes become
// relative ones, because os.Root refuses absolute links.
//
// Users are names only: every file belongs to whoever runs the machine, sudo
// asks nothing, and permission bits are kept but not enforced.
//
// # At a terminal
//
// Interactive is a shell for somebody at a terminal (package terminal): a
// prompt with x/term's line editor, history in ~/.bash_history, completion,
// ~/.profile and ~/.bashrc. At every instant one party reads the keyboard: the
// editor, or the command that runs. Commands are functions of this process, so
// a ctrl-C cancels their context; & makes a job, which can be waited for and
// killed, but none can be stopped: ctrl-Z says so. The exit status after a
// ctrl-C is 130, as bash has it.
//
// # Commands
//
// They print what the real ones print (bash, GNU coreutils, sed, grep, find), as
// far as they go: testdata/real holds outputs of the real ones for some 500
// lines. A flag or a word of a small language that is not known is refused with
// an error; it is never accepted and ignored where it would change the result.
// awk is goawk's and jq gojq's, without files and processes.
package shell
