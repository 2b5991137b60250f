package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/local/engine/internal/api"
)

func TestVolumes(t *testing.T) {
	b := newBench(t, "")
	create := func(name, host string) *container {
		t.Helper()
		if status, body := b.do(t, "POST", "/containers/create?name="+name, `{"Image":"lab/data:1","HostConfig":`+host+`}`); status != 201 {
			t.Fatal(body)
		}
		c, err := b.find(name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := create("one", `{"Binds":["shared:/shared"],"Tmpfs":{"/scratch":""}}`), create("two", `{"Binds":["shared:/other:ro"]}`)
	if err := os.WriteFile(filepath.Join(one.dir(), "rootfs/shared/file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(two.dir(), "rootfs/other/file")); err != nil || string(got) != "x" {
		t.Errorf("through the other container: %q %v", got, err)
	}
	if m := two.inspect(false).Mounts; len(m) != 2 || m[1].Name != "shared" || m[1].RW || m[0].Type != "volume" || len(m[0].Name) != 64 {
		t.Errorf("mounts: %+v", m)
	}
	if status, body := b.do(t, "DELETE", "/volumes/shared", ""); status != 409 || !strings.Contains(body, "volume is in use") {
		t.Errorf("removal of a used volume: %d %s", status, body)
	}
	// A tmpfs is empty at each start.
	scratch := filepath.Join(one.dir(), "rootfs/scratch/file")
	if err := os.WriteFile(scratch, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Engine.start(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(scratch); !os.IsNotExist(err) {
		t.Errorf("tmpfs kept its file: %v", err)
	}
	if err := b.remove(t.Context(), one, true, true); err != nil {
		t.Fatal(err)
	}
	if err := b.remove(t.Context(), two, false, false); err != nil {
		t.Fatal(err)
	}
	left, err := b.volumes() // the one that nobody took along, and the named one
	if err != nil || len(left) != 2 {
		t.Errorf("volumes left: %+v %v", left, err)
	}
	if _, body := b.do(t, "POST", "/volumes/prune", ""); strings.Contains(body, "shared") {
		t.Errorf("prune: %s", body)
	}
	if left, _ := b.volumes(); len(left) != 1 || left[0].Name != "shared" {
		t.Errorf("volumes left by prune: %+v", left)
	}
	if got, err := os.ReadFile(filepath.Join(b.cfg.Dir, "volumes/shared/_data/file")); err != nil || string(got) != "x" {
		t.Errorf("the volume has %q %v", got, err)
	}
}

// TestClose: SIGTERM, patience, SIGKILL, all containers at the same time; no
// patience once the context is over.
func TestClose(t *testing.T) {
	for _, x := range []struct {
		name     string
		patience time.Duration
		lasts    time.Duration
	}{{"patient", time.Hour, 10 * time.Second}, {"hurried", 3 * time.Second, 3 * time.Second}} {
		t.Run(x.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				b := newBench(t, "")
				stubborn := []*container{b.make(t, "s1", "no", 0, "stubborn"), b.make(t, "s2", "always", 0, "stubborn")}
				meek := b.make(t, "meek", "always", 0, "wait")
				flaky := b.make(t, "flaky", "always", 0, "exit", "1")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), x.patience)
				defer cancel()
				begin := time.Now()
				if err := b.Close(ctx); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); took != x.lasts {
					t.Errorf("took %v, want %v", took, x.lasts)
				}
				for _, c := range stubborn {
					if r := c.snapshot(); r.Status != exited || r.ExitCode != 137 || r.ManualStop {
						t.Errorf("%s: %s %d %v", r.Name, r.Status, r.ExitCode, r.ManualStop)
					}
				}
				if r := meek.snapshot(); r.Status != exited || r.ExitCode != 143 {
					t.Errorf("meek: %s %d", r.Status, r.ExitCode)
				}
				if r := flaky.snapshot(); r.Status != exited || r.ExitCode != 1 {
					t.Errorf("flaky: %s %d", r.Status, r.ExitCode)
				}
				_, _, err := b.create("late", api.CreateRequest{Config: api.Config{Image: "nginx"}})
				wantStatus(t, err, 503, "shutting down")
			})
		})
	}
}

// TestRestartKeepsAutoRemove: --rm removes at the end, not in a restart.
func TestRestartKeepsAutoRemove(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		c, _, err := b.create("it", api.CreateRequest{Config: api.Config{Image: "lab/tool", Cmd: []string{"wait"}}, HostConfig: &api.HostConfig{AutoRemove: true}})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Engine.start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := b.restart(t.Context(), c, stopOrder{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r := c.snapshot(); r.Status != running {
			t.Errorf("%s after restart", r.Status)
		}
		if err := b.stop(c, stopOrder{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := b.find("it"); statusOf(err) != 404 {
			t.Errorf("it is still there: %v", err)
		}
	})
}

// TestLoadLeavesUnknownFoldersAlone: folders that are not ours are left alone.
func TestLoadLeavesUnknownFoldersAlone(t *testing.T) {
	b := newBench(t, "")
	for name, text := range map[string]string{"notes/readme": "x", "aaaaaaaaaaaa/config.json": `{"Format":2}`, "bbbbbbbbbbbb/config.json": `{`} {
		file := filepath.Join(b.cfg.Dir, "containers", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := newBench(t, b.root)
	if list := again.all(); len(list) != 0 {
		t.Errorf("loaded %d containers", len(list))
	}
	if left, err := os.ReadDir(filepath.Join(b.cfg.Dir, "containers")); err != nil || len(left) != 3 {
		t.Errorf("left %v %v", left, err)
	}
	if b.Engine.id == "" || again.Engine.id != b.Engine.id {
		t.Errorf("identity %q became %q", b.Engine.id, again.Engine.id)
	}
}

func TestConfig(t *testing.T) {
	b := newBench(t, "")
	for name, edit := range map[string]func(*Config){
		"no start": func(c *Config) { c.Start = nil }, "address": func(c *Config) { c.IP = "node1" },
		"folder outside": func(c *Config) { c.Dir = t.TempDir() }, "folder above": func(c *Config) { c.Dir = filepath.Dir(c.MachineRoot) },
	} {
		cfg := b.cfg
		edit(&cfg)
		if _, err := New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestManyHands lets many clients do everything at the same time; in the end
// nothing is left.
func TestManyHands(t *testing.T) {
	b := newBench(t, "")
	names := []string{"aa", "bb", "cc"}
	var wg sync.WaitGroup
	for hand := range 12 {
		wg.Go(func() {
			for i := range 30 {
				name := names[(hand+i)%len(names)]
				switch (hand*7 + i) % 9 {
				case 0, 1:
					b.do(t, "POST", "/containers/create?name="+name, `{"Image":"lab/tool","Cmd":["wait"],"HostConfig":{"RestartPolicy":{"Name":"always"}}}`)
				case 2, 3:
					b.do(t, "POST", "/containers/"+name+"/start", "")
				case 4:
					b.do(t, "POST", "/containers/"+name+"/kill?signal=HUP", "")
				case 5:
					b.do(t, "POST", "/containers/"+name+"/restart", "")
				case 6:
					b.do(t, "POST", "/containers/"+name+"/rename?name=dd", "")
				case 7:
					b.do(t, "DELETE", "/containers/dd?force=1", "")
				default:
					if status, body := b.do(t, "GET", "/containers/json?all=1&size=1", ""); status != 200 {
						t.Errorf("list: %d %s", status, body)
					}
				}
			}
		})
	}
	wg.Wait()
	for _, name := range append(names, "dd") {
		if status, body := b.do(t, "DELETE", "/containers/"+name+"?force=1", ""); status != 204 && status != 404 {
			t.Errorf("remove %s: %d %s", name, status, body)
		}
	}
	left, err := os.ReadDir(filepath.Join(b.cfg.Dir, "containers"))
	if err != nil || len(left) > 0 || len(b.all()) > 0 || len(b.names) > 0 {
		t.Errorf("left: %v %v %v, %v", left, b.all(), b.names, err)
	}
}

// TestRelativeFolder: a machine's engine lives below its working directory, so
// that paths of unix sockets stay short.
func TestRelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("root", 0o755); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, "root")
	b.make(t, "it", "no", 0, "wait")
	c := b.started[0]
	if filepath.IsAbs(c.Dir) || !strings.HasPrefix(c.Dir, "root/var/lib/docker/containers/") {
		t.Errorf("rootfs %s", c.Dir)
	}
	if _, err := c.Listen(t.Context(), "unix", "/var/run/it.sock"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "tmp/x"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if it, err := b.find("it"); err != nil || it.inspect(false).LogPath != "/var/lib/docker/containers/"+c.ContainerID[:12]+"/log" {
		t.Errorf("log path: %v", err)
	}
}
