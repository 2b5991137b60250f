package labtest

import "runtime"

// Memory returns what is in use, in bytes: what is reachable on the heap, and
// stacks. The tests of a package share it, those that run in parallel too.
func Memory() uint64 {
	runtime.GC()
	runtime.GC() // pools let go at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
