package engine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// pathStat is what the header X-Docker-Container-Path-Stat holds.
type pathStat struct {
	Name       string      `json:"name"`
	Size       int64       `json:"size"`
	Mode       fs.FileMode `json:"mode"`
	Mtime      string      `json:"mtime"`
	LinkTarget string      `json:"linkTarget"`
}

// mountTargets are the container paths whose links stand for mounts.
func (r record) mountTargets() []string {
	var list []string
	for _, m := range r.Mounts {
		list = append(list, m.Destination)
	}
	return list
}

// describe looks at a path of a container and sets the header.
func (e *Engine) describe(w http.ResponseWriter, r *http.Request, v vars) (*container, string, error) {
	c, err := e.find(v["id"])
	if err != nil {
		return nil, "", err
	}
	name := r.FormValue("path")
	if name == "" {
		return nil, "", api.BadRequest("missing parameter: 'path' cannot be empty")
	}
	mounted := slices.Contains(c.snapshot().mountTargets(), path.Clean("/"+name))
	fi, target, err := e.tree.Stat(c.root(), name, mounted || strings.HasSuffix(name, "/."))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", api.NotFound("Could not find the file %s in container %s", name, v["id"])
	}
	if err != nil {
		return nil, "", api.BadRequest("%s: %v", name, err)
	}
	stat := pathStat{
		Name: path.Base(path.Clean("/" + name)), Size: fi.Size(), Mode: fi.Mode(), Mtime: api.FormatTime(fi.ModTime()), LinkTarget: target,
	}
	b, err := json.Marshal(stat)
	if err != nil {
		return nil, "", err
	}
	w.Header().Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString(b))
	return c, name, nil
}

func (e *Engine) archiveStat(w http.ResponseWriter, r *http.Request, v vars) error {
	if _, _, err := e.describe(w, r, v); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (e *Engine) archiveGet(w http.ResponseWriter, r *http.Request, v vars) error {
	c, name, err := e.describe(w, r, v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	w.WriteHeader(http.StatusOK)
	return e.tree.Pack(w, c.root(), name, c.snapshot().mountTargets())
}

func (e *Engine) archivePut(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	name := r.FormValue("path")
	fi, _, err := e.tree.Stat(c.root(), name, true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return api.NotFound("Could not find the file %s in container %s", name, v["id"])
	case err != nil:
		return api.BadRequest("%s: %v", name, err)
	case !fi.IsDir():
		return api.BadRequest("extraction point is not a directory")
	}
	if err := e.tree.Unpack(r.Body, c.root(), name); err != nil {
		return api.BadRequest("%v", err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
