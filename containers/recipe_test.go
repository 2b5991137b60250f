package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestRecipe shows the whole recipe as one text: a change of the machine image
// is seen in review, together with its new name.
func TestRecipe(t *testing.T) {
	r, err := NewRecipe()
	if err != nil {
		t.Fatal(err)
	}
	ref, err1 := r.Image()
	file, err2 := r.Dockerfile()
	overlay, err3 := r.Overlay()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	fmt.Fprintf(&got, "%s\n\n== mmdebstrap\n%s\n\n== Dockerfile\n%s", ref, strings.Join(r.Args("root.tar"), "\n"), file)
	for files := tar.NewReader(bytes.NewReader(overlay)); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "\n== %04o %d:%d %s\n%s", h.Mode, h.Uid, h.Gid, h.Name, text)
	}
	const golden = "testdata/recipe.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("the recipe differs from %s (-update writes it): %v\n%s", golden, err, got.String())
	}
}

func TestHashFollowsContent(t *testing.T) {
	base, err := NewRecipe()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for what, change := range map[string]func(*Recipe){
		"nothing":  func(*Recipe) {},
		"suite":    func(r *Recipe) { r.Suite = "trixie" },
		"packages": func(r *Recipe) { r.Packages = append(slices.Clone(r.Packages), "vim") },
		"setup":    func(r *Recipe) { r.setup = append(slices.Clone(r.setup), '\n') },
	} {
		r := base
		change(&r)
		hash, err := r.Hash()
		again, _ := r.Hash()
		if err != nil || hash != again || seen[hash] != "" {
			t.Errorf("%s: hash %s, then %s, as of %q; %v", what, hash, again, seen[hash], err)
		}
		seen[hash] = what
	}
}

func TestImageIsBuiltOnce(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 1)
	if ready, err := p.ImageReady(t.Context()); ready || err != nil {
		t.Errorf("ready before: %v, %v", ready, err)
	}
	all := []site{{plan: plan}, {plan: plan}, {plan: plan}}
	if err := each(all, func(int, site) error { return p.EnsureImage(t.Context(), plan.Report) }); err != nil {
		t.Fatal(err)
	}
	if want := []string{`import ""`, "tag"}; !slices.Equal(e.calls, want) {
		t.Errorf("%q, want %q", e.calls, want)
	}
	if ready, err := p.ImageReady(t.Context()); !ready || err != nil {
		t.Errorf("ready after: %v, %v", ready, err)
	}
	// An image of that name that another recipe made is none.
	ref, err := image()
	if err != nil {
		t.Fatal(err)
	}
	e.images[ref] = map[string]string{labelHash: "other"}
	if ready, err := p.ImageReady(t.Context()); ready || err != nil {
		t.Errorf("ready with a stranger's image: %v, %v", ready, err)
	}
}

func TestBrokenBuilds(t *testing.T) {
	broken := errors.New("no mirror")
	halfway := func(ctx context.Context, args []string, out io.Writer, said func(string)) error {
		io.WriteString(out, "half a sys")
		return broken
	}
	refusing := func(call string) error {
		if strings.HasPrefix(call, "import") || strings.HasPrefix(call, "build") {
			return broken
		}
		return nil
	}
	for name, c := range map[string]struct {
		build Bootstrap
		fail  func(string) error
	}{
		"mmdebstrap ends half-way": {halfway, nil},
		"import is refused":        {system, refusing},
		"docker build fails":       {nil, refusing},
	} {
		e := newFakeEngine()
		e.fail = c.fail
		p := newFake(e)
		p.build = c.build
		_, err := p.Up(t.Context(), fakePlan(t, 1))
		if lab.ErrorID(err) != "image-build" {
			t.Errorf("%s: %v, want image-build", name, err)
		}
		if len(e.images) > 0 || len(e.containers) > 0 || len(e.networks) > 0 {
			t.Errorf("%s: left %v %v %v", name, e.images, e.containers, e.networks)
		}
	}
}

func TestBuildWithoutBootstrap(t *testing.T) {
	e := newFakeEngine()
	p := newFake(e)
	p.build = nil
	var said []string
	err := p.bootstrapless(t, &said)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"build Dockerfile root.tar"}; !slices.Equal(e.calls, want) {
		t.Errorf("%q, want %q", e.calls, want)
	}
	if want := []string{"Step 1/3 : FROM debian"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	if ready, err := p.ImageReady(t.Context()); !ready || err != nil {
		t.Errorf("ready after: %v, %v", ready, err)
	}
}

func (d dialling) bootstrapless(t *testing.T, said *[]string) error {
	plan := fakePlan(t, 1)
	plan.Report = func(e lab.Event) {
		if e.Kind == lab.EventWait {
			*said = append(*said, e.Text)
		}
	}
	return d.EnsureImage(t.Context(), plan.Report)
}

func FuzzReadStream(f *testing.F) {
	f.Add([]byte(`{"status":"sha256:0"}` + "\n"))
	f.Add([]byte(`{"stream":"a"}{"error":"b"}`))
	f.Add([]byte(`{"status":`))
	f.Fuzz(func(t *testing.T, text []byte) {
		status, err := readStream(bytes.NewReader(text), func(string) {})
		if err != nil && status != "" {
			t.Errorf("both %q and %v", status, err)
		}
	})
}
