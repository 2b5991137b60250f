package box

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden recipe anew")

// TestRecipeGolden shows everything that makes the box: a change of it is a
// change of what people get.
func TestRecipeGolden(t *testing.T) {
	r, err := NewRecipe()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := r.Overlay()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, a := range r.Args("overlay.tar", "system.tar") {
		fmt.Fprintln(&b, a)
	}
	in := tar.NewReader(bytes.NewReader(overlay))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "--- %s %o %d:%d\n", h.Name, h.Mode, h.Uid, h.Gid)
		if _, err := io.Copy(&b, in); err != nil {
			t.Fatal(err)
		}
	}
	const file = "testdata/recipe.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("not as %s (-update writes it anew):\n%s", file, b.String())
	}
}

func TestHashNamesTheRecipe(t *testing.T) {
	r, err := NewRecipe()
	if err != nil {
		t.Fatal(err)
	}
	hash := func(change func(*Recipe)) string {
		other := r
		change(&other)
		h, err := other.Hash()
		if err != nil || len(h) != 16 {
			t.Fatalf("%q, %v", h, err)
		}
		return h
	}
	same := hash(func(*Recipe) {})
	if again := hash(func(*Recipe) {}); again != same {
		t.Errorf("%s, then %s", same, again)
	}
	for what, change := range map[string]func(*Recipe){
		"suite":    func(r *Recipe) { r.Suite = "trixie" },
		"packages": func(r *Recipe) { r.Packages = append(r.Packages[:0:0], r.Packages[1:]...) },
		"size":     func(r *Recipe) { r.DiskMiB++ },
		"setup":    func(r *Recipe) { r.setup = append(r.setup, '\n') },
		"disk":     func(r *Recipe) { r.disk = nil },
	} {
		if hash(change) == same {
			t.Errorf("another %s, the same hash", what)
		}
	}
}
