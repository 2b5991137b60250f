package machine

// Linux takes one connection more than the backlog says.
const (
	hushedBacklog = 0
	fillersWanted = 1
)
