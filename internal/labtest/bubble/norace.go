//go:build !race

package bubble

// Race says that the tests run with the race detector, under which crowds are
// smaller: it is slow, and ends at 8128 goroutines.
const Race = false
