//go:build linux

package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"golang.org/x/crypto/ssh"
)

// openSSH is a real OpenSSH server for root on this computer, in mount and
// process namespaces of its own: /etc and /run are folders below dir, and the
// programs in testdata/openssh come first in its PATH. They keep their state in
// dir/state.
type openSSH struct {
	dir     string
	machine lab.Machine
}

func (o *openSSH) path(name string) string { return filepath.Join(o.dir, name) }

// state reads a file of the fakes' state; a missing one is empty.
func (o *openSSH) state(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(o.path("state/" + name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

func writeKey(t *testing.T, file string) ssh.Signer {
	t.Helper()
	signer, key := newSigner(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err == nil {
		err = os.WriteFile(file, pem.EncodeToMemory(block), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// enter makes the namespaces what the test wants and becomes sshd. $1 is dir.
// What this computer has of Docker is not there: /usr/bin and /usr/sbin are
// links to everything else.
const enter = `set -e
for f in passwd group shadow nsswitch.conf ld.so.cache alternatives; do if [ -e /etc/$f ]; then cp -a /etc/$f "$1/etc/"; fi; done
sed -i "s|^root:.*|root:x:0:0:root:$1/home:/bin/bash|" "$1/etc/passwd"
printf '127.0.0.1 localhost\n127.0.1.1 node1\n' >"$1/etc/hosts"
printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' >"$1/etc/os-release"
cp /usr/sbin/sshd "$1/sshd"
for d in bin sbin; do
  mkdir "$1/real$d" "$1/usr$d"
  mount --bind "/usr/$d" "$1/real$d"
  ln -s "$1/real$d/"* "$1/usr$d/"
  rm -f "$1/usr$d/docker" "$1/usr$d/dockerd"
done
mount --bind "$1/etc" /etc
mount --bind "$1/run" /run
mount --bind "$1/usrsbin" /usr/sbin
mount --bind "$1/usrbin" /usr/bin
exec "$1/sshd" -D -e -f "$1/sshd_config"`

func startOpenSSH(t *testing.T) *openSSH {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a server with an /etc of its own needs root")
	}
	for _, name := range []string{"sshd", "unshare", "mount"} {
		labtest.NeedProgram(t, name)
	}
	o := &openSSH{dir: t.TempDir()}
	for _, d := range []string{"etc", "run/sshd", "run/systemd/system", "state", "bin", "home"} {
		if err := os.MkdirAll(o.path(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fakes, err := filepath.Glob("testdata/openssh/*")
	if err != nil || len(fakes) == 0 {
		t.Fatalf("no programs: %v", err)
	}
	for _, f := range fakes {
		data, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(o.path("bin/"+filepath.Base(f)), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	host, client := writeKey(t, o.path("hostkey")), writeKey(t, o.path("key"))
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\n"+
		"PermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\nSetEnv PATH=%s:/usr/bin:/bin LAB_TEST_STATE=%s\n",
		l.Addr().(*net.TCPAddr).Port, o.path("hostkey"), o.path("authorized"), o.path("bin"), o.path("state"))
	err = errors.Join(os.WriteFile(o.path("sshd_config"), []byte(config), 0o600),
		os.WriteFile(o.path("authorized"), ssh.MarshalAuthorizedKey(client.PublicKey()), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", enter, "sh", o.dir)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGKILL) // takes the whole process namespace along
		cmd.Wait()
		if t.Failed() {
			t.Logf("sshd says:\n%s", log.String())
		}
	})
	o.machine = lab.Machine{Node: lab.Node{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr("127.0.0.1")}, SSH: lab.SSHEndpoint{
		Addr: addr, User: "root", KeyFile: o.path("key"), HostKey: string(ssh.MarshalAuthorizedKey(host.PublicKey())),
	}}
	return o
}

func (o *openSSH) connect(t *testing.T) *Host {
	t.Helper()
	h, err := Connector{Wait: time.Minute}.Connect(t.Context(), o.machine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// serveEngine answers on the socket that "systemctl restart" puts in place.
func (o *openSSH) serveEngine(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", o.path("run/engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"})
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
}

// TestOnOpenSSH goes the way of lab create over a real OpenSSH server, with
// doubles of apt, dpkg and systemctl behind it: the installation is cut off in
// its midst, and the next run repairs it.
func TestOnOpenSSH(t *testing.T) {
	o := startOpenSSH(t)
	o.serveEngine(t)
	h := o.connect(t)
	facts := func() Facts {
		t.Helper()
		f, err := FindFacts(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := facts()
	if f.OSID != "debian" || f.Init != Systemd || !f.Sudo || f.Engine.State != EngineMissing || f.BootID == "" || f.DiskMiB == 0 {
		t.Fatalf("facts %+v", f)
	}
	nodes := []lab.Node{o.machine.Node}
	for i, want := range []bool{true, false} {
		if changed, err := SetHosts(t.Context(), h, nodes); err != nil || changed != want {
			t.Errorf("names, pass %d: %v, %v", i, changed, err)
		}
	}
	if out, err := h.Run(t.Context(), "getent ahosts node1", nil); err != nil || strings.Contains(string(out), "127.0.1.1") {
		t.Errorf("node1 is %q, %v", out, err)
	}

	// Cut off while packages are unpacked.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := os.WriteFile(o.path("state/stick"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := InstallDocker(ctx, h, f, func(text string) {
		if strings.HasPrefix(text, "Unpacking docker.io") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("installation that was cut off: %v", err)
	}
	if err := errors.Join(os.Remove(o.path("state/stick")), os.Remove(o.path("state/never"))); err != nil {
		t.Fatal(err)
	}
	if f = facts(); f.Engine.State != EngineStopped || f.Package != "install ok half-configured" || !NeedsInstall(f) {
		t.Fatalf("after the cut: %+v", f)
	}
	var said []string
	if changed, err := InstallDocker(t.Context(), h, f, func(text string) { said = append(said, text) }); err != nil || !changed {
		t.Fatalf("installed %v, %v", changed, err)
	}
	want := []string{"Setting up docker.io (20.10.24+dfsg1-1+deb12u1) ...", "Retrieving file 1 of 2 (1s remaining) (50 %)", "Unpacking docker.io (amd64) (40 %)"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("progress: %s", diff)
	}
	if f = facts(); NeedsInstall(f) || f.Engine.State != EngineStopped {
		t.Fatalf("after the installation: %+v", f)
	}
	engineOverOpenSSH(t, o, h, f)
}

// engineOverOpenSSH starts the installed engine with the article's options.
func engineOverOpenSSH(t *testing.T, o *openSSH, h *Host, f Facts) {
	engine, err := AwaitBoot(t.Context(), h, f, func(string) {})
	if err != nil || engine.State != EngineStopped { // policy-rc.d kept the package from starting it
		t.Errorf("engine %+v, %v", engine, err)
	}
	const opts = "-H tcp://127.0.0.1:1 -H unix:///var/run/docker.sock"
	if changed, err := ConfigureDocker(t.Context(), h, f, opts); err != nil || !changed {
		t.Fatalf("configured %v, %v", changed, err)
	}
	if f, err = FindFacts(t.Context(), h); err != nil || f.Engine.Number != "20.10.24" {
		t.Fatalf("engine %+v, %v", f.Engine, err)
	}
	if changed, err := ConfigureDocker(t.Context(), h, f, opts); err != nil || changed {
		t.Errorf("again: %v, %v", changed, err)
	}
	if got := o.state(t, "running"); got != opts+" --tls=false\n" {
		t.Errorf("the engine runs with %q", got)
	}
	if got, want := o.state(t, "systemctl"), "reset-failed docker.service docker.socket\nrestart docker.service\n"; got != want {
		t.Errorf("systemd heard %q, want %q", got, want)
	}
	if left, err := filepath.Glob(o.path("etc/default/.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if d, err := h.Docker(t.Context()); err != nil || d.ClientVersion() != "1.41" {
		t.Errorf("Docker client: %v, %v", d, err)
	}
}

// TestFilesOverOpenSSH: what is written is what was given, whatever its size.
func TestFilesOverOpenSSH(t *testing.T) {
	o := startOpenSSH(t)
	h := o.connect(t)
	for _, size := range []int{0, 1, 32<<10 - 1, 32 << 10, 32<<10 + 1, 5<<20 + 7} {
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		name := fmt.Sprintf("/etc/lab-test/%d", size)
		// A reader that tells no size, as one that counts bytes does.
		if err := h.Upload(t.Context(), name, struct{ io.ReadSeeker }{bytes.NewReader(data)}, 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := h.ReadFile(t.Context(), name)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes come back as %d, %v", size, len(got), err)
		}
		if info, err := os.Stat(o.path("etc/lab-test/" + fmt.Sprint(size))); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v", info, err)
		}
	}
	out, err := h.Run(t.Context(), "ls -A /etc/lab-test | wc -l", nil)
	if err != nil || strings.TrimSpace(string(out)) != "6" {
		t.Errorf("%s files, %v", out, err)
	}
}
