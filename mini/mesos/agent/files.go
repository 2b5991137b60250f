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

// logName is the virtual path of the agent's log, where it keeps one.
const logName = "/slave/log"

// attached are the virtual paths that /files shows, with where each really is,
// as the container sees paths: the sandboxes of all tasks that the agent
// remembers, and its log.
func (a *agent) attached() map[string]string {
	out := map[string]string{}
	for _, t := range a.tasks {
		out[t.sandbox] = t.sandbox
	}
	add := func(f *framework) {
		for _, t := range f.completed {
			out[t.sandbox] = t.sandbox
		}
	}
	for _, f := range a.frameworks {
		add(f)
	}
	for _, f := range a.done {
		add(f)
	}
	if a.log.file != "" {
		out[logName] = a.log.file
	}
	return out
}

func (a *agent) attachedFiles() any {
	o := mjson.Object{}
	for name, real := range a.attached() {
		o = o.Put(name, real)
	}
	slices.SortFunc(o, func(x, y mjson.Member) int { return strings.Compare(x.Key, y.Key) })
	return o
}

// file is something below a virtual path: name in root, which no link leads
// out of.
type file struct {
	root       *os.Root
	name, full string
}

var errNoFile = &refusal{status: http.StatusNotFound}

// find opens the folder of the virtual path that full lies in.
func (a *agent) find(full string) (file, error) {
	if full == "" {
		return file{}, &refusal{http.StatusBadRequest, "Expecting 'path=value' in query.\n"}
	}
	full = path.Clean(full)
	var names map[string]string
	if !a.ask(func() { names = a.attached() }) {
		return file{}, terminating()
	}
	for name, real := range names {
		rest, ok := strings.CutPrefix(full, name)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		dir, inside := real, "."+rest
		if name == logName {
			dir, inside = path.Dir(real), path.Base(real)+rest
		}
		root, err := os.OpenRoot(a.env.Path(dir))
		if err != nil {
			return file{}, errNoFile
		}
		return file{root, path.Clean(inside), full}, nil
	}
	return file{}, errNoFile
}

// listing is a folder's entries with their virtual paths, in order. As with
// the real one a file has none.
func (f file) listing() ([]fs.FileInfo, error) {
	i, err := f.root.Stat(f.name)
	if err != nil {
		return nil, errNoFile
	}
	if !i.IsDir() {
		return nil, nil
	}
	entries, err := fs.ReadDir(f.root.FS(), f.name)
	if err != nil {
		return nil, errNoFile
	}
	var out []fs.FileInfo
	for _, e := range entries {
		// Links are followed, and those that lead out, or nowhere, not shown.
		if i, err := f.root.Stat(path.Join(f.name, e.Name())); err == nil {
			out = append(out, named{i, e.Name()})
		}
	}
	return out, nil
}

type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

// browse lists a folder of a sandbox.
func (a *agent) browse(w http.ResponseWriter, r *http.Request) {
	f, ok := a.requested(w, r)
	if !ok {
		return
	}
	defer f.root.Close()
	list, err := f.listing()
	if err != nil {
		refuse(w, errNoFile)
		return
	}
	out := []mjson.Object{}
	for _, i := range list {
		o := ownerOf(i)
		out = append(out, mjson.Object{}.Put("gid", o.group).Put("mode", modeText(i.Mode())).
			Put("mtime", float64(i.ModTime().Unix())).Put("nlink", o.links).
			Put("path", path.Join(f.full, i.Name())).Put("size", i.Size()).Put("uid", o.user))
	}
	reply(w, r, out)
}

// requested finds what ?path= names, or answers the request.
func (a *agent) requested(w http.ResponseWriter, r *http.Request) (file, bool) {
	f, err := a.find(r.URL.Query().Get("path"))
	if err != nil {
		refuse(w, asRefusal(err))
		return f, false
	}
	return f, true
}

// modeText prints a mode as ls -l does.
func modeText(m fs.FileMode) string {
	kind := "-"
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	case m&fs.ModeNamedPipe != 0:
		kind = "p"
	case m&fs.ModeSocket != 0:
		kind = "s"
	}
	return kind + m.Perm().String()[1:]
}

// read gives a page of a file: ?offset= and ?length=; offset -1 asks for the
// size. length -1 is what the real one's pages send for "as much as you give".
func (a *agent) read(w http.ResponseWriter, r *http.Request) {
	f, ok := a.requested(w, r)
	if !ok {
		return
	}
	defer f.root.Close()
	offset, err := queryNumber(r, "offset", -1)
	var length int64
	if err == nil {
		length, err = queryNumber(r, "length", -1)
	}
	var size int64
	var data []byte
	if err == nil {
		size, data, err = f.page(offset, length)
	}
	if err != nil {
		refuse(w, asRefusal(err))
		return
	}
	if offset < 0 || offset > size {
		offset = size
	}
	reply(w, r, mjson.Object{}.Put("data", string(data)).Put("offset", offset))
}

// queryNumber reads an optional number that is at least -1.
func queryNumber(r *http.Request, key string, otherwise int64) (int64, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, &refusal{http.StatusBadRequest, fmt.Sprintf("Failed to parse %s: Failed to convert '%s' to number.\n", key, text)}
	case n < -1:
		return 0, &refusal{http.StatusBadRequest, fmt.Sprintf("Negative %s provided: %d.\n", key, n)}
	}
	return n, nil
}

// page reads at most length bytes (-1: no limit but pageLimit) from offset on,
// and tells the whole size. Past the end, and from -1, there is nothing.
func (f file) page(offset, length int64) (size int64, data []byte, err error) {
	i, err := f.root.Stat(f.name)
	switch {
	case err != nil:
		return 0, nil, errNoFile
	case i.IsDir():
		return 0, nil, &refusal{http.StatusBadRequest, "Cannot read a directory.\n"}
	case !i.Mode().IsRegular(): // a pipe would block
		return 0, nil, &refusal{http.StatusBadRequest, "Cannot read what is no regular file.\n"}
	}
	if size = i.Size(); offset < 0 || offset >= size {
		return size, nil, nil
	}
	h, err := f.root.Open(f.name)
	if err != nil {
		return 0, nil, &refusal{http.StatusInternalServerError, "Failed to open file at '" + f.full + "': " + err.Error() + ".\n"}
	}
	defer h.Close()
	if length < 0 || length > pageLimit {
		length = pageLimit
	}
	data, err = io.ReadAll(io.NewSectionReader(h, offset, length))
	if err != nil {
		return 0, nil, &refusal{http.StatusInternalServerError, "Failed to read file at '" + f.full + "': " + err.Error() + ".\n"}
	}
	return size, data, nil
}

// download gives a whole file.
func (a *agent) download(w http.ResponseWriter, r *http.Request) {
	f, ok := a.requested(w, r)
	if !ok {
		return
	}
	defer f.root.Close()
	i, err := f.root.Stat(f.name)
	switch {
	case err != nil:
		refuse(w, errNoFile)
		return
	case i.IsDir():
		refuse(w, &refusal{http.StatusBadRequest, "Cannot download a directory.\n"})
		return
	case !i.Mode().IsRegular():
		refuse(w, &refusal{http.StatusBadRequest, "Cannot download what is no regular file.\n"})
		return
	}
	h, err := f.root.Open(f.name)
	if err != nil {
		refuse(w, errNoFile)
		return
	}
	defer h.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", path.Base(f.full)))
	http.ServeContent(w, r, "", time.Time{}, h)
}

// unixMode is a mode as stat(2) has it.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	switch {
	case m.IsDir():
		return mode | 0o040000
	case m&fs.ModeNamedPipe != 0:
		return mode | 0o010000
	case m&fs.ModeSocket != 0:
		return mode | 0o140000
	}
	return mode | 0o100000
}
