package computer

import (
	"fmt"
	"math"

	"github.com/mesoslab/lab"
)

// CheckMemory warns where less than need is available, and stops where this
// computer does not have it at all, unless soft: what is soft needs it only
// under load. what says who needs it: "3 machines with 1GiB each".
func (c Computer) CheckMemory(need lab.Size, what, advice string, soft bool) []lab.Finding {
	const id = "memory"
	m, err := c.Memory()
	if err != nil {
		return Unseen(id, err)
	}
	switch {
	case need > m.Total && !soft:
		return []lab.Finding{Stop(id, advice, "%s need %s, this computer has %s", what, Amount(need), Amount(m.Total))}
	case need > m.Available:
		return []lab.Finding{Warn(id, advice, "%s need %s, and %s of %s are free now", what, Amount(need), Amount(m.Available), Amount(m.Total))}
	}
	return []lab.Finding{OK(id, "%s free, %s need %s", Amount(m.Available), what, Amount(need))}
}

// Room is a place on a disk and what is wanted there.
type Room struct {
	ID   string
	Path string // need not exist yet
	For  string // what lies there: "VirtualBox's machines"
	// Below Want it is tight, below Need nothing can be made.
	Want, Need lab.Size
	Advice     string
}

// CheckDisk looks whether there is room. What stops is disk-full, wherever it
// is: create fails by that word, too.
func (c Computer) CheckDisk(r Room) []lab.Finding {
	at := c.Nearest(r.Path)
	d, err := c.Disk(at)
	if err != nil {
		return Unseen(r.ID, err)
	}
	switch {
	case d.Free < r.Need:
		return []lab.Finding{Stop("disk-full", r.Advice, "%s free in %s for %s, at least %s is needed", Amount(d.Free), r.Path, r.For, Amount(r.Need))}
	case d.Free < r.Want:
		return []lab.Finding{Warn(r.ID, r.Advice, "%s free in %s for %s, which may take %s", Amount(d.Free), r.Path, r.For, Amount(r.Want))}
	}
	return []lab.Finding{OK(r.ID, "%s free in %s for %s", Amount(d.Free), r.Path, r.For)}
}

// Amount writes a size as people say it: 23.5 GiB, 512 MiB.
func Amount(s lab.Size) string {
	if s >= lab.GiB {
		g := math.Round(float64(s)/float64(lab.GiB)*10) / 10
		if g == math.Trunc(g) {
			return fmt.Sprintf("%.0f GiB", g)
		}
		return fmt.Sprintf("%.1f GiB", g)
	}
	return fmt.Sprintf("%d MiB", s.MiB())
}
