package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/local/engine/internal/api"
)

// anonymousLabel marks volumes that nobody named, as dockerd does.
const anonymousLabel = "com.docker.volume.anonymous"

// volume is one volume as the API shows it. It lives in
// volumes/<name>/volume.json beside its folder _data.
type volume struct {
	CreatedAt  string
	Driver     string
	Labels     map[string]string
	Mountpoint string
	Name       string
	Options    map[string]string
	Scope      string
}

func (e *Engine) volumeFile(name string) string {
	return filepath.Join(e.cfg.Dir, "volumes", name, "volume.json")
}

func (e *Engine) volume(name string) (volume, error) {
	var v volume
	if !validName.MatchString(name) {
		return v, api.NotFound("get %s: no such volume", name)
	}
	b, err := os.ReadFile(e.volumeFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return v, api.NotFound("get %s: no such volume", name)
	}
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		return v, fmt.Errorf("volume %s: %w", name, err)
	}
	return v, nil
}

// makeVolume makes a volume, or returns the one of that name.
func (e *Engine) makeVolume(name string, labels map[string]string) (volume, error) {
	if !validName.MatchString(name) {
		return volume{}, api.BadRequest("create %s: \"%s\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed", name, name)
	}
	if v, err := e.volume(name); err == nil {
		return v, nil
	}
	v := volume{
		CreatedAt: time.Now().UTC().Format(time.RFC3339), Driver: "local", Labels: labels, Name: name,
		Mountpoint: "/" + e.inMachine("volumes", name, "_data"), Scope: "local",
	}
	b, err := json.Marshal(v)
	if err == nil {
		err = os.MkdirAll(filepath.Join(filepath.Dir(e.volumeFile(name)), "_data"), 0o755)
	}
	if err == nil {
		err = atomicfile.Write(e.volumeFile(name), b, 0o600)
	}
	if err != nil {
		return volume{}, fmt.Errorf("create volume %s: %w", name, err)
	}
	e.bus.Publish("volume", "create", name, map[string]string{"driver": "local"})
	return v, nil
}

// volumes lists all, by name.
func (e *Engine) volumes() ([]volume, error) {
	entries, err := os.ReadDir(filepath.Join(e.cfg.Dir, "volumes"))
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	list := []volume{}
	for _, entry := range entries {
		if v, err := e.volume(entry.Name()); err == nil {
			list = append(list, v)
		}
	}
	return list, nil
}

// users are the containers that mount a volume.
func (e *Engine) users(name string) []string {
	var ids []string
	for _, c := range e.all() {
		if slices.ContainsFunc(c.snapshot().Mounts, func(m api.MountPoint) bool { return m.Type == "volume" && m.Name == name }) {
			ids = append(ids, c.id())
		}
	}
	return ids
}

func (e *Engine) removeVolume(name string) error {
	if _, err := e.volume(name); err != nil {
		return err
	}
	if users := e.users(name); len(users) > 0 {
		return api.Conflict("remove %s: volume is in use - %v", name, users)
	}
	if err := e.tree.RemoveAll(e.inMachine("volumes", name)); err != nil {
		return err
	}
	e.bus.Publish("volume", "destroy", name, map[string]string{"driver": "local"})
	return nil
}

func (e *Engine) volumeList(w http.ResponseWriter, r *http.Request, _ vars) error {
	f, err := api.ParseFilters(r.FormValue("filters"), "dangling", "driver", "label", "name")
	if err != nil {
		return err
	}
	all, err := e.volumes()
	if err != nil {
		return err
	}
	list := []volume{}
	for _, v := range all {
		dangling := !f.Has("dangling") || f.Any("dangling", func(want string) bool { return api.Bool(want) == (len(e.users(v.Name)) == 0) })
		if dangling && f.Exact("driver", v.Driver) && f.Labels("label", v.Labels) && f.Pattern("name", v.Name) {
			list = append(list, v)
		}
	}
	return writeJSON(w, http.StatusOK, map[string]any{"Volumes": list, "Warnings": nil})
}

func (e *Engine) volumeCreate(w http.ResponseWriter, r *http.Request, _ vars) error {
	var req struct {
		Name, Driver string
		Labels       map[string]string
	}
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if req.Driver != "" && req.Driver != "local" {
		return api.NotFound("create %s: plugin \"%s\" not found", req.Name, req.Driver)
	}
	if req.Name == "" {
		req.Name = newID()
		req.Labels = mergeLabel(req.Labels, anonymousLabel)
	}
	v, err := e.makeVolume(req.Name, req.Labels)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, v)
}

func mergeLabel(labels map[string]string, key string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = ""
	return labels
}

func (e *Engine) volumeInspect(w http.ResponseWriter, _ *http.Request, v vars) error {
	vol, err := e.volume(v["name"])
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, vol)
}

func (e *Engine) volumeRemove(w http.ResponseWriter, r *http.Request, v vars) error {
	err := e.removeVolume(v["name"])
	if gone := statusOf(err) == http.StatusNotFound; gone && api.Bool(r.FormValue("force")) {
		err = nil
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// volumePrune removes unused volumes: anonymous ones, or all with the filter
// all=true.
func (e *Engine) volumePrune(w http.ResponseWriter, r *http.Request, _ vars) error {
	f, err := api.ParseFilters(r.FormValue("filters"), "label", "label!", "all")
	if err != nil {
		return err
	}
	list, err := e.volumes()
	if err != nil {
		return err
	}
	every := f.Has("all") && f.Any("all", api.Bool)
	deleted, freed := []string{}, int64(0)
	for _, v := range list {
		_, anonymous := v.Labels[anonymousLabel]
		if !every && !anonymous || !f.Labels("label", v.Labels) || len(e.users(v.Name)) > 0 {
			continue
		}
		size := e.tree.Size(e.inMachine("volumes", v.Name, "_data"))
		if e.removeVolume(v.Name) == nil {
			deleted, freed = append(deleted, v.Name), freed+size
		}
	}
	return writeJSON(w, http.StatusOK, map[string]any{"VolumesDeleted": deleted, "SpaceReclaimed": freed})
}
