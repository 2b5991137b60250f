//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/local/machine"
	"github.com/mesoslab/lab/provision"
)

// uploadSize is what the article's five images come to, roughly, once packed.
const uploadSize = 200 << 20

// BenchmarkUpload sends a file of 200 MB to three OpenSSH servers on loopback
// at once, by lab and by scp in turn, and gives the ratio of the times: above
// 1, lab is the faster.
func BenchmarkUpload(b *testing.B) {
	scp := labtest.NeedProgram(b, "scp")
	dir := b.TempDir()
	file := filepath.Join(dir, "file")
	writeRandom(b, file)
	var servers []*sshServer
	for i := range 3 {
		servers = append(servers, startSSHD(b, filepath.Join(dir, fmt.Sprint(i))))
	}
	b.Log(machineSize())
	byLab, byScp, ratio := in("MB/s"), in("MB/s"), in("x")
	for b.Loop() {
		for range rounds {
			took := together(b, servers, func(ctx context.Context, s *sshServer) error { return s.upload(ctx, file) })
			check(b, servers, file)
			scpTook := together(b, servers, func(ctx context.Context, s *sshServer) error { return s.scp(ctx, scp, file) })
			check(b, servers, file)
			mb := float64(len(servers)*uploadSize) / 1e6
			byLab.add(mb / took.Seconds())
			byScp.add(mb / scpTook.Seconds())
			ratio.add(scpTook.Seconds() / took.Seconds())
		}
	}
	byLab.report(b, "lab")
	byScp.report(b, "scp")
	ratio.report(b, "scp/lab")
}

func writeRandom(b *testing.B, name string) {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	source := rand.NewChaCha8([32]byte{1})
	block := make([]byte, 1<<20)
	for range uploadSize / len(block) {
		source.Read(block)
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// together does the same with all servers at once.
func together(b *testing.B, servers []*sshServer, fn func(context.Context, *sshServer) error) time.Duration {
	b.Helper()
	for _, s := range servers {
		if err := os.Remove(s.target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.Fatal(err)
		}
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	for _, s := range servers {
		group.Go(func() error { return fn(ctx, s) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// check looks that every server has the file.
func check(b *testing.B, servers []*sshServer, file string) {
	b.Helper()
	b.StopTimer()
	defer b.StartTimer()
	want, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range servers {
		if got, err := os.ReadFile(s.target); err != nil || !bytes.Equal(got, want) {
			b.Fatalf("%s: %d bytes, %v", s.target, len(got), err)
		}
	}
}

// sshServer is an OpenSSH server of this user on loopback.
type sshServer struct {
	dir, target string
	machine     lab.Machine
	host        *provision.Host
	port        string
}

// upload and scp include what it costs to begin: a new connection for scp, a
// new SFTP session for lab, which has its connection anyway.
func (s *sshServer) upload(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.host.Upload(ctx, s.target, f, 0o644)
}

func (s *sshServer) scp(ctx context.Context, program, file string) error {
	out, err := exec.CommandContext(ctx, program, "-q", "-B", "-F", "none", "-P", s.port, "-i", s.machine.SSH.KeyFile, "-o", "IdentitiesOnly=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", file, s.machine.SSH.User+"@127.0.0.1:"+s.target).CombinedOutput()
	if err != nil {
		return fmt.Errorf("scp: %w: %s", err, out)
	}
	return nil
}

func startSSHD(b *testing.B, dir string) *sshServer {
	b.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		sshd = labtest.NeedProgram(b, "sshd")
	}
	me, err := user.Current()
	if err != nil {
		b.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // as the package's service makes it
			b.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	s := &sshServer{dir: dir, target: filepath.Join(dir, "target")}
	in := func(name string) string { return filepath.Join(dir, name) }
	key := func(name string) string {
		text, signer, err := machine.NewKey("bench")
		if err == nil {
			err = os.WriteFile(in(name), text, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
		return string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
	}
	host, client := key("hostkey"), key("key")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_, s.port, _ = net.SplitHostPort(addr)
	l.Close()
	config := fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\n"+
		"PermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp /usr/lib/openssh/sftp-server\n", s.port, in("hostkey"), in("authorized"))
	if err := errors.Join(os.WriteFile(in("config"), []byte(config), 0o600), os.WriteFile(in("authorized"), []byte(client), 0o600)); err != nil {
		b.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(sshd, "-D", "-e", "-f", in("config"))
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if b.Failed() {
			b.Logf("sshd says:\n%s", log.String())
		}
	})
	s.machine = lab.Machine{Node: lab.Node{Name: "node1"}, SSH: lab.SSHEndpoint{Addr: addr, User: me.Username, KeyFile: in("key"), HostKey: host}}
	s.host, err = provision.Connector{Wait: 30 * time.Second}.Connect(b.Context(), s.machine)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.host.Close() })
	return s
}
