package box

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
	"time"
)

//go:embed image
var recipeFiles embed.FS

// Recipe is the box as data: Debian's suite and packages, the files that are
// laid into the new system, a script that runs in it once, and one that makes
// a disk of it.
type Recipe struct {
	Suite    string
	Packages []string
	DiskMiB  int   // as the machine sees it
	files    fs.FS // what lies in image/root
	setup    []byte
	disk     []byte
}

// setupPath is where the script lies in the new system.
const setupPath = "usr/lib/lab/setup"

// NewRecipe returns the recipe that this program carries.
func NewRecipe() (Recipe, error) {
	r := Recipe{Suite: "bookworm", DiskMiB: 10 << 10}
	read := func(name string) []byte {
		text, _ := recipeFiles.ReadFile("image/" + name) // embedded: cannot fail
		return text
	}
	r.Packages = strings.Fields(string(read("packages")))
	r.setup, r.disk = read("setup"), read("disk")
	var err error
	r.files, err = fs.Sub(recipeFiles, "image/root")
	return r, err
}

// mode is a file's mode in the new system.
func mode(name string) int64 {
	switch {
	case name == setupPath:
		return 0o755
	case path.Dir(name) == "etc/sudoers.d":
		return 0o440
	}
	return 0o644
}

// Overlay is the tar of all files for the new system, the same bytes for the
// same recipe.
func (r Recipe) Overlay() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	header := tar.Header{ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	add := func(name string, text []byte) error {
		h := header
		h.Name, h.Mode, h.Size = name, mode(name), int64(len(text))
		err := w.WriteHeader(&h)
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	}
	err := fs.WalkDir(r.files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if !d.IsDir() {
			text, err := fs.ReadFile(r.files, name)
			if err != nil {
				return err
			}
			return add(name, text)
		}
		if !strings.Contains(name, "/") { // the system's own
			return nil
		}
		h := header
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
		return w.WriteHeader(&h)
	})
	if err == nil {
		err = add(setupPath, r.setup)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("lay out the box: %w", err)
	}
	return buf.Bytes(), nil
}

// Args are mmdebstrap's: overlay names the file that holds Overlay, system the
// tar to write. The files are there before the packages, so that the initrd is
// made once, as they want it.
func (r Recipe) Args(overlay, system string) []string {
	return []string{
		"--variant=minbase", "--architectures=amd64", "--include=" + strings.Join(r.Packages, ","),
		"--essential-hook=tar-in '" + strings.ReplaceAll(overlay, "'", `'\''`) + "' /",
		`--customize-hook=chroot "$1" /bin/sh /` + setupPath,
		r.Suite, system,
	}
}

// Hash names the recipe: the first 16 hex digits of a SHA-256 over everything
// that makes the box.
func (r Recipe) Hash() (string, error) {
	overlay, err := r.Overlay()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(overlay)
	fmt.Fprintf(h, "\n%s\n%q %d %d", r.disk, r.Args("root.tar", "system.tar"), r.DiskMiB, layout)
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// layout is the version of how pack makes a box of a disk.
const layout = 1
