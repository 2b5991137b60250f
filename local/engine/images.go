package engine

import (
	"encoding/json"
	"net/http"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// imageSummary is one element of GET /images/json.
type imageSummary struct {
	ID               string `json:"Id"`
	ParentID         string `json:"ParentId"`
	RepoTags         []string
	RepoDigests      []string
	Created          int64
	Size, SharedSize int64
	VirtualSize      int64
	Labels           map[string]string
	Containers       int64
}

func (e *Engine) imageSummary(i int) imageSummary {
	img := e.images.catalogue[i]
	used := int64(0)
	for _, c := range e.all() {
		if c.snapshot().Image == img.Name {
			used++
		}
	}
	return imageSummary{
		ID: e.images.ids[i], RepoTags: e.images.tags(i), RepoDigests: []string{}, Created: img.created().Unix(),
		Size: img.Size, SharedSize: -1, VirtualSize: img.Size, Labels: img.Labels, Containers: used,
	}
}

// created is an image's creation time; the epoch where it has none.
func (i Image) created() time.Time {
	if i.Created.IsZero() {
		return time.Unix(0, 0)
	}
	return i.Created
}

func (e *Engine) imageList(w http.ResponseWriter, r *http.Request, _ vars) error {
	f, err := api.ParseFilters(r.FormValue("filters"), "dangling", "label", "before", "since", "reference", "until")
	if err != nil {
		return err
	}
	list := []imageSummary{}
	for i := range e.images.catalogue {
		s := e.imageSummary(i)
		if f.Has("reference") {
			var tags []string
			for _, tag := range s.RepoTags {
				if f.Any("reference", func(v string) bool { return familiar(v, tag) }) {
					tags = append(tags, tag)
				}
			}
			if s.RepoTags = tags; len(tags) == 0 {
				continue
			}
		}
		if f.Labels("label", s.Labels) && f.Any("dangling", func(v string) bool { return !api.Bool(v) }) {
			list = append(list, s)
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

// familiar matches a reference filter: repository or repository:tag, with
// wildcards.
func familiar(pattern, tag string) bool {
	repo, _, _ := strings.Cut(tag, ":")
	for _, have := range []string{tag, repo} {
		if ok, err := path.Match(pattern, have); err == nil && ok {
			return true
		}
	}
	return false
}

func (e *Engine) imageInspect(w http.ResponseWriter, _ *http.Request, v vars) error {
	i, err := e.images.find(v["name"])
	if err != nil {
		return err
	}
	img := e.images.catalogue[i]
	exposed, volumes := api.Set{}, api.Set{}
	for _, p := range img.ExposedPorts {
		exposed[p] = struct{}{}
	}
	for _, p := range img.Volumes {
		volumes[p] = struct{}{}
	}
	config := api.Config{
		Entrypoint: img.Entrypoint, Cmd: img.Cmd, Env: append([]string{defaultPath}, img.Env...), WorkingDir: img.WorkingDir,
		StopSignal: img.StopSignal, Labels: img.Labels, ExposedPorts: exposed, Volumes: volumes,
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"Id": e.images.ids[i], "RepoTags": e.images.tags(i), "RepoDigests": []string{}, "Parent": "", "Comment": "",
		"Created": img.created().UTC().Format(time.RFC3339Nano), "DockerVersion": "", "Author": "", "Config": config,
		"Architecture": runtime.GOARCH, "Os": runtime.GOOS, "Size": img.Size, "VirtualSize": img.Size,
		"GraphDriver": api.GraphDriver{Name: "folder"}, "RootFS": map[string]any{"Type": "layers", "Layers": []string{e.images.ids[i]}},
		"Metadata": map[string]string{"LastTagTime": api.FormatTime(time.Time{})},
	})
}

func (e *Engine) imageHistory(w http.ResponseWriter, _ *http.Request, v vars) error {
	i, err := e.images.find(v["name"])
	if err != nil {
		return err
	}
	img := e.images.catalogue[i]
	by := strings.Join(append(append([]string{}, img.Entrypoint...), img.Cmd...), " ")
	return writeJSON(w, http.StatusOK, []any{map[string]any{
		"Id": e.images.ids[i], "Created": img.created().Unix(), "CreatedBy": by, "Tags": e.images.tags(i),
		"Size": img.Size, "Comment": "catalogue of " + ServerName,
	}})
}

// imagePull answers as a pull of an image that is there already. Other images
// are refused before the stream begins.
func (e *Engine) imagePull(w http.ResponseWriter, r *http.Request, _ vars) error {
	name, tag := r.FormValue("fromImage"), r.FormValue("tag")
	if name == "" {
		return api.Unsupported("import: %s", catalogueOnly)
	}
	switch {
	case strings.HasPrefix(tag, "sha256:"):
		name += "@" + tag
	case tag != "":
		name += ":" + tag
	}
	ref, err := api.ParseReference(name)
	if err != nil {
		return err
	}
	i, err := e.images.find(ref.String())
	if err != nil {
		return err
	}
	if err := e.images.add(ref, i); err != nil {
		return err
	}
	e.bus.Publish("image", "pull", ref.String(), map[string]string{"name": ref.Repository})
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	for _, line := range []map[string]string{
		{"status": "Pulling from " + ref.Repository, "id": ref.Tag},
		{"status": "Digest: " + e.images.ids[i]},
		{"status": "Status: Image is up to date for " + ref.String()},
	} {
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) imageTag(w http.ResponseWriter, r *http.Request, v vars) error {
	i, err := e.images.find(v["name"])
	if err != nil {
		return err
	}
	name := r.FormValue("repo")
	if tag := r.FormValue("tag"); tag != "" {
		name += ":" + tag
	}
	ref, err := api.ParseReference(name)
	if err != nil {
		return err
	}
	for j, img := range e.images.catalogue {
		if j != i && img.covers(ref) {
			return api.Conflict("%s is a name of another image in the catalogue (%s)", ref, img.Name)
		}
	}
	if err := e.images.add(ref, i); err != nil {
		return err
	}
	e.bus.Publish("image", "tag", e.images.ids[i], map[string]string{"name": ref.String()})
	w.WriteHeader(http.StatusCreated)
	return nil
}

// imageRemove forgets a reference that pull or tag made. The catalogue itself
// stays.
func (e *Engine) imageRemove(w http.ResponseWriter, _ *http.Request, v vars) error {
	i, err := e.images.find(v["name"])
	if err != nil {
		return err
	}
	if ref, err := api.ParseReference(v["name"]); err == nil {
		dropped, err := e.images.drop(ref)
		if err != nil {
			return err
		}
		if dropped {
			e.bus.Publish("image", "untag", e.images.ids[i], map[string]string{"name": ref.String()})
			return writeJSON(w, http.StatusOK, []map[string]string{{"Untagged": ref.String()}})
		}
	}
	return api.Conflict("conflict: unable to remove %s: it belongs to this engine's catalogue and takes no space", v["name"])
}

func (e *Engine) imagePrune(w http.ResponseWriter, _ *http.Request, _ vars) error {
	return writeJSON(w, http.StatusOK, map[string]any{"ImagesDeleted": []string{}, "SpaceReclaimed": 0})
}
