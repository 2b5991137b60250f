package labtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"

	"github.com/mesoslab/lab"
	"golang.org/x/crypto/ssh"
)

// OpenSSH runs a real sshd for this user on a loopback port and returns the
// machine that it makes of this computer: its SFTP server, its shell. Where
// sshd is not installed the test skips, as with NeedProgram.
func OpenSSH(t testing.TB) lab.Machine {
	t.Helper()
	path := "/usr/sbin/sshd" // in few users' PATH
	if _, err := os.Stat(path); err != nil {
		path = NeedProgram(t, "sshd")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // where sshd locks up its helpers
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	client, host := newKey(t, filepath.Join(dir, "client")), newKey(t, filepath.Join(dir, "host"))
	authorized, config := filepath.Join(dir, "authorized_keys"), filepath.Join(dir, "config")
	addr := freePort(t)
	text := fmt.Sprintf("ListenAddress %s\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\nSubsystem sftp internal-sftp\n",
		addr, filepath.Join(dir, "host"), authorized)
	for name, data := range map[string][]byte{authorized: ssh.MarshalAuthorizedKey(client), config: []byte(text)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, "-D", "-e", "-f", config)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("sshd says\n%s", log.String())
		}
	})
	return lab.Machine{Node: lab.Node{Name: "node1"}, SSH: lab.SSHEndpoint{
		Addr: addr, User: me.Username, KeyFile: filepath.Join(dir, "client"), HostKey: string(ssh.MarshalAuthorizedKey(host)),
	}}
}

// newKey writes a private key and returns the public one.
func newKey(t testing.TB, file string) ssh.PublicKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey()
}

// freePort is an address that was free a moment ago.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
