package engine

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/mesoslab/lab/internal/imagetar"
	"github.com/mesoslab/lab/local/engine/internal/api"
)

// imageLoad takes archives of lab's own images: they carry the label
// lab.images and names of the catalogue, whose programs this engine runs by
// itself. Nothing of them is kept but the names. Any other archive is refused,
// and none of its names is taken.
func (e *Engine) imageLoad(w http.ResponseWriter, r *http.Request, _ vars) error {
	entries, _, err := imagetar.Scan(r.Body)
	if err != nil {
		return api.BadRequest("images/load: %v (%s)", err, catalogueOnly)
	}
	type named struct {
		ref   api.Reference
		image int
	}
	var all []named
	for _, entry := range entries {
		for _, tag := range entry.Refs {
			ref, err := api.ParseReference(tag)
			if err != nil {
				return err
			}
			i, known := e.images.own(ref)
			if !known || entry.Digest == "" {
				return api.BadRequest("images/load: %s is none of lab's own images: %s", ref, catalogueOnly)
			}
			all = append(all, named{ref, i})
		}
	}
	if len(all) == 0 {
		return api.BadRequest("images/load: the images in this archive have no names: %s", catalogueOnly)
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	for _, n := range all {
		if err := e.images.add(n.ref, n.image); err != nil {
			return err
		}
		e.bus.Publish("image", "load", e.images.ids[n.image], map[string]string{"name": n.ref.String()})
		if err := enc.Encode(map[string]string{"stream": "Loaded image: " + n.ref.String() + "\n"}); err != nil {
			return err
		}
	}
	return nil
}

// own finds the entry whose own name, no alias, a reference is.
func (s *imageStore) own(ref api.Reference) (int, bool) {
	i := slices.IndexFunc(s.catalogue, func(img Image) bool { return Image{Name: img.Name}.covers(ref) })
	return i, i >= 0
}
