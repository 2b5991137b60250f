//go:build linux

package e2e

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
)

// What tests do on the engine below machines in containers, behind lab's back.

func removeBelow(t *testing.T, l *rig.Lab, name string) {
	t.Helper()
	if _, err := l.EngineBelow().ContainerRemove(t.Context(), name, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
}

func awaitState(t *testing.T, l *rig.Lab, name string, want container.ContainerState) {
	t.Helper()
	engine := l.EngineBelow()
	l.Await(name+" to be "+string(want), func(ctx context.Context) error {
		c, err := engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		if err == nil && c.Container.State.Status != want {
			err = errors.New("it is " + string(c.Container.State.Status))
		}
		return err
	})
}

// execBelow runs a command in a machine without SSH.
func execBelow(t *testing.T, l *rig.Lab, name string, argv ...string) {
	t.Helper()
	engine := l.EngineBelow()
	made, err := engine.ExecCreate(t.Context(), name, client.ExecCreateOptions{Cmd: argv})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.ExecStart(t.Context(), made.ID, client.ExecStartOptions{Detach: true}); err != nil {
		t.Fatal(err)
	}
	l.Await(strings.Join(argv, " "), func(ctx context.Context) error {
		e, err := engine.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
		if err == nil && e.Running {
			err = errors.New("it runs")
		}
		return err
	})
}

// fileIn reads a file of a container.
func fileIn(ctx context.Context, engine *client.Client, id, name string) ([]byte, error) {
	got, err := engine.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return nil, err
	}
	defer got.Content.Close()
	archive := tar.NewReader(got.Content)
	if _, err := archive.Next(); err != nil {
		return nil, err
	}
	return io.ReadAll(archive)
}

// smallDisk gives node2 a disk of 64 MiB before it is made, and returns where
// that is mounted while the machine uses it.
func smallDisk(t *testing.T, l *rig.Lab) string {
	t.Helper()
	var record struct{ ID string }
	data, err := os.ReadFile(filepath.Join(l.Dir(), "lab.json"))
	if err == nil {
		err = json.Unmarshal(data, &record)
	}
	if err != nil {
		t.Fatal(err)
	}
	name := "lab-" + record.ID + "-node2-docker"
	made, err := l.EngineBelow().VolumeCreate(t.Context(), client.VolumeCreateOptions{
		Name: name, Driver: "local", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=64m"},
		Labels: map[string]string{"lab.name": "lab/" + record.ID, "lab.node": "node2", "lab.part": "disk"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.Volume.Mountpoint
}
