package images

import (
	"archive/tar"
	"fmt"
	"io"
	"strings"
	"time"
)

// epoch is the time of everything in our images: content, not the moment of
// its making, tells them apart.
var epoch = time.Unix(0, 0).UTC()

// Files that programs look for in every system. Docker itself brings
// /etc/hosts, /etc/hostname and /etc/resolv.conf.
const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
	group  = "root:x:0:\nnobody:x:65534:\n"
	// Without it the resolver of Go reads /etc/hosts first as well; this says so.
	nsswitch = "hosts: files dns\n"
)

// writeLayer writes the one layer of our images: the binary at /lab, as far
// as it is loaded, a /tmp for all, and the least of /etc. The same binary gives the same bytes.
func writeLayer(w io.Writer, binary string) error {
	f, length, err := loaded(binary)
	if err != nil {
		return err
	}
	defer f.Close()
	t := tar.NewWriter(w)
	dir := func(name string, mode int64) error {
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, ModTime: epoch, Format: tar.FormatUSTAR})
	}
	file := func(name string, mode, size int64, r io.Reader) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size, ModTime: epoch, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		n, err := io.Copy(t, io.LimitReader(r, size))
		if err == nil && n != size {
			err = fmt.Errorf("%s changed while it was read", binary)
		}
		return err
	}
	text := func(name, content string) error {
		return file(name, 0o644, int64(len(content)), strings.NewReader(content))
	}
	for _, err := range []error{
		dir("etc/", 0o755), text("etc/group", group), text("etc/nsswitch.conf", nsswitch), text("etc/passwd", passwd),
		file("lab", 0o755, length, f), dir("root/", 0o700), dir("tmp/", 0o1777),
	} {
		if err != nil {
			return err
		}
	}
	return t.Close()
}
