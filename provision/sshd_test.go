package provision

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// sshd is a double of a machine's SSH server: commands go to run, files live
// in memory, forwarded connections go to dial.
type sshd struct {
	config *ssh.ServerConfig
	host   ssh.Signer
	key    string // file of the client's key
	user   string

	mu       sync.Mutex
	run      func(cmd string, stdin io.Reader, stdout, stderr io.Writer) int
	dial     func(network, addr string) (net.Conn, error)
	forbid   bool // refuses all forwarding, as AllowStreamLocalForwarding no
	prohibit bool // refuses all forwarding, as AllowTcpForwarding no
	files    sftp.Handlers
	rejected bool // refuses every key
	conns    []net.Conn
	asked    int // requests to forward
}

// forwards returns how often forwarding was asked for.
func (s *sshd) forwards() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func newSigner(t testing.TB) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

func newSSHD(t testing.TB, user string) *sshd {
	t.Helper()
	s := &sshd{user: user, files: sftp.InMemHandler(), key: filepath.Join(t.TempDir(), "key")}
	var signer ssh.Signer
	signer, key := newSigner(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.key, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	s.host, _ = newSigner(t)
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.rejected || c.User() != user || string(k.Marshal()) != string(signer.PublicKey().Marshal()) {
			return nil, errors.New("not known here")
		}
		return nil, nil
	}}
	s.config.AddHostKey(s.host)
	return s
}

func (s *sshd) machine(addr string) lab.Machine {
	return lab.Machine{Node: lab.Node{Name: "node1"}, SSH: lab.SSHEndpoint{
		Addr: addr, User: s.user, KeyFile: s.key, HostKey: string(ssh.MarshalAuthorizedKey(s.host.PublicKey())),
	}}
}

// serve accepts until the listener closes.
func (s *sshd) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		go s.serveConn(conn)
	}
}

func (s *sshd) serveConn(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	go func() {
		for r := range requests {
			r.Reply(r.Type == "keepalive@openssh.com", nil)
		}
	}()
	for ch := range channels {
		go s.serveChannel(ch)
	}
}

func (s *sshd) serveChannel(ch ssh.NewChannel) {
	s.mu.Lock()
	run, dial, forbid, prohibit := s.run, s.dial, s.forbid, s.prohibit
	s.mu.Unlock()
	switch ch.ChannelType() {
	case "session":
		c, requests, err := ch.Accept()
		if err == nil {
			s.serveSession(c, requests, run)
		}
	case "direct-streamlocal@openssh.com", "direct-tcpip":
		s.mu.Lock()
		s.asked++
		s.mu.Unlock()
		if prohibit {
			ch.Reject(ssh.Prohibited, "open failed")
			return
		}
		if forbid {
			ch.Reject(ssh.ConnectionFailed, "open failed") // as OpenSSH 9.2 does
			return
		}
		network, addr := forwardTarget(ch)
		if dial == nil {
			ch.Reject(ssh.ConnectionFailed, "open failed")
			return
		}
		conn, err := dial(network, addr)
		if err != nil {
			ch.Reject(ssh.ConnectionFailed, "open failed")
			return
		}
		c, requests, err := ch.Accept()
		if err != nil {
			conn.Close()
			return
		}
		go ssh.DiscardRequests(requests)
		join(c, conn)
	default:
		ch.Reject(ssh.UnknownChannelType, "")
	}
}

func forwardTarget(ch ssh.NewChannel) (network, addr string) {
	if ch.ChannelType() == "direct-tcpip" {
		var m struct {
			Host     string
			Port     uint32
			From     string
			FromPort uint32
		}
		ssh.Unmarshal(ch.ExtraData(), &m)
		return "tcp", net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port)))
	}
	var m struct {
		Path, Reserved string
		Number         uint32
	}
	ssh.Unmarshal(ch.ExtraData(), &m)
	return "unix", m.Path
}

func (s *sshd) serveSession(c ssh.Channel, requests <-chan *ssh.Request, run func(string, io.Reader, io.Writer, io.Writer) int) {
	defer c.Close()
	for r := range requests {
		switch r.Type {
		case "subsystem":
			r.Reply(true, nil)
			server := sftp.NewRequestServer(c, s.files)
			server.Serve()
			return
		case "exec":
			r.Reply(true, nil)
			var m struct{ Cmd string }
			ssh.Unmarshal(r.Payload, &m)
			exit := run(m.Cmd, c, c, c.Stderr())
			if exit >= 0 {
				c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(exit)}))
			}
			return
		default:
			r.Reply(false, nil)
		}
	}
}

func join(a ssh.Channel, b net.Conn) {
	done := make(chan struct{})
	go func() { io.Copy(a, b); a.CloseWrite(); close(done) }()
	io.Copy(b, a)
	if w, ok := b.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	} else {
		b.Close()
	}
	<-done
	a.Close()
	b.Close()
}

// start serves on a real socket and connects.
func (s *sshd) start(t *testing.T) *Host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.serve(l)
	h, err := Connector{Wait: 30 * time.Second}.Connect(t.Context(), s.machine(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		l.Close()
		s.hangUp()
	})
	return h
}

// hangUp closes all connections on the server's side.
func (s *sshd) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
}

// guardedFiles refuses to write below /etc, as for a user who is not root.
type guardedFiles struct{ sftp.Handlers }

func guard(h sftp.Handlers) sftp.Handlers {
	g := guardedFiles{h}
	return sftp.Handlers{FileGet: g, FilePut: g, FileCmd: g, FileList: h.FileList}
}

func (g guardedFiles) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	if strings.HasPrefix(r.Filepath, "/root/") {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	return g.FileGet.Fileread(r)
}

func (g guardedFiles) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	if strings.HasPrefix(r.Filepath, "/etc/") {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	return g.FilePut.Filewrite(r)
}

func (g guardedFiles) Filecmd(r *sftp.Request) error {
	if strings.HasPrefix(r.Filepath, "/etc/") {
		return sftp.ErrSSHFxPermissionDenied
	}
	return g.FileCmd.Filecmd(r)
}

func (g guardedFiles) PosixRename(r *sftp.Request) error {
	if strings.HasPrefix(r.Target, "/etc/") {
		return sftp.ErrSSHFxPermissionDenied
	}
	return g.FileCmd.(sftp.PosixRenameFileCmder).PosixRename(r)
}

// pipeListener hands out in-memory connections to an HTTP server.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- a:
		return b, nil
	case <-l.done:
		return nil, errors.New("refused")
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: dockerSocket, Net: "unix"} }

var _ interface {
	Runner
	Files
	Prober
	Configurable
} = (*Host)(nil)
