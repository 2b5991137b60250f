//go:build unix

package agent

import (
	"io/fs"
	"os/user"
	"strconv"
	"syscall"
)

// ownership is what ls -l shows besides mode, size and time.
type ownership struct {
	user, group string
	links       int64
}

// ownerOf names user and group, or gives their numbers where they have no name.
func ownerOf(i fs.FileInfo) ownership {
	st, ok := i.Sys().(*syscall.Stat_t)
	if !ok {
		return ownership{"root", "root", 1}
	}
	uid, gid := strconv.FormatUint(uint64(st.Uid), 10), strconv.FormatUint(uint64(st.Gid), 10)
	o := ownership{uid, gid, int64(st.Nlink)}
	if u, err := user.LookupId(uid); err == nil {
		o.user = u.Username
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		o.group = g.Name
	}
	return o
}
