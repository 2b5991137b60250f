package containers

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"text/template"
	"time"
)

//go:embed image
var recipeFiles embed.FS

// Recipe is the machine image as data: Debian's suite and packages, the files
// that are laid into the new system, and a script that runs in it once.
type Recipe struct {
	Suite    string
	Packages []string
	files    fs.FS // what lies in image/root
	setup    []byte
	template string // of the Dockerfile
}

// setupPath is where the script lies in the new system.
const setupPath = "usr/lib/lab/setup"

// initPath is the first process of a machine.
const initPath = "/usr/lib/lab/init"

// NewRecipe returns the recipe that this program carries.
func NewRecipe() (Recipe, error) {
	r := Recipe{Suite: "bookworm"}
	read := func(name string) []byte {
		text, _ := recipeFiles.ReadFile("image/" + name) // embedded: cannot fail
		return text
	}
	r.Packages = strings.Fields(string(read("packages")))
	r.setup = read("setup")
	r.template = string(read("Dockerfile.tmpl"))
	var err error
	r.files, err = fs.Sub(recipeFiles, "image/root")
	return r, err
}

// modes of files that are not 0644.
func mode(name string) int64 {
	switch path.Dir(name) {
	case "usr/lib/lab":
		return 0o755
	case "etc/sudoers.d":
		return 0o440
	}
	return 0o644
}

// Overlay is the tar of all files for the new system, the same bytes for the
// same recipe.
func (r Recipe) Overlay() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(name string, text []byte) error {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: mode(name), Size: int64(len(text)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	}
	err := fs.WalkDir(r.files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			if strings.Count(name, "/") == 0 { // the system's own, perhaps links
				return nil
			}
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
		}
		text, err := fs.ReadFile(r.files, name)
		if err != nil {
			return err
		}
		return add(name, text)
	})
	if err == nil {
		err = add(setupPath, r.setup)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("lay out the machine image: %w", err)
	}
	return buf.Bytes(), nil
}

// Dockerfile is the recipe for docker build; its context holds root.tar.
func (r Recipe) Dockerfile() (string, error) {
	t, err := template.New("Dockerfile").Parse(r.template)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, r)
	return b.String(), err
}

// Args are mmdebstrap's, for a tar on standard output; overlay names the file
// that holds Overlay.
func (r Recipe) Args(overlay string) []string {
	return []string{
		"--variant=minbase", "--include=" + strings.Join(r.Packages, ","),
		"--customize-hook=tar-in '" + strings.ReplaceAll(overlay, "'", `'\''`) + "' /",
		`--customize-hook=chroot "$1" /bin/sh /` + setupPath,
		r.Suite, "-",
	}
}

// Hash names the recipe: the first 16 hex digits of a SHA-256 over everything
// that makes the image.
func (r Recipe) Hash() (string, error) {
	overlay, err := r.Overlay()
	if err != nil {
		return "", err
	}
	file, err := r.Dockerfile()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(overlay)
	fmt.Fprintf(h, "\n%s\n%q", file, r.Args("root.tar"))
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// Image is the name of the image that this recipe makes.
func (r Recipe) Image() (string, error) {
	hash, err := r.Hash()
	return "lab/machine:" + hash, err
}
