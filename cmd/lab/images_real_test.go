//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/dockerd"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/provision/images"
	"github.com/mesoslab/lab/stack"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// TestImagesOnRealEngine takes lab's images the whole way on an engine of the
// tests' own (see internal/labtest/dockerd): upload over a real sshd, docker
// load, save and load again, and the stack's containers from scratch images
// with the network of their host, an app behind the load balancer.
func TestImagesOnRealEngine(t *testing.T) {
	engine := dockerd.Inside(t, nil)
	if engine == nil {
		return
	}
	for _, name := range []string{"docker", "jq", "go"} {
		labtest.NeedProgram(t, name)
	}
	prepareInside(t, engine)
	m := labtest.OpenSSH(t)
	host, err := provision.Connect(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	docker, err := host.Docker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	here := func(wants ...string) images.Machine {
		return images.Machine{Name: "node1", Docker: docker, Host: host, Wants: wants}
	}
	src := realSources(t)
	report := func(e lab.Event) { t.Log(e.Kind, e.Node, e.Step, e.Text, e.Err) }
	opt := images.Options{Op: "create", Report: report}
	mini := []string{"lab/zookeeper", "lab/mesos", "lab/marathon", "lab/marathon-lb", "lab/web"}
	t.Run("deliver", func(t *testing.T) {
		res, err := images.Deliver(t.Context(), []images.Machine{here(mini...)}, src, opt)
		if err != nil || len(res.Did) != 1 {
			t.Fatalf("%v, %v", res, err)
		}
		again, err := images.Deliver(t.Context(), []images.Machine{here(mini...)}, src, opt)
		if err != nil || len(again.Did) != 0 {
			t.Errorf("a second time: %v, %v", again, err)
		}
		if _, err := os.Stat(fmt.Sprintf("/var/tmp/lab-images-%d", os.Getuid())); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the upload folder: %v", err)
		}
	})
	t.Run("web", func(t *testing.T) { webAlone(t) })
	t.Run("save and load", func(t *testing.T) { saveAndLoad(t, here, src, opt) })
	t.Run("no registry", func(t *testing.T) {
		_, err := images.Deliver(t.Context(), []images.Machine{here("registry.invalid/team/app:1")}, src, opt)
		if lab.ErrorID(err) != "image-pull" {
			t.Errorf("%v, want image-pull", err)
		}
	})
	t.Run("stack", func(t *testing.T) { wholeStack(t, host, docker) })
	command(t, "sh", "-c", "docker ps -aq | xargs -r docker rm -f")
}

// articleNet is where the addresses of the stack lie: 192.168.0.0/16 is shut
// in the engine's namespaces.
const articleNet = "10.59.59"

// prepareInside makes the engine answer where every machine's does, lets it run
// privileged containers as far as this computer can, and gives the loopback
// the machines' addresses. It all ends with the namespaces.
func prepareInside(t *testing.T, engine *dockerd.Engine) {
	t.Helper()
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatalf("mount /run: %v", err)
	}
	if err := os.Symlink(strings.TrimPrefix(engine.Host, "unix://"), "/run/docker.sock"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"1", "2", "3"} {
		command(t, "ip", "address", "add", articleNet+"."+n+"/32", "dev", "lo")
	}
	wrapper := filepath.Join("/run", "runc-here")
	config := fmt.Sprintf(`{"runtimes":{"here":{"path":%q}},"default-runtime":"here"}`, wrapper)
	if err := errors.Join(os.WriteFile(wrapper, []byte(runcScript), 0o755), os.WriteFile("/etc/docker/daemon.json", []byte(config), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(engine.PID(t), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := lab.Until(ctx, 100*time.Millisecond, "dockerd to take its settings", func(ctx context.Context) error {
		out, err := exec.CommandContext(ctx, "docker", "info", "-f", "{{.DefaultRuntime}}").CombinedOutput()
		if err == nil && strings.TrimSpace(string(out)) != "here" {
			err = fmt.Errorf("the runtime is %s", out)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("engine %s", command(t, "docker", "version", "-f", "{{.Server.Version}} {{.Server.Arch}}"))
}

// runcScript takes out of privileged containers what this computer does not
// have itself: containers in containers may lack CAP_SYS_RESOURCE.
const runcScript = `#!/bin/sh
bundle=; want=
for a; do [ "$want" ] && bundle=$a && want=; [ "$a" = --bundle ] && want=1; done
if [ "$bundle" ]; then
  jq '(.process.capabilities // {})[] |= map(select(. != "CAP_SYS_RESOURCE"))' "$bundle/config.json" >"$bundle/config.new" && mv "$bundle/config.new" "$bundle/config.json"
fi
exec runc "$@"
`

func command(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// realSources are the command's own, with a cache that may be kept.
func realSources(t *testing.T) images.Sources {
	t.Helper()
	cache := os.Getenv("LAB_TEST_IMAGES_CACHE")
	if cache == "" {
		cache = t.TempDir()
	}
	src, err := (&app{environ: append(os.Environ(), "XDG_CACHE_HOME="+cache)}).imageSources(state.NewStore(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// get asks a page until it is there.
func get(t *testing.T, url string) (body, server string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := lab.Until(ctx, 50*time.Millisecond, url, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return lab.Permanent(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		body, server = string(text), resp.Header.Get("Server")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return body, server
}

// webAlone runs lab/web by the docker command, as anybody would.
func webAlone(t *testing.T) {
	command(t, "docker", "run", "-d", "--pull=never", "--name", "web", "-p", "31080:80", "lab/web")
	_, server := get(t, "http://127.0.0.1:31080/")
	if !strings.HasPrefix(server, "lab-web") {
		t.Errorf("the server is %q", server)
	}
	// As another user, on a read-only file system: nothing is written.
	command(t, "docker", "run", "-d", "--pull=never", "--name", "web2", "--read-only", "--user", "nobody", "-p", "31081:8081", "lab/web", "web", "--port", "8081")
	get(t, "http://127.0.0.1:31081/")
	if out := command(t, "docker", "image", "inspect", "-f", "{{.Config.ExposedPorts}} {{.Config.Entrypoint}} {{.Os}}", "lab/web"); out != "map[80/tcp:{}] [/lab mini] linux" {
		t.Errorf("image %s", out)
	}
	command(t, "docker", "rm", "-f", "web", "web2")
}

// saveAndLoad gives an image another name, saves it with one of lab's own,
// removes it and brings it back from the file.
func saveAndLoad(t *testing.T, here func(...string) images.Machine, src images.Sources, opt images.Options) {
	const foreign = "team/app:1"
	command(t, "docker", "tag", "lab/web", foreign)
	file := filepath.Join(t.TempDir(), "all.tar")
	saved, err := images.Save(t.Context(), file, "", []string{"lab/mesos", foreign}, []images.Machine{here(foreign)}, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", saved)
	command(t, "docker", "rmi", foreign)
	a, err := images.Open(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	src.File = a
	res, err := images.Deliver(t.Context(), []images.Machine{here(foreign)}, src, opt)
	if err != nil || len(res.Did) != 1 {
		t.Fatalf("%v, %v", res, err)
	}
	if out := command(t, "docker", "image", "inspect", "-f", "{{index .Config.Labels \"lab.images\"}}", foreign); len(out) != 64 {
		t.Errorf("label %q", out)
	}
}

// wholeStack runs the stack's definitions on the one engine: each machine is
// one address of the loopback.
func wholeStack(t *testing.T, host *provision.Host, docker *client.Client) {
	spec := lab.Spec{Stack: "mini", Subnet: articleNet + ".0/24"}.WithDefaults()
	nodes, err := spec.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	p, err := stack.New(spec, "00000000", lab.Features{Name: "test", Real: true, PingTimeout: time.Second, PingTimeouts: 2}, nodes)
	if err != nil {
		t.Fatal(err)
	}
	machines := map[string]stack.Machine{}
	for _, n := range nodes {
		machines[n.Name] = stack.Machine{Docker: docker, Shell: host}
	}
	opt := stack.Options{Wait: 2 * time.Minute, Report: func(e lab.Event) { t.Log(e.Kind, e.Node, e.Step, e.Text, e.Err) }}
	c := p.Clients(nil)
	defer func() {
		if t.Failed() {
			for _, name := range []string{"zookeeper", "mesos_master", "marathon", "marathon-lb", "mesos_slave1", "mesos_slave2"} {
				out, _ := exec.Command("docker", "logs", "--tail", "20", name).CombinedOutput()
				t.Logf("%s:\n%s", name, out)
			}
		}
	}()
	if _, err := stack.Converge(t.Context(), p, machines, c, opt); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Deploy(t.Context(), c, p.SampleApp(false), opt); err != nil {
		t.Fatal(err)
	}
	body, server := get(t, "http://"+articleNet+".1:10000/")
	if !strings.HasPrefix(server, "lab-web") {
		t.Errorf("behind the load balancer: server %q", server)
	}
	t.Logf("the page: %.300s", body)
	list, err := docker.ContainerList(t.Context(), client.ContainerListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list.Items {
		if x.State != container.StateRunning {
			t.Errorf("%v is %s", x.Names, x.Status)
		}
		out := command(t, "docker", "logs", x.ID)
		for _, bad := range []string{"panic", "no such file", "unknown user", "permission denied", "unknown time zone"} {
			if i := strings.Index(out, bad); i >= 0 {
				t.Errorf("%v says …%s", x.Names, bytes.TrimSpace([]byte(out[max(0, i-200):min(len(out), i+200)])))
			}
		}
	}
}
