//go:build linux

package bench

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
)

// Machines and rounds of the comparison with Ansible.
const (
	manyMachines  = 10
	ansibleRounds = 3
)

// BenchmarkDockerProvision provisions ten machines in containers at once, by
// lab create and by an Ansible playbook in turn (testdata/stack.yml, Debian's
// ansible-core): facts, DOCKER_OPTS, restart of Docker, tcp/2375, the stack's
// ten containers each behind its gate, until the master counts all slaves.
// Machines answer SSH before and have the stack's images; in between they are
// set back. Both are timed as whole commands. lab create also looks at the
// machines' containers, writes their names into /etc/hosts, and asks each
// engine from outside and from another machine; the playbook need not.
//
// Ansible's modules need Python on the machines: this computer's is copied
// there before.
func BenchmarkDockerProvision(b *testing.B) {
	labtest.NeedProgram(b, "ansible-playbook")
	engine := rig.Inside(b)
	if engine == nil {
		return
	}
	b.Log(machineSize())
	l := rig.NewDocker(b, engine)
	l.Must("create", "--no-app", "--slaves", fmt.Sprint(manyMachines-1))
	awaitSlaves(b, l)
	inventory := writeInventory(b, l)
	givePython(b, l)
	ours, theirs := in("ms"), in("ms")
	for b.Loop() {
		for range ansibleRounds {
			setBack(b, l)
			ours.addTime(timed(func() { l.Must("create") }))
			awaitSlaves(b, l)
			setBack(b, l)
			theirs.addTime(timed(func() { playbook(b, inventory) }))
			awaitSlaves(b, l)
		}
	}
	ours.report(b, "lab")
	theirs.report(b, "ansible")
	b.Logf("lab / ansible: %.2f", ours.median()/theirs.median())
	b.ReportMetric(ours.median()/theirs.median(), "ratio")
	setBack(b, l)
	l.Must("create")
	l.Must("destroy")
	l.MustBeGone()
}

func awaitSlaves(b *testing.B, l *rig.Lab) {
	b.Helper()
	if s := l.Status(); s.Mesos.ActiveSlaves != manyMachines-1 {
		b.Fatalf("not all slaves: %+v", s.Mesos)
	}
}

// setBack makes machines as they were before they were provisioned, but for
// the stack's images: their Docker has not been started yet.
func setBack(b *testing.B, l *rig.Lab) {
	b.Helper()
	const script = `set -e
ids=$(docker ps -aq); [ -z "$ids" ] || docker rm -f $ids >/dev/null
rm -rf /tmp/mesos /var/lib/lab /etc/default/docker
systemctl stop docker.service docker.socket; systemctl --quiet --no-reload disable docker.service`
	eachMachine(b, func(n int) error {
		if r := l.Run("ssh", fmt.Sprint("node", n), "sudo sh -c '"+script+"'"); r.Code != 0 {
			return errors.New(r.String())
		}
		return nil
	})
}

func eachMachine(b *testing.B, do func(n int) error) {
	b.Helper()
	errs := make([]error, manyMachines)
	var all sync.WaitGroup
	for i := range manyMachines {
		all.Go(func() { errs[i] = do(i + 1) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
}

func playbook(b *testing.B, inventory string) {
	b.Helper()
	cmd := exec.Command("ansible-playbook", "-i", inventory, "testdata/stack.yml")
	cmd.Env = append(os.Environ(), "ANSIBLE_CONFIG=testdata/ansible.cfg", "HOME="+filepath.Dir(inventory), "ANSIBLE_LOCAL_TEMP="+filepath.Dir(inventory))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
}

// writeInventory writes down machines, and their containers as lab has made
// them, in Ansible's words.
func writeInventory(b *testing.B, l *rig.Lab) string {
	b.Helper()
	s := l.Status()
	key := filepath.Join(l.Dir(), "keys", "id_ed25519")
	ports := map[string]int{"zookeeper": 2181, "mesos_master": 5050, "marathon": 8080, "marathon-lb": 9090}
	order := []string{"zookeeper", "mesos_master", "marathon", "marathon-lb"}
	type group struct {
		Hosts map[string]map[string]any `json:"hosts"`
	}
	master, slaves := group{map[string]map[string]any{}}, group{map[string]map[string]any{}}
	for i, m := range s.Machines {
		vars := map[string]any{
			"ansible_host": m.IP, "ansible_user": "vagrant", "ansible_ssh_private_key_file": key,
			"docker_opts": "-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock --tls=false",
		}
		names, in := order, master
		if i > 0 {
			names, in = []string{fmt.Sprint("mesos_slave", i)}, slaves
		}
		var containers []map[string]any
		for _, name := range names {
			containers = append(containers, map[string]any{"name": name, "port": ports[name], "run": dockerRun(b, l, i+1, name)})
		}
		vars["containers"] = containers
		in.Hosts[m.Node] = vars
	}
	data, err := json.MarshalIndent(map[string]any{"all": map[string]any{"children": map[string]any{"master": master, "slaves": slaves}}}, "", "  ")
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "inventory.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// dockerRun is the docker command that makes the same container again.
func dockerRun(b *testing.B, l *rig.Lab, n int, name string) []string {
	b.Helper()
	got, err := l.Docker(n).ContainerInspect(b.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		b.Fatal(err)
	}
	c := got.Container
	run := []string{"docker", "run", "-d", "--name", name, "--network", string(c.HostConfig.NetworkMode), "--restart", string(c.HostConfig.RestartPolicy.Name)}
	if c.HostConfig.Privileged {
		run = append(run, "--privileged")
	}
	if c.HostConfig.PidMode != "" {
		run = append(run, "--pid", string(c.HostConfig.PidMode))
	}
	for _, bind := range c.HostConfig.Binds {
		run = append(run, "-v", bind)
	}
	for _, e := range c.Config.Env {
		run = append(run, "-e", e)
	}
	for k, v := range c.Config.Labels {
		run = append(run, "--label", k+"="+v)
	}
	return append(append(run, c.Config.Image), c.Config.Cmd...)
}

// givePython copies this computer's Python, and what libraries it needs besides
// libc, into the machines: both are of the same Debian.
func givePython(b *testing.B, l *rig.Lab) {
	b.Helper()
	start := time.Now()
	python, err := filepath.EvalSymlinks(labtest.NeedProgram(b, "/usr/bin/python3")) // Debian's, whatever stands before it in PATH
	if err != nil {
		b.Fatal(err)
	}
	libs, err := exec.Command("sh", "-c", "ldd "+python+" | grep -o '/lib[^ ]*' | grep -vE '/(libc|libm|ld-linux)[-.]'").Output()
	if err != nil {
		b.Fatal(err)
	}
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, file := range append(strings.Fields(string(libs)), python) {
		addFile(b, w, file)
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "usr/bin/python3", Linkname: filepath.Base(python), Mode: 0o777}); err != nil {
		b.Fatal(err)
	}
	addTree(b, w, "/usr/lib/"+filepath.Base(python))
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	engine, id := l.EngineBelow(), l.Status().ID
	eachMachine(b, func(n int) error {
		_, err := engine.CopyToContainer(b.Context(), fmt.Sprintf("%s-%s-node%d", l.Name, id, n), client.CopyToContainerOptions{
			DestinationPath: "/", Content: bytes.NewReader(content.Bytes()),
		})
		return err
	})
	b.Logf("Python copied in %s", time.Since(start).Round(time.Millisecond))
}

// addTree adds Python's library, but for what no module of Ansible loads.
func addTree(b *testing.B, w *tar.Writer, top string) {
	b.Helper()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "test" || name == "idlelib" || name == "tkinter" || strings.HasPrefix(name, "config-")):
			return fs.SkipDir
		case d.Type().IsRegular():
			addFile(b, w, path)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// addFile adds what a path leads to, under this path.
func addFile(b *testing.B, w *tar.Writer, path string) {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	name := strings.TrimPrefix(path, "/")
	if rest, ok := strings.CutPrefix(name, "lib"); ok { // a link to /usr/lib…, which tar would replace
		name = "usr/lib" + rest
	}
	err = w.WriteHeader(&tar.Header{Name: name, Size: info.Size(), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()})
	if err == nil {
		_, err = io.Copy(w, f)
	}
	if err != nil {
		b.Fatal(err)
	}
}
