package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pkg/sftp"
)

// sendBlock is how much Send has under way at once. Within a block writes are
// concurrent and may be confirmed in any order; a block begins when the one
// before is confirmed as a whole. So a file that was cut off has holes in its
// last block only.
const sendBlock = 8 << 20

// Send puts the size bytes of r into a file of the machine by SFTP, readable by
// the SSH user alone. Where the file exists, it is taken for the beginning of
// the same content, left by a Send that was cut off, and continued: give the
// file a name that tells the content (a digest), and check the whole on the
// machine. sent is told how many bytes are there, also when it begins; the last
// that it hears may not be confirmed yet.
func (h *Host) Send(ctx context.Context, name string, r io.ReaderAt, size int64, sent func(int64)) error {
	err := h.withSFTP(ctx, func(c *sftp.Client) error {
		f, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE)
		if err != nil {
			return err
		}
		err = send(f, r, size, sent)
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return fmt.Errorf("%s: send %s: %w", h.machine.Name, name, err)
	}
	return nil
}

// sendFile is what send needs of an SFTP file.
type sendFile interface {
	Stat() (os.FileInfo, error)
	Chmod(mode fs.FileMode) error
	Truncate(size int64) error
	Seek(offset int64, whence int) (int64, error)
	ReadFromWithConcurrency(r io.Reader, concurrency int) (int64, error)
}

func send(f sendFile, r io.ReaderAt, size int64, sent func(int64)) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	at := resumeAt(info.Size(), size)
	if at == 0 && info.Size() > 0 {
		if err := f.Truncate(0); err != nil {
			return err
		}
	}
	sent(at)
	for at < size {
		n := min(sendBlock, size-at)
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return err
		}
		block := &counted{r: io.NewSectionReader(r, at, n), at: at, sent: sent}
		wrote, err := f.ReadFromWithConcurrency(block, 0)
		if err == nil && wrote != n {
			err = io.ErrUnexpectedEOF // r is shorter than size
		}
		if err != nil {
			return err
		}
		at += n
	}
	return nil
}

// resumeAt is where to go on in a file of which have bytes are there: at the
// start of its last block, which may have holes. What is longer than the whole
// is something else.
func resumeAt(have, size int64) int64 {
	if have <= 0 || have > size {
		return 0
	}
	return (have - 1) / sendBlock * sendBlock
}

// counted tells how far it was read.
type counted struct {
	r    io.Reader
	at   int64
	sent func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.at += int64(n)
	c.sent(c.at)
	return n, err
}
