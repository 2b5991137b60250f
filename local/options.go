package local

import (
	"os"

	"github.com/mesoslab/lab/internal/computer"
)

// Options are what a Provider needs to know of the program around it.
type Options struct {
	// Executable is the lab binary whose copy the machines run; empty means
	// this program. It must answer to "machine run" and "mini" words.
	Executable string
	// DieWithFD, if set, is the reading end of a pipe: machines die when its
	// other end closes (for tests).
	DieWithFD *os.File
	// Computer is what checks look at; the zero value is this one.
	Computer computer.Computer
}
