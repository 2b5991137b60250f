// Package atomicfile replaces files at one instant: whoever reads sees the old
// content or the new, whole, also where the writer is killed in the middle or
// the disk is full.
//
// It owns the temporary file beside the one that is replaced, which only a
// killed writer leaves behind (its name begins with a dot). It makes no folders,
// keeps no mode or owner of the file before, and locks nobody out: of two
// writers the last one wins.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file, or makes it. Errors name the file; after one it is as
// it was. What a power cut leaves of it is the file system's affair.
func Write(name string, data []byte, mode fs.FileMode) error {
	return replace(name, data, mode, func(*os.File) error { return nil })
}

// WriteSynced is Write that returns when a power cut can take neither the new
// content nor the name away any more.
func WriteSynced(name string, data []byte, mode fs.FileMode) error {
	if err := replace(name, data, mode, (*os.File).Sync); err != nil {
		return err
	}
	if err := SyncFolder(filepath.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// SyncFolder returns when the names in a folder are on the disk.
func SyncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func replace(name string, data []byte, mode fs.FileMode, sync func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = sync(f)
	}
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}
