package agent

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// pageLimit is how much /files/read gives at once.
const pageLimit = 16 * 4096

// sandboxes are the folders that /files shows: those of all tasks that the
// agent remembers, as the container sees paths.
func (a *agent) sandboxes() []string {
	var out []string
	for _, t := range a.tasks {
		out = append(out, t.sandbox)
	}
	add := func(f *framework) {
		for _, t := range f.completed {
			out = append(out, t.sandbox)
		}
	}
	for _, f := range a.frameworks {
		add(f)
	}
	for _, f := range a.done {
		add(f)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (a *agent) attachedFiles() any {
	o := mjson.Object{}
	for _, dir := range a.sandboxes() {
		o = o.Put(dir, dir)
	}
	return o
}

// sandboxFile finds the sandbox that ?path= lies in and opens it as a root,
// which no link leads out of. It answers the request itself if it cannot.
func (a *agent) sandboxFile(w http.ResponseWriter, r *http.Request) (root *os.Root, name, full string, ok bool) {
	full = r.URL.Query().Get("path")
	if full == "" {
		http.Error(w, "Expecting 'path=value' in query.", http.StatusBadRequest)
		return nil, "", "", false
	}
	full = path.Clean(full)
	var dirs []string
	if !a.ask(func() { dirs = a.sandboxes() }) {
		http.Error(w, "the agent is terminating", http.StatusServiceUnavailable)
		return nil, "", "", false
	}
	i := slices.IndexFunc(dirs, func(d string) bool { return full == d || strings.HasPrefix(full, d+"/") })
	if i < 0 {
		w.WriteHeader(http.StatusNotFound)
		return nil, "", "", false
	}
	name = strings.TrimPrefix(strings.TrimPrefix(full, dirs[i]), "/")
	if name == "" {
		name = "."
	}
	root, err := os.OpenRoot(a.env.Path(dirs[i]))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return nil, "", "", false
	}
	return root, name, full, true
}

// browse lists a folder of a sandbox.
func (a *agent) browse(w http.ResponseWriter, r *http.Request) {
	root, name, full, ok := a.sandboxFile(w, r)
	if !ok {
		return
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), name)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	out := []mjson.Object{}
	for _, e := range entries {
		i, err := e.Info()
		if err != nil {
			continue // gone between the two looks
		}
		nlink := 1
		if i.IsDir() {
			nlink = 2
		}
		out = append(out, mjson.Object{}.Put("gid", "root").Put("mode", modeText(i.Mode())).
			Put("mtime", float64(i.ModTime().Unix())).Put("nlink", nlink).
			Put("path", path.Join(full, e.Name())).Put("size", i.Size()).Put("uid", "root"))
	}
	reply(w, r, out)
}

// modeText prints a mode as ls -l does.
func modeText(m fs.FileMode) string {
	kind := "-"
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	}
	return kind + m.Perm().String()[1:]
}

// read gives a page of a file: ?offset= and ?length=; offset -1 asks for the
// size.
func (a *agent) read(w http.ResponseWriter, r *http.Request) {
	number := func(key string, otherwise int64) (int64, error) {
		text := r.URL.Query().Get(key)
		if text == "" {
			return otherwise, nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < -1 {
			return 0, fmt.Errorf("failed to parse %s %q", key, text)
		}
		return n, nil
	}
	offset, err := number("offset", -1)
	length, err2 := number("length", pageLimit)
	if err == nil {
		err = err2
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	root, name, _, ok := a.sandboxFile(w, r)
	if !ok {
		return
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil || !i.Mode().IsRegular() {
		http.Error(w, "Cannot read from a directory.", http.StatusBadRequest)
		return
	}
	if offset < 0 {
		reply(w, r, mjson.Object{}.Put("data", "").Put("offset", i.Size()))
		return
	}
	if length < 0 || length > pageLimit {
		length = pageLimit
	}
	data, err := io.ReadAll(io.NewSectionReader(f, offset, length))
	if err != nil {
		http.Error(w, "Failed to read the file.", http.StatusInternalServerError)
		return
	}
	reply(w, r, mjson.Object{}.Put("data", string(data)).Put("offset", offset))
}

// download gives a whole file.
func (a *agent) download(w http.ResponseWriter, r *http.Request) {
	root, name, full, ok := a.sandboxFile(w, r)
	if !ok {
		return
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		http.Error(w, "Cannot download a directory.", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", path.Base(full)))
	http.ServeContent(w, r, path.Base(full), time.Time{}, f)
}
