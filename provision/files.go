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
	"strings"
	"time"

	"github.com/mesoslab/lab"
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
		var b bytes.Buffer // io.ReadAll would ask for 512 bytes at a time
		_, err = f.WriteTo(&b)
		data = b.Bytes()
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

// Exists returns nil for a file or folder that the machine has; a missing one is
// fs.ErrNotExist.
func (h *Host) Exists(ctx context.Context, name string) error {
	err := h.withSFTP(ctx, func(c *sftp.Client) error {
		_, err := c.Lstat(name)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: look for %s: %w", h.machine.Name, name, err)
	}
	return nil
}

// WriteFile replaces a file of the machine: readers see the old content or the
// new, never a part. Missing folders are made. Where the SSH user may not
// write, one command by sudo does it, and the file belongs to root.
func (h *Host) WriteFile(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	err := h.place(ctx, name, bytes.NewReader(data), mode)
	if errors.Is(err, fs.ErrPermission) && !h.Root() {
		err = whenFree(ctx, name, func(ctx context.Context) error { return h.tee(ctx, name, data, mode) })
	}
	if err != nil {
		return fmt.Errorf("%s: write %s: %w", h.machine.Name, name, err)
	}
	return nil
}

func (h *Host) tee(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	argv, err := teeCommand(name, len(data), mode)
	if err == nil {
		_, err = h.Run(ctx, Quote(argv...), bytes.NewReader(data))
	}
	return err
}

// busyWait is how long a file may be busy.
const busyWait = 10 * time.Second

// whenFree repeats fn while the file is busy: an engine that copies something
// out of a machine in a container mounts its own /etc/hosts in there for that
// moment (seen with 20.10), and nothing can be renamed onto a mount.
func whenFree(ctx context.Context, name string, fn func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, busyWait)
	defer cancel()
	return lab.Until(limited, 100*time.Millisecond, name+" to be free", func(ctx context.Context) error {
		err := fn(ctx)
		if failed, ok := errors.AsType[*CommandError](err); ok && strings.Contains(failed.Stderr, "resource busy") {
			return err
		}
		return lab.Permanent(err)
	})
}

// Upload is WriteFile for what is too large to hold in memory: where the SSH
// user may not write, the file goes to /tmp first and sudo puts it in place. r
// is read again from its start then.
func (h *Host) Upload(ctx context.Context, name string, r io.ReadSeeker, mode fs.FileMode) error {
	err := h.place(ctx, name, r, mode)
	if errors.Is(err, fs.ErrPermission) && !h.Root() {
		err = h.uploadBySudo(ctx, name, r, mode)
	}
	if err != nil {
		return fmt.Errorf("%s: write %s: %w", h.machine.Name, name, err)
	}
	return nil
}

// place writes a file beside its target by SFTP and renames it.
func (h *Host) place(ctx context.Context, name string, r io.Reader, mode fs.FileMode) error {
	temp, err := tempName(path.Dir(name), path.Base(name))
	if err != nil {
		return err
	}
	return h.withSFTP(ctx, func(c *sftp.Client) error {
		if err := put(c, temp, r, mode); err != nil {
			return err
		}
		if err := rename(c, temp, name); err != nil {
			c.Remove(temp)
			return err
		}
		return nil
	})
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
	if _, err := h.Run(ctx, Quote(installCommand(temp, name, mode)...), nil); err != nil {
		h.Run(ctx, Quote("rm", "-f", temp), nil)
		return err
	}
	return nil
}

// Both scripts work beside the target first, so that the last step is a rename
// within one folder. Their words: $1 folder, $2 target, $3 beside it, $4 mode.
const (
	// teeScript counts what came: a connection that breaks ends the input,
	// too, and half a file must not take the place of a whole one.
	teeScript = `{ [ -d "$1" ] || mkdir -p "$1"; } && umask 077 && cat >"$3" && [ "$(wc -c <"$3")" -eq "$5" ] && chmod "$4" "$3" && LC_ALL=C mv -f "$3" "$2" || { rm -f "$3"; exit 1; }`
	// installScript takes the file $5 and removes it.
	installScript = `mkdir -p "$1" && install -m "$4" -o root -g root "$5" "$3" && mv -f "$3" "$2" && rm -f "$5" || { rm -f "$3"; exit 1; }`
)

// teeCommand puts its input, size bytes of it, in place of a file.
func teeCommand(name string, size int, mode fs.FileMode) ([]string, error) {
	beside, err := tempName(path.Dir(name), path.Base(name))
	if err != nil {
		return nil, err
	}
	return privileged(false, "sh", "-c", teeScript, "sh", path.Dir(name), name, beside, octal(mode), strconv.Itoa(size)), nil
}

// installCommand puts an uploaded file in place.
func installCommand(temp, name string, mode fs.FileMode) []string {
	beside := path.Join(path.Dir(name), path.Base(temp))
	return privileged(false, "sh", "-c", installScript, "sh", path.Dir(name), name, beside, octal(mode), temp)
}

func octal(mode fs.FileMode) string { return "0" + strconv.FormatUint(uint64(mode.Perm()), 8) }

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
	_, err = f.ReadFromWithConcurrency(r, 0) // ReadFrom is sequential for readers that do not tell their size
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
