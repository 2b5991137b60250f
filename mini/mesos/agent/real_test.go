//go:build linux

package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/dockerd"
	"github.com/mesoslab/lab/mini/mesos/agent/config"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

func TestMain(m *testing.M) { os.Exit(dockerd.Main(m)) }

// realImage is what importImage makes of this computer's own shell.
const realImage = "lab/shell:1"

// importImage gives an engine an image with sh and sleep, and what they need.
func importImage(ctx context.Context, host string) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	done := map[string]bool{}
	for _, program := range []string{"/bin/sh", "/bin/sleep"} {
		out, err := exec.CommandContext(ctx, "ldd", program).Output()
		if err != nil {
			return fmt.Errorf("ldd %s: %w", program, err)
		}
		for _, word := range append(strings.Fields(string(out)), program) {
			if !filepath.IsAbs(word) || done[word] {
				continue
			}
			done[word] = true
			content, err := os.ReadFile(word)
			if err != nil {
				return err
			}
			if err := w.WriteHeader(&tar.Header{Name: word[1:], Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
				return err
			}
			if _, err := w.Write(content); err != nil {
				return err
			}
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	api, err := client.New(client.WithHost(host))
	if err != nil {
		return err
	}
	defer api.Close()
	repo, tag, _ := strings.Cut(realImage, ":")
	r, err := api.ImageImport(ctx, client.ImageImportSource{Source: &b, SourceName: "-"}, repo, client.ImageImportOptions{Tag: tag})
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// realAgent is an agent on a real engine, under a master of the test.
type realAgent struct {
	*world
	m    *fakeMaster
	host string
	stop func()
}

// begin runs the agent until stop.
func (r *realAgent) begin() {
	r.t.Helper()
	env := r.env("--containerizers=docker", "--work_dir="+r.root, "--docker_stop_timeout=2secs")
	env.Root = "" // the engine has the same file system
	cfg, err := config.Load(env)
	if err != nil {
		r.t.Fatal(err)
	}
	engine := docker.NewMoby(func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", strings.TrimPrefix(r.host, "unix://"))
	}, cfg.DockerSocket)
	ctx, cancel := context.WithCancel(r.t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer engine.Close()
		if code := run(ctx, env, cfg, engine, r.group, meta.NewStore(env.Path(cfg.WorkDir+metaFolder)), newLogger(r.out, false)); code != 0 {
			r.t.Errorf("the agent ended with %d", code)
		}
	}()
	r.stop = func() { cancel(); <-over }
	r.t.Cleanup(r.stop)
}

func (r *realAgent) until(what string, fn func() error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	if err := lab.Until(ctx, 50*time.Millisecond, what, func(context.Context) error { return fn() }); err != nil {
		r.t.Fatal(err)
	}
}

func (r *realAgent) shell(id, script string) mesos.TaskInfo {
	t := mesos.TaskInfo{Name: id, TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: id0}, Resources: scalars(0.1, 32),
		Command: &mesos.CommandInfo{Value: &script},
		Container: &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: &mesos.ContainerInfo_DockerInfo{
			Image: realImage, Network: mesos.ContainerInfo_DockerInfo_HOST.Enum()}}}
	return t
}

// TestRealEngine is the swap: a real Docker engine under this agent.
//
//	LAB_TEST_DOCKER=1 go test -run TestRealEngine -v ./mini/mesos/agent
func TestRealEngine(t *testing.T) {
	engine := dockerd.Inside(t, importImage)
	if engine == nil {
		return
	}
	r := &realAgent{world: newWorld(t), host: engine.Host}
	r.m = r.newMaster(1)
	r.begin()
	expect[*wire.Register](r.m)

	r.m.run(r.shell("fails", "exit 3"))
	r.m.update("fails", mesos.TASK_RUNNING)
	if s := r.m.update("fails", mesos.TASK_FAILED); s.GetMessage() != "Container exited with status 3" {
		t.Errorf("%s", s.GetMessage())
	}
	missing := r.shell("missing", "true")
	missing.Container.Docker.Image = "lab/nowhere:1"
	r.m.run(missing)
	if s := r.m.update("missing", mesos.TASK_FAILED); s.GetReason() != mesos.REASON_CONTAINER_LAUNCH_FAILED {
		t.Errorf("%s %s", s.GetReason(), s.GetMessage())
	}
	r.writesVolume()
	task := r.shell("lives", "echo out; echo err >&2; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exec sleep 1000")
	task.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, DelaySeconds: ptr(0.0), Command: &mesos.CommandInfo{Value: ptr("test -n \"$MESOS_TASK_ID\"")}}
	r.m.run(task)
	s := r.m.update("lives", mesos.TASK_RUNNING)
	if s.GetContainerStatus().GetExecutorPID() == 0 || !json.Valid(s.Data) {
		t.Errorf("%+v", s)
	}
	if s := r.m.update("lives", mesos.TASK_RUNNING); !s.GetHealthy() {
		t.Errorf("%+v", s)
	}
	r.outputOf(s.ContainerStatus.ContainerID.Value)
	r.usage()

	r.stop()
	r.begin()
	expect[*wire.Reregister](r.m)
	if s := r.m.update("lives", mesos.TASK_RUNNING); !s.GetHealthy() { // the new process has looked for itself
		t.Errorf("%+v", s)
	}
	r.readsVolume()
	r.m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "lives"})
	k := r.m.update("lives", mesos.TASK_KILLED)
	if k.ContainerStatus.ContainerID.Value != s.ContainerStatus.ContainerID.Value {
		t.Errorf("another container after the restart: %+v", k.ContainerStatus)
	}
	if k.GetMessage() != "Container exited with status 137" { // sleep as the first process hears no SIGTERM
		t.Errorf("%s", k.GetMessage())
	}
}

// writesVolume has the engine mount a persistent volume for a task, which writes
// into it.
func (r *realAgent) writesVolume() {
	r.t.Helper()
	r.m.send(&wire.CheckpointResources{Resources: wire.All([]mesos.Resource{persistent("kept", "data")})})
	r.until("the volume", func() error {
		_, err := os.Stat(filepath.Join(r.root, "volumes/roles/web/kept"))
		return err
	})
	r.volumeTask("writes", "data", `echo kept >"$MESOS_SANDBOX/data/file"`)
}

// readsVolume has a later task find it, under another name.
func (r *realAgent) readsVolume() {
	r.t.Helper()
	r.volumeTask("reads", "other", `read word <"$MESOS_SANDBOX/other/file" && [ "$word" = kept ]`)
}

// volumeTask runs a script to its end, with the volume in its sandbox.
func (r *realAgent) volumeTask(id, where, script string) {
	r.t.Helper()
	task := r.shell(id, script)
	task.Resources = append(task.Resources, persistent("kept", where))
	r.m.run(task)
	r.m.update(id, mesos.TASK_RUNNING)
	r.m.update(id, mesos.TASK_FINISHED)
}

// outputOf expects what the task printed in its sandbox, while it runs.
func (r *realAgent) outputOf(container string) {
	r.t.Helper()
	dir := filepath.Join(r.root, "slaves", id0, "frameworks/fw-0/executors/lives/runs", container)
	for name, want := range map[string]string{"stdout": "out\n", "stderr": "err\n"} {
		r.until(name, func() error {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && string(b) != want {
				err = fmt.Errorf("%q", b)
			}
			return err
		})
	}
}

// usage expects figures of the engine.
func (r *realAgent) usage() {
	r.t.Helper()
	r.until("figures of the engine", func() error {
		tr := &http.Transport{DialContext: r.net.Host("10.0.0.99").Dial, DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: tr}).Get("http://" + agentIP + ":5051/containers")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var list []struct{ Statistics map[string]float64 }
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
			return err
		}
		if len(list) != 1 || list[0].Statistics["mem_rss_bytes"] <= 0 || list[0].Statistics["cpus_user_time_secs"] <= 0 {
			return fmt.Errorf("%v", list)
		}
		return nil
	})
}
