package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// load reads the containers of an earlier life. One that ran when the engine
// was killed has exit code 137, as its process is gone. Folders without a
// readable config.json are left alone and reported; those of removed
// containers are removed.
func (e *Engine) load() error {
	entries, err := os.ReadDir(filepath.Join(e.cfg.Dir, "containers"))
	if err != nil {
		return fmt.Errorf("load containers: %w", err)
	}
	for _, entry := range entries {
		file := filepath.Join(e.cfg.Dir, "containers", entry.Name(), "config.json")
		b, err := os.ReadFile(file)
		if err != nil {
			e.cfg.Log.Warn("container folder without config.json", "folder", entry.Name(), "error", err)
			continue
		}
		var r record
		if err := json.Unmarshal(b, &r); err != nil || r.Format != 1 || len(r.ID) != 64 || r.ID[:12] != entry.Name() {
			e.cfg.Log.Warn("container folder of an unknown kind", "folder", entry.Name(), "format", r.Format, "error", err)
			continue
		}
		if err := e.adopt(r); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) adopt(r record) error {
	switch r.Status {
	case running, paused:
		r.Status, r.ExitCode, r.FinishedAt = exited, 137, time.Now()
	case restarting:
		r.Status = exited
	}
	c := newContainer(e, r)
	gone := r.Status == removing || r.HostConfig.AutoRemove && r.Status == exited
	if gone {
		return e.tree.RemoveAll(e.inMachine("containers", r.ID[:12]))
	}
	if other := e.names[r.Name]; other != "" {
		return fmt.Errorf("load containers: %s and %s both have the name %q", other[:12], r.ID[:12], r.Name)
	}
	e.containers[r.ID], e.names[r.Name] = c, r.ID
	return c.save()
}
