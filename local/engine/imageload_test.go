package engine

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// savedImages is an archive as docker save writes it, one image for each name.
func savedImages(t *testing.T, label string, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(name, text string) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
	}
	var list []string
	for i, name := range names {
		config := fmt.Sprintf("%d.json", i)
		put(config, fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Labels":{"lab.images":%q}},"rootfs":{"diff_ids":["sha256:0"]}}`, label))
		tags := "null"
		if name != "" {
			tags = fmt.Sprintf("[%q]", name)
		}
		list = append(list, fmt.Sprintf(`{"Config":%q,"RepoTags":%s,"Layers":["layer.tar"]}`, config, tags))
	}
	put("layer.tar", strings.Repeat("x", 100_000))
	put("manifest.json", "["+strings.Join(list, ",")+"]")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestClientLoad(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		ctx := t.Context()
		past, live := b.bus.Subscribe(ctx, b.since)
		if len(past) != 0 {
			t.Fatalf("events before anything happened: %v", past)
		}
		answer, err := c.ImageLoad(ctx, bytes.NewReader(savedImages(t, "d1", "lab/web:latest", "lab/tool:v2")))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer)
		answer.Close()
		want := `{"stream":"Loaded image: lab/web:latest\n"}` + "\n" + `{"stream":"Loaded image: lab/tool:v2\n"}` + "\n"
		if err != nil || string(text) != want {
			t.Errorf("the answer is %q, %v", text, err)
		}
		if e := <-live; e.Type != "image" || e.Action != "load" || e.Actor.Attributes["name"] != "lab/web:latest" {
			t.Errorf("event %+v", e)
		}
		if i, err := c.ImageInspect(ctx, "lab/tool:v2"); err != nil || i.Config.Labels["kind"] != "tool" {
			t.Errorf("inspect what was loaded: %+v, %v", i, err)
		}
		for name, archive := range map[string][]byte{
			"a foreign image":                  savedImages(t, "", "redis:7"),
			"a foreign image with our label":   savedImages(t, "d1", "redis:7"),
			"another's image under our name":   savedImages(t, "", "lab/web:latest"),
			"an alias: the real nginx":         savedImages(t, "d1", "nginx:1.10"),
			"one of ours beside a foreign one": savedImages(t, "d1", "lab/web:v9", "redis:7"),
			"no name":                          savedImages(t, "d1", ""),
			"half an archive":                  savedImages(t, "d1", "lab/web:v9")[:70_000],
			"no archive":                       []byte("hello"),
			"nothing":                          nil,
		} {
			if _, err := c.ImageLoad(ctx, bytes.NewReader(archive)); !cerrdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "catalogue") {
				t.Errorf("%s: %v, want a 400 that tells of the catalogue", name, err)
			}
		}
		for _, tag := range []string{"lab/web:v9", "redis:7"} {
			images, err := c.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", tag)})
			if err != nil || len(images.Items) != 0 {
				t.Errorf("%s was taken from a refused archive: %+v, %v", tag, images.Items, err)
			}
		}
	})
}

func TestDockerLoad(t *testing.T) {
	eachDocker(t, func(t *testing.T, b *bench, d docker) {
		file := filepath.Join(t.TempDir(), "images.tar")
		save := func(label string, names ...string) {
			if err := os.WriteFile(file, savedImages(t, label, names...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		save("d1", "lab/web:latest", "lab/tool:latest")
		d.has("Loaded image: lab/web:latest|Loaded image: lab/tool:latest", "load", "-i", file)
		d.ok("load", "-q", "-i", file)
		if out := d.ok("run", "--rm", "lab/tool", "say", "still ours"); out != "still ours" {
			t.Errorf("run after load: %q", out)
		}
		save("", "redis:7")
		d.fails(1, "redis:7 is none of lab's own images: lab-engine runs the images of its catalogue only", "load", "-i", file)
	})
}
