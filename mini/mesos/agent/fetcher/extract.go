package fetcher

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/therootcompany/xz"
)

// kinds are the endings of archives; the first that fits counts.
var kinds = []struct {
	ending string
	unpack func(ctx context.Context, root *os.Root, in *os.File, file string) error
}{
	{".tar", untar(plain)},
	{".tgz", untar(gunzip)}, {".tar.gz", untar(gunzip)},
	{".tbz2", untar(bunzip)}, {".tar.bz2", untar(bunzip)},
	{".txz", untar(unxz)}, {".tar.xz", untar(unxz)},
	{".gz", func(ctx context.Context, root *os.Root, in *os.File, file string) error {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		return write(ctx, root, strings.TrimSuffix(path.Base(file), ".gz"), z, 0o644)
	}},
	{".zip", unzip},
}

func archive(file string) bool {
	for _, k := range kinds {
		if strings.HasSuffix(file, k.ending) {
			return true
		}
	}
	return false
}

// extract unpacks an archive into root. file is its name, which says what it is;
// what is none is left as it is.
func extract(ctx context.Context, j Job, root *os.Root, in *os.File, file string) error {
	for _, k := range kinds {
		if !strings.HasSuffix(file, k.ending) || strings.TrimSuffix(path.Base(file), k.ending) == "" {
			continue
		}
		if err := k.unpack(ctx, root, in, file); err != nil {
			return fmt.Errorf("failed to extract '%s': %w", file, err)
		}
		j.logf("I", "Extracted '%s' into '%s'", file, cmp.Or(j.Shown, j.Sandbox))
		return nil
	}
	j.logf("W", "Copying instead of extracting resource from URI with 'extract' flag, because it does not seem to be an archive: %s", file)
	return nil
}

func plain(r io.Reader) (io.Reader, error)  { return r, nil }
func gunzip(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
func bunzip(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }

// dictionary bounds what an .xz archive may have allocated for its dictionary:
// it may announce up to 4 GiB, in a file of 100 bytes. xz -9 needs 64 MiB.
const dictionary = 64 << 20

func unxz(r io.Reader) (io.Reader, error) {
	z, err := xz.NewReader(r, dictionary)
	return bounded{z}, tooLarge(err)
}

// bounded says what is allowed when an archive wants a larger dictionary; each
// block of each stream may announce one of its own.
type bounded struct{ io.Reader }

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	return n, tooLarge(err)
}

func tooLarge(err error) error {
	if !errors.Is(err, xz.ErrMemlimit) {
		return err
	}
	return fmt.Errorf("it asks for a dictionary of more than %d MiB, the most that is allowed (xz -9 needs no more): %w", dictionary>>20, err)
}

func untar(open func(io.Reader) (io.Reader, error)) func(context.Context, *os.Root, *os.File, string) error {
	return func(ctx context.Context, root *os.Root, in *os.File, _ string) error {
		r, err := open(reader{ctx, in})
		if err != nil {
			return err
		}
		for t := tar.NewReader(r); ; {
			h, err := t.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
				return err
			}
			if err := member(ctx, root, h, t); err != nil {
				return err
			}
		}
	}
}

// member makes one entry of a tar archive. Names are taken as tar takes them:
// without a leading slash, and none with "..".
func member(ctx context.Context, root *os.Root, h *tar.Header, content io.Reader) error {
	to, err := inside(h.Name)
	if err != nil || to == "." {
		return err
	}
	mode := fs.FileMode(h.Mode) & 0o777
	if h.Typeflag == tar.TypeDir {
		return folder(root, to, mode)
	}
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return regular(ctx, root, to, content, mode)
	case tar.TypeSymlink:
		return link(root, to, h.Linkname)
	case tar.TypeLink:
		from, err := inside(h.Linkname)
		if err != nil {
			return err
		}
		if err := root.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Link(from, to)
	case tar.TypeXGlobalHeader:
		return nil
	}
	return fmt.Errorf("%s is neither file nor folder nor link", h.Name)
}

// inside is a name in an archive as one below the sandbox.
func inside(name string) (string, error) {
	if strings.ContainsAny(name, "\\\x00") {
		return "", fmt.Errorf("the name %q has illegal characters", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("the name %q leads out of the sandbox", name)
		}
	}
	return path.Clean("./" + strings.TrimLeft(name, "/")), nil
}

func folder(root *os.Root, name string, mode fs.FileMode) error {
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	return root.Chmod(name, mode|0o700) // what comes next is to be written into it
}

func regular(ctx context.Context, root *os.Root, to string, content io.Reader, mode fs.FileMode) error {
	if err := write(ctx, root, to, content, mode|0o600); err != nil {
		return err
	}
	return root.Chmod(to, mode|0o400)
}

// link makes a symbolic link that stays inside.
func link(root *os.Root, name, to string) error {
	if path.IsAbs(to) || !filepath.IsLocal(path.Join(path.Dir(name), to)) {
		return fmt.Errorf("the link %q to %q leads out of the sandbox", name, to)
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.Symlink(to, name)
}

// linkLimit bounds what is read of a zip member that is a link.
const linkLimit = 4096

func unzip(ctx context.Context, root *os.Root, in *os.File, _ string) error {
	i, err := in.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(in, i.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return err
	}
	for _, f := range z.File {
		if err := zipped(ctx, root, f); err != nil {
			return err
		}
	}
	return nil
}

func zipped(ctx context.Context, root *os.Root, f *zip.File) error {
	to, err := inside(f.Name)
	if err != nil || to == "." {
		return err
	}
	mode := f.Mode()
	if mode.IsDir() {
		return folder(root, to, mode.Perm())
	}
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	switch {
	case mode.IsRegular():
		return regular(ctx, root, to, content, mode.Perm()&^0o022) // archives from elsewhere say 666
	case mode&fs.ModeSymlink != 0:
		b, err := io.ReadAll(io.LimitReader(content, linkLimit))
		if err != nil {
			return err
		}
		return link(root, to, string(b))
	}
	return fmt.Errorf("%s is neither file nor folder nor link", f.Name)
}
