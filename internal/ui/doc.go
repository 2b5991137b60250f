// Package ui renders what libraries report: events as a live bar on a
// terminal, as plain lines in a pipe or as JSON lines for programs, and
// errors with their advice.
//
// Rules: progress and narration go to stderr, results to stdout; nothing
// stays silent for longer than a second while a step is open; a step whose
// name is "group/name" is collected and printed in one line a machine when
// the step "group" of that machine is done. The package decides nothing and
// never exits.
package ui
