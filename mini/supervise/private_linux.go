package supervise

import "github.com/shirou/gopsutil/v4/process"

// private is resident memory less what is of files or shared (statm).
func private(m *process.MemoryInfoExStat) uint64 { return m.RSS - min(m.RSS, m.Shared) }
