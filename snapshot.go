package lab

import "context"

// SnapshotSaver, SnapshotRestorer and SnapshotLister are what a provider may
// have besides Provider.
type (
	// SnapshotSaver saves all machines of a plan, in memory and disk, under a
	// name. A snapshot of that name is replaced.
	SnapshotSaver interface {
		SaveSnapshot(ctx context.Context, plan Plan, name string) error
	}
	// SnapshotRestorer brings all machines of a plan back to a snapshot and
	// runs them. Their clocks stand where they stood then, and connections
	// opened since hang: set the one, close the others.
	SnapshotRestorer interface {
		RestoreSnapshot(ctx context.Context, plan Plan, name string) error
	}
	// SnapshotLister returns the names of the snapshots that each machine of
	// a plan has, oldest first as far as the VM provider knows.
	SnapshotLister interface {
		Snapshots(ctx context.Context, plan Plan) (map[string][]string, error)
	}
)
