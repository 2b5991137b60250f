package scenarios

import "context"

// Inside is what a scenario asks for from inside of a lab: seen from a machine,
// and on its disk.
type Inside interface {
	// Ask lets the machine from send GET to a URL, and returns the answer, of
	// whatever status. No answer within a second is os.ErrDeadlineExceeded, a
	// refusal syscall.ECONNREFUSED.
	Ask(ctx context.Context, from, url string) (Reply, error)
	// File reads a file of a machine. A missing one is fs.ErrNotExist.
	File(ctx context.Context, node, name string) ([]byte, error)
	// Forget removes what an app of lab's own has left in a folder of a
	// machine, which must be one of /var/lib/lab-*. A missing one is fine.
	Forget(ctx context.Context, node, folder string) error
}

// Reply is an answer to Ask.
type Reply struct {
	Status int
	Task   string // who answered, in its own words; "" where it does not say
}
