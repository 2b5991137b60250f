//go:build unix

package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab/internal/atomicfile"
)

// binaryFor gives the path of the machines' binary, copied when it is first
// asked for.
func (p *Provider) binaryFor(ctx context.Context, dir string) func() (string, error) {
	return sync.OnceValues(func() (string, error) { return p.install(ctx, dir) })
}

// install copies the binary into the lab's own folder, once for each version,
// and returns the copy's path: an upgrade or a deleted download must not pull
// the program from under the lab.
func (p *Provider) install(ctx context.Context, dir string) (string, error) {
	from := p.opts.Executable
	if from == "" {
		var err error
		if from, err = os.Executable(); err != nil {
			return "", fmt.Errorf("find this program: %w", err)
		}
	}
	fail := func(err error) (string, error) { return "", fmt.Errorf("copy %s for the machines: %w", from, err) }
	in, err := os.Open(from)
	if err != nil {
		return fail(err)
	}
	defer in.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, in)
	if err != nil {
		return fail(err)
	}
	to := filepath.Join(dir, "bin", hex.EncodeToString(hash.Sum(nil))[:16], "lab")
	if i, err := os.Stat(to); err == nil && i.Size() == size && i.Mode().Perm()&0o100 != 0 {
		return to, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return fail(err)
	}
	if err := copyTo(to, in, size); err != nil {
		return fail(err)
	}
	return to, nil
}

// copyTo writes an executable by temp and rename. Two at once both succeed.
func copyTo(to string, in io.Reader, size int64) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	old, _ := filepath.Glob(filepath.Join(filepath.Dir(to), ".lab.*"))
	for _, name := range old { // of copies that were killed
		if i, err := os.Stat(name); err == nil && time.Since(i.ModTime()) > time.Hour {
			_ = os.Remove(name)
		}
	}
	temp, err := os.CreateTemp(filepath.Dir(to), ".lab.*")
	if err != nil {
		return err
	}
	n, err := io.Copy(temp, in)
	if err == nil && n != size {
		err = fmt.Errorf("it changed meanwhile: %d bytes, then %d", size, n)
	}
	err = errors.Join(err, temp.Chmod(0o700), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// publish writes the public half beside a private key.
func publish(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return fmt.Errorf("make key: %s: %w", file, err)
	}
	return atomicfile.Write(file+".pub", ssh.MarshalAuthorizedKey(key.PublicKey()), 0o644)
}
