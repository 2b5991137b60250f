//go:build !linux

package supervise

import "github.com/shirou/gopsutil/v4/process"

// private cannot be told from the rest: where MemoryInfoEx fails, all counts.
func private(*process.MemoryInfoExStat) uint64 { return 0 }
