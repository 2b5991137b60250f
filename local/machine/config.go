package machine

import (
	"io"

	"github.com/mesoslab/lab/local/engine"
)

// Config is what the lab binary hands to its machines.
type Config struct {
	// Executable is the binary whose "mini" words the containers run; empty
	// means this process's own.
	Executable string
	// Catalogue lists the engine's images.
	Catalogue []engine.Image
	// Version is lab's, for the engine's answers.
	Version string
	// Log gets what the machine has to say; the provider makes it the file log.
	Log io.Writer
	// LockFD is the descriptor of the locked file lock, 0 if the machine is to
	// lock it itself. DieWithFD, if not 0, is a pipe with whose other end the
	// machine dies (for tests).
	LockFD, DieWithFD int
}
