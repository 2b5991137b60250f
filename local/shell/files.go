package shell

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

// Files is a tree of files below an os.Root, named by absolute slash paths
// whose "/" is Base. Paths are taken lexically, as a shell's logical pwd
// does: ".." never leads above "/".
type Files struct {
	Root *os.Root
	Base string
}

// name maps an absolute path to what os.Root takes.
func (f Files) name(p string) string {
	n := path.Join(f.Base, path.Clean("/"+p))
	n = strings.TrimPrefix(path.Clean("/"+n), "/")
	if n == "" {
		return "."
	}
	return n
}

// wrong turns an error's path into the one that was asked for.
func wrong(op, p string, err error) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return &fs.PathError{Op: op, Path: p, Err: err}
}

// OpenFile is os.OpenFile.
func (f Files) OpenFile(p string, flag int, perm fs.FileMode) (*os.File, error) {
	file, err := f.Root.OpenFile(f.name(p), flag, perm)
	return file, wrong("open", p, err)
}

// Open is os.Open.
func (f Files) Open(p string) (*os.File, error) { return f.OpenFile(p, os.O_RDONLY, 0) }

// ReadFile is os.ReadFile.
func (f Files) ReadFile(p string) ([]byte, error) {
	text, err := f.Root.ReadFile(f.name(p))
	return text, wrong("open", p, err)
}

// Stat is os.Stat.
func (f Files) Stat(p string) (fs.FileInfo, error) {
	i, err := f.Root.Stat(f.name(p))
	return named{i, path.Base(p)}.or(wrong("stat", p, err))
}

// Lstat is os.Lstat.
func (f Files) Lstat(p string) (fs.FileInfo, error) {
	i, err := f.Root.Lstat(f.name(p))
	return named{i, path.Base(p)}.or(wrong("lstat", p, err))
}

// named gives "/" its name back, which below a root is ".".
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

func (n named) or(err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	if n.FileInfo.Name() != "." {
		return n.FileInfo, nil
	}
	return n, nil
}

// ReadDir is os.ReadDir.
func (f Files) ReadDir(p string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.Root.FS(), f.name(p))
	return entries, wrong("open", p, err)
}

// Mkdir is os.Mkdir, MkdirAll os.MkdirAll.
func (f Files) Mkdir(p string, perm fs.FileMode) error {
	return wrong("mkdir", p, f.Root.Mkdir(f.name(p), perm))
}

// MkdirAll is os.MkdirAll.
func (f Files) MkdirAll(p string, perm fs.FileMode) error {
	return wrong("mkdir", p, f.Root.MkdirAll(f.name(p), perm))
}

// Remove removes a file or an empty directory, never "/".
func (f Files) Remove(p string) error {
	if path.Clean("/"+p) == "/" {
		return wrong("remove", p, syscall.EBUSY)
	}
	return wrong("remove", p, f.Root.Remove(f.name(p)))
}

// RemoveAll removes a tree, never "/".
func (f Files) RemoveAll(p string) error {
	if path.Clean("/"+p) == "/" {
		return wrong("remove", p, syscall.EBUSY)
	}
	return wrong("remove", p, f.Root.RemoveAll(f.name(p)))
}

// Rename is os.Rename.
func (f Files) Rename(from, to string) error {
	return wrong("rename", from, f.Root.Rename(f.name(from), f.name(to)))
}

// Link makes a hard link.
func (f Files) Link(from, to string) error {
	return wrong("link", to, f.Root.Link(f.name(from), f.name(to)))
}

// Symlink makes a symbolic link at p. What target means to somebody inside
// decides: absolute targets, and those that climb above "/", are written as
// the relative path to the same place.
func (f Files) Symlink(target, p string) error {
	p = path.Clean("/" + p)
	return wrong("symlink", p, f.Root.Symlink(inside(target, path.Dir(p)), f.name(p)))
}

func inside(target, dir string) string {
	if !path.IsAbs(target) && !climbs(target, dir) {
		return target
	}
	if !path.IsAbs(target) {
		target = path.Join(dir, target)
	}
	return relative(dir, path.Clean("/"+target))
}

// climbs reports whether a relative target leads above "/" from dir.
func climbs(target, dir string) bool {
	depth := 0
	if dir != "/" {
		depth = strings.Count(dir, "/")
	}
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// relative returns the path from the directory dir to p, both absolute.
func relative(dir, p string) string {
	from := strings.FieldsFunc(dir, isSlash)
	to := strings.FieldsFunc(p, isSlash)
	for len(from) > 0 && len(to) > 0 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	parts := append(strings.Fields(strings.Repeat(".. ", len(from))), to...)
	if len(parts) == 0 {
		return "."
	}
	return strings.Join(parts, "/")
}

func isSlash(r rune) bool { return r == '/' }

// Readlink is os.Readlink.
func (f Files) Readlink(p string) (string, error) {
	target, err := f.Root.Readlink(f.name(p))
	return target, wrong("readlink", p, err)
}

// words says an error as the C library does: "No such file or directory".
func words(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	text := err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text = errno.Error()
	} else if strings.Contains(text, "escapes from parent") {
		text = "permission denied"
	} else if errors.Is(err, fs.ErrNotExist) {
		text = "no such file or directory"
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// Chmod is os.Chmod.
func (f Files) Chmod(p string, mode fs.FileMode) error {
	return wrong("chmod", p, f.Root.Chmod(f.name(p), mode))
}

// Chtimes is os.Chtimes.
func (f Files) Chtimes(p string, access, modified time.Time) error {
	return wrong("chtimes", p, f.Root.Chtimes(f.name(p), access, modified))
}
