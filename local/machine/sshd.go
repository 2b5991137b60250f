//go:build unix

package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/shell"
)

// handshakeTimeout bounds strangers who connect and say nothing.
const handshakeTimeout = 30 * time.Second

// sshServer serves SSH: exec, shell, sftp, direct-tcpip, direct-streamlocal.
type sshServer struct {
	machine *machine
	config  *ssh.ServerConfig
	log     *slog.Logger
}

func (m *machine) newSSHServer() (*sshServer, error) {
	key, _, err := HostKey(m.folder)
	if err != nil {
		return nil, err
	}
	s := &sshServer{machine: m, log: m.log.With("service", "ssh")}
	s.config = &ssh.ServerConfig{ServerVersion: "SSH-2.0-lab", PublicKeyCallback: s.authorize}
	s.config.AddHostKey(key)
	return s, nil
}

// authorize lets vagrant and root in with a key of authorized_keys, which is
// read each time.
func (s *sshServer) authorize(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if c.User() != "vagrant" && c.User() != "root" {
		return nil, fmt.Errorf("no user %q here", c.User())
	}
	rest, err := os.ReadFile(s.machine.folder.Path(folder.KeysFile))
	if err != nil {
		return nil, fmt.Errorf("authorized keys: %w", err)
	}
	for len(rest) > 0 {
		known, _, _, more, err := ssh.ParseAuthorizedKey(rest)
		if err != nil {
			break
		}
		if bytes.Equal(known.Marshal(), key.Marshal()) {
			return &ssh.Permissions{}, nil
		}
		rest = more
	}
	return nil, errors.New("key is not authorized")
}

// serve accepts connections until the listener closes.
func (s *sshServer) serve(ctx context.Context, l net.Listener) {
	acceptEach(ctx, l, func(c net.Conn) { s.connection(ctx, c) }, func(err error) { s.log.Warn("accept", "error", err) })
}

func (s *sshServer) connection(ctx context.Context, raw net.Conn) {
	defer raw.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	// A deadline that cannot be set shows in the handshake.
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	conn, channels, requests, err := ssh.NewServerConn(raw, s.config)
	if err != nil {
		s.log.Debug("handshake", "from", raw.RemoteAddr().String(), "error", err)
		return
	}
	_ = raw.SetDeadline(time.Time{})
	// Keep-alives want any answer; ssh -R gets "no".
	go ssh.DiscardRequests(requests)
	var work sync.WaitGroup
	for ch := range channels {
		work.Go(func() { s.channel(ctx, conn, ch) })
	}
	cancel()
	work.Wait()
}

func (s *sshServer) channel(ctx context.Context, conn *ssh.ServerConn, ch ssh.NewChannel) {
	switch ch.ChannelType() {
	case "session":
		s.session(ctx, conn, ch)
	case "direct-tcpip":
		var to struct {
			Host       string
			Port       uint32
			FromHost   string
			OriginPort uint32
		}
		if ssh.Unmarshal(ch.ExtraData(), &to) != nil || to.Port > 65535 {
			s.reject(ch, ssh.ConnectionFailed, "malformed request")
			return
		}
		s.forward(ctx, ch, "tcp", net.JoinHostPort(to.Host, strconv.FormatUint(uint64(to.Port), 10)))
	case "direct-streamlocal@openssh.com":
		var to struct {
			Path     string
			Reserved string
			Zero     uint32
		}
		if ssh.Unmarshal(ch.ExtraData(), &to) != nil {
			s.reject(ch, ssh.ConnectionFailed, "malformed request")
			return
		}
		if to.Path != shell.DockerSocket && to.Path != "/run/docker.sock" {
			s.reject(ch, ssh.Prohibited, "only "+shell.DockerSocket+" is forwarded")
			return
		}
		s.forward(ctx, ch, "unix", to.Path)
	default:
		s.reject(ch, ssh.UnknownChannelType, "not on this machine: "+ch.ChannelType())
	}
}

func (s *sshServer) reject(ch ssh.NewChannel, reason ssh.RejectionReason, text string) {
	if err := ch.Reject(reason, text); err != nil {
		s.log.Debug("reject", "error", err)
	}
}

// forward joins a channel with a connection, half-closes included.
func (s *sshServer) forward(ctx context.Context, ch ssh.NewChannel, network, address string) {
	dialing, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	to, err := s.machine.Dial(dialing, network, address)
	if err != nil {
		s.reject(ch, ssh.ConnectionFailed, err.Error())
		return
	}
	defer to.Close()
	from, requests, err := ch.Accept()
	if err != nil {
		return
	}
	defer from.Close()
	go ssh.DiscardRequests(requests)
	stop := context.AfterFunc(ctx, func() { to.Close(); from.Close() })
	defer stop()
	join(from, to)
}
