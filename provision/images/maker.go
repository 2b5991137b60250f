package images

import (
	"github.com/distribution/reference"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/imagetar"
)

// Label is the label by which an engine shows the content of lab's own images.
// Its value is a digest of it, or BuiltIn.
const (
	Label   = imagetar.Label
	BuiltIn = "built-in"
)

// Image says how one of lab's own programs is started, in the words of an image
// config.
type Image struct {
	Name            string // lab/zookeeper
	Entrypoint, Cmd []string
	ExposedPorts    []string // 80/tcp
}

// Maker makes the catalogue's images.
type Maker struct {
	Catalogue []Image
	// Executable is this program, which is used if it can be.
	Executable string
	// Sources are folders in which, or above which, the module's sources may
	// lie. The first that has them is taken.
	Sources []string
	// Environ is what the go command gets, as os.Environ gives it.
	Environ []string
	// Cache is a folder for what was made: binaries and archives.
	Cache string
}

// Has reports whether a reference names an image of the catalogue.
func (m *Maker) Has(ref string) bool {
	if m == nil {
		return false
	}
	for _, i := range m.Catalogue {
		if same(i.Name, ref) {
			return true
		}
	}
	return false
}

// canonical is a reference in full: docker.io/library/nginx:1.10.
func canonical(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", err
	}
	return reference.TagNameOnly(named).String(), nil
}

// same tells whether two references mean the same image.
func same(a, b string) bool {
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && x == y
}

// wrong marks an error as one in what was given (exit code 2) and adds no words.
type wrong struct{ error }

func (w wrong) Unwrap() []error { return []error{lab.ErrUsage, w.error} }
