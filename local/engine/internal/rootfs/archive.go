package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Stat describes a container path. With follow the last element's link is
// followed (a mount point), else it is described itself.
func (t *Tree) Stat(rootfs, p string, follow bool) (fs.FileInfo, string, error) {
	name := in(rootfs, p)
	if follow || strings.HasSuffix(p, "/") {
		fi, err := t.root.Stat(name)
		return fi, "", err
	}
	fi, err := t.root.Lstat(name)
	if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		return fi, "", err
	}
	target, err := t.root.Readlink(name)
	return fi, target, err
}

// Pack writes a container path as a tar stream whose top entry has the path's
// last element as its name. mounts are the container paths whose links are
// followed. Sockets and devices are left out.
func (t *Tree) Pack(w io.Writer, rootfs, p string, mounts []string) error {
	clean := path.Clean("/" + p)
	top := path.Base(clean)
	if top == "/" {
		top = "."
	}
	k := packer{tree: t, w: tar.NewWriter(w), mounts: map[string]bool{}}
	for _, m := range mounts {
		k.mounts[in(rootfs, m)] = true
	}
	if strings.HasSuffix(p, "/.") {
		k.mounts[in(rootfs, clean)] = true
	}
	if err := k.add(in(rootfs, clean), top); err != nil {
		return fmt.Errorf("pack %s: %w", clean, err)
	}
	return k.w.Close()
}

type packer struct {
	tree   *Tree
	w      *tar.Writer
	mounts map[string]bool
}

func (k packer) add(name, as string) error {
	stat := k.tree.root.Lstat
	if k.mounts[name] {
		stat = k.tree.root.Stat
	}
	fi, err := stat(name)
	if err != nil {
		return err
	}
	link := ""
	switch m := fi.Mode(); {
	case m&fs.ModeSymlink != 0:
		if link, err = k.tree.root.Readlink(name); err != nil {
			return err
		}
	case !m.IsRegular() && !m.IsDir():
		return nil
	}
	h, err := tar.FileInfoHeader(fi, link)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = as, 0, 0, "root", "root"
	if fi.IsDir() {
		h.Name += "/"
	}
	if err := k.w.WriteHeader(h); err != nil {
		return err
	}
	if fi.IsDir() {
		for _, e := range k.tree.list(name) {
			err := k.add(path.Join(name, e.Name()), as+"/"+e.Name())
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	if !fi.Mode().IsRegular() {
		return nil
	}
	f, err := k.tree.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	// A log that grows meanwhile must not be longer than its header says.
	_, err = io.CopyN(k.w, f, h.Size)
	return err
}

// Unpack extracts a tar stream into a directory of the container. Absolute
// links become relative ones that mean the same inside the container.
func (t *Tree) Unpack(r io.Reader, rootfs, dir string) error {
	base := in(rootfs, dir)
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if err := t.extract(in, h, rootfs, base); err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
}

func (t *Tree) extract(r io.Reader, h *tar.Header, rootfs, base string) error {
	name := path.Join(base, path.Clean("/"+h.Name))
	if name == base && h.Typeflag == tar.TypeDir {
		return nil
	}
	if err := t.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return t.root.MkdirAll(name, fs.FileMode(h.Mode).Perm())
	case tar.TypeSymlink:
		target := h.Linkname
		if path.IsAbs(target) {
			depth := strings.Count(strings.TrimPrefix(name, rootfs+"/"), "/")
			target = strings.Repeat("../", depth) + machine(target)
		}
		if err := t.root.RemoveAll(name); err != nil {
			return err
		}
		return t.root.Symlink(target, name)
	case tar.TypeReg:
		return t.write(r, name, fs.FileMode(h.Mode).Perm())
	}
	return fmt.Errorf("a %q entry cannot be unpacked here", h.Typeflag)
}

func (t *Tree) write(r io.Reader, name string, mode fs.FileMode) error {
	if fi, err := t.root.Lstat(name); err == nil {
		if fi.IsDir() {
			return errors.New("cannot overwrite a directory with a file")
		}
		if err := t.root.Remove(name); err != nil {
			return err
		}
	}
	f, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
