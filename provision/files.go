package provision

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/pkg/sftp"
)

// ReadFile reads a file of the machine; a missing one is fs.ErrNotExist. What
// only root may read is read by sudo.
func (h *Host) ReadFile(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	err := h.withSFTP(ctx, func(c *sftp.Client) error {
		f, err := c.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		data, err = io.ReadAll(f)
		return err
	})
	if errors.Is(err, fs.ErrPermission) && !h.Root() {
		return h.Run(ctx, Quote(privileged(false, "cat", name)...), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", h.machine.Name, name, err)
	}
	return data, nil
}

// WriteFile replaces a file of the machine: readers see the old content or the
// new, never a part. Missing folders are made. Where the SSH user may not
// write, the file goes to /tmp first and sudo puts it in place, owned by root.
func (h *Host) WriteFile(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	return h.Upload(ctx, name, bytes.NewReader(data), mode)
}

// Upload is WriteFile for what is too large to hold in memory. r is read again
// from its start where the first way is closed.
func (h *Host) Upload(ctx context.Context, name string, r io.ReadSeeker, mode fs.FileMode) error {
	temp, err := tempName(path.Dir(name), path.Base(name))
	if err != nil {
		return err
	}
	err = h.withSFTP(ctx, func(c *sftp.Client) error {
		if err := put(c, temp, r, mode); err != nil {
			return err
		}
		if err := rename(c, temp, name); err != nil {
			c.Remove(temp)
			return err
		}
		return nil
	})
	if errors.Is(err, fs.ErrPermission) && !h.Root() {
		err = h.uploadBySudo(ctx, name, r, mode)
	}
	if err != nil {
		return fmt.Errorf("%s: write %s: %w", h.machine.Name, name, err)
	}
	return nil
}

func (h *Host) uploadBySudo(ctx context.Context, name string, r io.ReadSeeker, mode fs.FileMode) error {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	temp, err := tempName("/tmp", path.Base(name))
	if err != nil {
		return err
	}
	if err := h.withSFTP(ctx, func(c *sftp.Client) error { return put(c, temp, r, 0o600) }); err != nil {
		return err
	}
	for i, argv := range installCommands(temp, name, mode) {
		if _, err := h.Run(ctx, Quote(argv...), nil); err != nil {
			h.Run(ctx, Quote("rm", "-f", temp), nil)
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// installCommands put an uploaded file in place: beside its target first, so
// that the last step is a rename within one folder.
func installCommands(temp, name string, mode fs.FileMode) [][]string {
	beside := path.Join(path.Dir(name), path.Base(temp))
	return [][]string{
		privileged(false, "mkdir", "-p", path.Dir(name)),
		privileged(false, "install", "-m", "0"+strconv.FormatUint(uint64(mode.Perm()), 8), "-o", "root", "-g", "root", temp, beside),
		privileged(false, "mv", "-f", beside, name),
		{"rm", "-f", temp},
	}
}

// put writes a new file; its folder is made if it is missing.
func put(c *sftp.Client, name string, r io.Reader, mode fs.FileMode) error {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := c.OpenFile(name, flags)
	if errors.Is(err, fs.ErrNotExist) {
		if err := c.MkdirAll(path.Dir(name)); err != nil {
			return err
		}
		f, err = c.OpenFile(name, flags)
	}
	if err != nil {
		return err
	}
	_, err = f.ReadFrom(r)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = c.Chmod(name, mode.Perm())
	}
	if err != nil {
		c.Remove(name)
	}
	return err
}

// rename replaces name. SFTP's own rename fails on existing targets; servers
// without the extension get the two-step way.
func rename(c *sftp.Client, temp, name string) error {
	if _, ok := c.HasExtension("posix-rename@openssh.com"); ok {
		return c.PosixRename(temp, name)
	}
	if err := c.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.Rename(temp, name)
}

func tempName(dir, base string) (string, error) {
	b := make([]byte, 4)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return path.Join(dir, "."+base+".lab-"+hex.EncodeToString(b)), nil
}

// withSFTP gives fn the connection's SFTP client. The library knows no
// contexts: if ctx ends, the client is closed below fn and made anew next
// time.
func (h *Host) withSFTP(ctx context.Context, fn func(*sftp.Client) error) error {
	c, err := h.sftpClient(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		if h.sftp == c {
			h.sftp = nil
		}
		h.mu.Unlock()
		c.Close()
	})
	err = fn(c)
	if !stop() {
		return context.Cause(ctx)
	}
	return h.explain(err)
}

func (h *Host) sftpClient(ctx context.Context) (*sftp.Client, error) {
	h.mu.Lock()
	c := h.sftp
	h.mu.Unlock()
	if c != nil {
		return c, nil
	}
	session, err := h.session(ctx)
	if err != nil {
		return nil, fmt.Errorf("open sftp: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	c, err = startSFTP(session)
	if err != nil {
		session.Close()
		return nil, fmt.Errorf("open sftp: %w", h.explain(err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sftp != nil { // another call was faster
		c.Close()
		return h.sftp, nil
	}
	h.sftp = c
	return c, nil
}
