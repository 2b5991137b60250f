package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/imagetar"
)

// Archive is a file that docker load takes.
type Archive struct {
	Path   string
	Size   int64  // bytes of the file
	SHA256 string // of the file, hex
	// Unpacked is about what an engine needs for its images, in bytes.
	Unpacked int64
	Images   []Entry
}

// Entry is one image of an archive.
type Entry = imagetar.Entry

// find returns the entry that a reference names.
func (a *Archive) find(ref string) (Entry, bool) {
	if a == nil {
		return Entry{}, false
	}
	i := slices.IndexFunc(a.Images, func(e Entry) bool {
		return slices.ContainsFunc(e.Refs, func(r string) bool { return same(r, ref) })
	})
	if i < 0 {
		return Entry{}, false
	}
	return a.Images[i], true
}

// Refs lists all names of all images.
func (a *Archive) Refs() []string {
	var out []string
	for _, e := range a.Images {
		out = append(out, e.Refs...)
	}
	slices.Sort(out)
	return out
}

// digest is the label of the images if all show the same, else "".
func (a *Archive) digest() string {
	d := a.Images[0].Digest
	for _, e := range a.Images {
		if e.Digest != d {
			return ""
		}
	}
	return d
}

// Open reads an archive to its end and checks that it is one: made by docker
// save or lab images save, plain or compressed by gzip or bzip2, for Linux.
// said, which may be nil, is told how far it is. What is wrong with the file is
// an error with the id archive-invalid.
func Open(ctx context.Context, file string, said func(string)) (*Archive, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &lab.Error{ID: "archive-invalid", Op: "read images", Err: wrong{err},
			Advice: "give the path of a file made by lab images save or docker save"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read images: %w", err)
	}
	a := &Archive{Path: file, Size: info.Size()}
	hash := sha256.New()
	told := meter{total: info.Size(), said: said, doing: "reading"}
	in := io.TeeReader(&ctxReader{ctx, f}, io.MultiWriter(hash, &told))
	if a.Images, a.Unpacked, err = imagetar.Scan(in); err == nil {
		_, err = io.Copy(io.Discard, in) // the digest is the whole file's
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &lab.Error{ID: "archive-invalid", Op: "read images in " + file, Err: wrong{err},
			Advice: "the file must be one that lab images save or docker save has written, whole; nothing was changed"}
	}
	a.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return a, nil
}

// ctxReader ends with its context.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
