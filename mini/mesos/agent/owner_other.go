//go:build !unix

package agent

import "io/fs"

// ownership is what ls -l shows besides mode, size and time.
type ownership struct {
	user, group string
	links       int64
}

// ownerOf knows no users on this system.
func ownerOf(fs.FileInfo) ownership { return ownership{"root", "root", 1} }
