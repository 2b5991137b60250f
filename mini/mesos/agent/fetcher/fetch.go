package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Fetcher fetches. Safe for concurrent use.
type Fetcher struct {
	// Client is used for http and https.
	Client *http.Client
	// Open opens a file of the machine by its absolute, clean path.
	Open func(name string) (*os.File, error)
	// Home is what relative paths are relative to (--frameworks_home); "" refuses
	// them.
	Home string
	// Cache may be nil: then everything goes directly to the sandbox.
	Cache *Cache
}

// Job is what one container wants.
type Job struct {
	URIs []mesos.CommandInfo_URI
	// Sandbox is an existing folder, a path of this process.
	Sandbox string
	// Shown is what the log calls the sandbox; "" is its path.
	Shown string
	// User divides the cache.
	User string
	// Log gets a line for every step, as the real fetcher writes to the sandbox's
	// stderr.
	Log io.Writer
}

// Validate says what is wrong with URIs before anything is fetched.
func Validate(uris []mesos.CommandInfo_URI) error {
	for _, u := range uris {
		if _, err := name(u); err != nil {
			return fmt.Errorf("could not fetch: %w", err)
		}
	}
	return nil
}

// name is what the copy in the sandbox is called.
func name(u mesos.CommandInfo_URI) (string, error) {
	base, err := basename(u.Value)
	if err != nil || u.OutputFile == nil {
		return base, err
	}
	out := *u.OutputFile
	switch {
	case strings.ContainsAny(out, "\\'\x00"):
		return "", fmt.Errorf("illegal characters in URI output file %q", out)
	case out == "":
		return "", errors.New("URI output file path is empty")
	case !filepath.IsLocal(out) || path.Clean(out) == ".":
		return "", fmt.Errorf("URI output file must be within the sandbox directory, not %q", out)
	}
	return path.Clean(out), nil
}

// basename is what follows the last slash, query and all, as the real one has it.
func basename(uri string) (string, error) {
	if strings.ContainsAny(uri, "\\'\x00") {
		return "", fmt.Errorf("illegal characters in URI %q", uri)
	}
	uri = strings.TrimLeft(uri, " \t\r\n")
	rest := uri
	if i := strings.Index(uri, "://"); i > 1 {
		rest = uri[i+3:]
		if _, file, ok := strings.Cut(rest, "/"); !ok || file == "" {
			return "", fmt.Errorf("malformed URI (missing path): %s", uri)
		}
	}
	base := rest[strings.LastIndexByte(rest, '/')+1:]
	if base == "" || base == "." || base == ".." {
		return "", fmt.Errorf("malformed URI (it names no file): %s", uri)
	}
	return base, nil
}

// Fetch brings all URIs, one after the other. The error is for the job's Log
// already.
func (f *Fetcher) Fetch(ctx context.Context, j Job) error {
	root, err := os.OpenRoot(j.Sandbox)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, u := range j.URIs {
		j.logf("I", "Fetching URI '%s'", u.Value)
		if err := f.fetch(ctx, j, root, u); err != nil {
			err = fmt.Errorf("failed to fetch '%s': %w", u.Value, err)
			text := err.Error()
			j.logf("E", "%s", strings.ToUpper(text[:1])+text[1:])
			return err
		}
	}
	return nil
}

func (j Job) logf(level, format string, args ...any) {
	if j.Log != nil {
		fmt.Fprintf(j.Log, "%s%s fetcher] %s\n", level, time.Now().Format("0102 15:04:05.000000"), fmt.Sprintf(format, args...))
	}
}

func (f *Fetcher) fetch(ctx context.Context, j Job, root *os.Root, u mesos.CommandInfo_URI) error {
	to, err := name(u)
	if err != nil {
		return err
	}
	if dir := path.Dir(to); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("unable to create subdirectory %s in sandbox: %w", dir, err)
		}
	}
	if u.GetCache() && f.Cache != nil {
		done, err := f.throughCache(ctx, j, root, u, to)
		if done || err != nil {
			return err
		}
	}
	j.logf("I", "Fetching directly into the sandbox directory")
	if err := f.bring(ctx, j, root, u.Value, to); err != nil {
		return err
	}
	return finish(ctx, j, root, u, to)
}

// bring puts the content of a URI into a file of root.
func (f *Fetcher) bring(ctx context.Context, j Job, root *os.Root, uri, to string) error {
	from, err := f.source(ctx, uri)
	if err != nil {
		return err
	}
	defer from.Close()
	j.logf("I", "Downloading resource from '%s' to '%s'", uri, to)
	return write(ctx, root, to, from, 0o644)
}

// write replaces a file of root. Something there that is no regular file is
// removed before, so that nothing is written through it.
func write(ctx context.Context, root *os.Root, to string, from io.Reader, mode os.FileMode) error {
	if i, err := root.Lstat(to); err == nil && !i.Mode().IsRegular() {
		if i.IsDir() {
			return fmt.Errorf("write %s: it is a folder", to)
		}
		if err := root.Remove(to); err != nil {
			return err
		}
	}
	out, err := root.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, reader{ctx, from})
	return errors.Join(err, out.Close())
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// finish does what a URI's flags say to the file that was brought.
func finish(ctx context.Context, j Job, root *os.Root, u mesos.CommandInfo_URI, file string) error {
	switch {
	case u.GetExecutable():
		return root.Chmod(file, 0o755)
	case !u.GetExtract():
		return nil
	}
	in, err := root.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	return extract(ctx, j, root, in, file)
}

// throughCache takes a URI from the cache, where it is brought if it is not
// there. done false means that the cache could not have it: it did not fit, or
// its download failed.
func (f *Fetcher) throughCache(ctx context.Context, j Job, root *os.Root, u mesos.CommandInfo_URI, to string) (done bool, err error) {
	e, err := f.Cache.get(ctx, j.User, u.Value, func(dir *os.Root, name string) error {
		j.logf("I", "Downloading into cache")
		return f.bring(ctx, j, dir, u.Value, name)
	})
	if err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		j.logf("W", "Reverting to fetching directly into the sandbox for '%s', due to failure to fetch through the cache, with error: %v", u.Value, err)
		return false, nil
	}
	defer f.Cache.release(e)
	j.logf("I", "Fetching from cache")
	in, err := f.Cache.open(e)
	if err != nil {
		return false, err
	}
	defer in.Close()
	if !u.GetExecutable() && u.GetExtract() && archive(e.name) {
		return true, extract(ctx, j, root, in, e.name)
	}
	if err := write(ctx, root, to, in, 0o644); err != nil {
		return true, err
	}
	if u.GetExecutable() {
		return true, root.Chmod(to, 0o755)
	}
	return true, nil
}

// source opens what a URI leads to.
func (f *Fetcher) source(ctx context.Context, uri string) (io.ReadCloser, error) {
	uri = strings.TrimLeft(uri, " \t\r\n")
	if file, local, err := f.localPath(uri); local || err != nil {
		if err != nil {
			return nil, err
		}
		h, err := f.Open(file)
		if err != nil {
			return nil, fmt.Errorf("failed to copy '%s': %w", file, err)
		}
		if i, err := h.Stat(); err != nil || !i.Mode().IsRegular() {
			h.Close()
			return nil, errors.Join(fmt.Errorf("failed to copy '%s': it is no regular file", file), err)
		}
		return h, nil
	}
	if !strings.HasPrefix(uri, "http://") && !strings.HasPrefix(uri, "https://") {
		scheme, _, _ := strings.Cut(uri, "://")
		return nil, fmt.Errorf("failed to create HDFS client: this agent has none for %s URIs, only http, https and file", scheme)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, fmt.Errorf("error downloading resource: %w", err)
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("error downloading resource: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("error downloading resource, received HTTP return code %d", resp.StatusCode)
	}
	return resp.Body, nil
}

// localPath says whether a URI means a file of the machine, and which.
func (f *Fetcher) localPath(uri string) (file string, local bool, err error) {
	if !strings.HasPrefix(uri, "file://") && strings.Contains(uri, "://") {
		return "", false, nil
	}
	file, isURI := strings.CutPrefix(uri, "file://localhost")
	if !isURI {
		file, isURI = strings.CutPrefix(uri, "file://")
	}
	switch {
	case path.IsAbs(file):
	case isURI:
		return "", true, errors.New("file URI only supports absolute paths")
	case f.Home == "":
		return "", true, errors.New("a relative path was passed for the resource but the Mesos framework home was not specified. " +
			"Please either provide this config option or avoid using a relative path")
	default:
		file = f.Home + "/" + file
	}
	return path.Clean("/" + file), true, nil
}
