//go:build unix && !linux

package machine

// BSD systems take a backlog of 0 for their default, and half as much again
// of what is asked.
const (
	hushedBacklog = 1
	fillersWanted = 2
)
