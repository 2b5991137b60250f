package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision/images"
)

// imageSources says where the images of the stack come from: the catalogue's
// are made here, from the same table as the embedded engine's.
func (a *app) imageSources(store state.Store) (images.Sources, error) {
	exe, err := os.Executable()
	if err != nil {
		return images.Sources{}, fmt.Errorf("find this program: %w", err)
	}
	cache := a.cacheDir(store)
	maker := &images.Maker{Executable: exe, Sources: sourceDirs(), Environ: a.environ, Cache: filepath.Join(cache, "images")}
	for _, i := range catalogue() {
		maker.Catalogue = append(maker.Catalogue, images.Image{Name: i.Name, Entrypoint: i.Entrypoint, Cmd: i.Cmd, ExposedPorts: i.ExposedPorts})
	}
	return images.Sources{Maker: maker, Temp: filepath.Join(cache, "images", "passing")}, nil
}

// cacheDir is for what can be made again: $XDG_CACHE_HOME/lab, else
// $HOME/.cache/lab, else below the state folder.
func (a *app) cacheDir(store state.Store) string {
	if base, ok := a.getenv("XDG_CACHE_HOME"); ok && filepath.IsAbs(base) {
		return filepath.Join(base, "lab")
	}
	if home, ok := a.getenv("HOME"); ok && filepath.IsAbs(home) {
		return filepath.Join(home, ".cache", "lab")
	}
	return filepath.Join(store.Dir(), ".cache")
}

// sourceDirs are folders in or above which lab's sources may lie: where this
// program was compiled, and where it was called.
func sourceDirs() []string {
	var dirs []string
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		dirs = append(dirs, filepath.Dir(file))
	}
	if dir, err := os.Getwd(); err == nil {
		dirs = append(dirs, dir)
	}
	return dirs
}
