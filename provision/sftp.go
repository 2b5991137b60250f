package provision

import (
	"context"
	"fmt"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// packets says how much one SFTP request carries. Each size has a session of
// its own on the connection, opened when it is first needed.
type packets int

// Files are read and small ones written by packets of 32 KiB, the protocol's
// own promise: the library takes a read that a server cuts short for the end
// of the file. What is only written, and large, goes by packets of 128 KiB:
// OpenSSH's server and that of embedded machines take messages of up to
// 256 KiB.
const (
	smallPackets packets = iota
	largePackets
	packetSizes
)

const uploadPacket = 128 << 10

// startSFTP speaks SFTP over a session that is open already, so that opening
// it can be given up.
func startSFTP(session *ssh.Session, p packets) (*sftp.Client, error) {
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := session.RequestSubsystem("sftp"); err != nil {
		return nil, err
	}
	options := []sftp.ClientOption{sftp.UseConcurrentWrites(true)}
	if p == largePackets {
		options = append(options, sftp.MaxPacketUnchecked(uploadPacket))
	}
	return sftp.NewClientPipe(stdout, stdin, options...)
}

// withSFTP gives fn an SFTP client of the connection. The library knows no
// contexts: if ctx ends, the client is closed below fn and made anew next
// time.
func (h *Host) withSFTP(ctx context.Context, p packets, fn func(*sftp.Client) error) error {
	c, err := h.sftpClient(ctx, p)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		if h.sftp[p] == c {
			h.sftp[p] = nil
		}
		h.mu.Unlock()
		c.Close()
	})
	err = fn(c)
	if !stop() {
		return context.Cause(ctx)
	}
	return h.explain(err)
}

func (h *Host) sftpClient(ctx context.Context, p packets) (*sftp.Client, error) {
	h.mu.Lock()
	c := h.sftp[p]
	h.mu.Unlock()
	if c != nil {
		return c, nil
	}
	session, err := h.session(ctx)
	if err != nil {
		return nil, fmt.Errorf("open sftp: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	c, err = startSFTP(session, p)
	if err != nil {
		session.Close()
		return nil, fmt.Errorf("open sftp: %w", h.explain(err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sftp[p] != nil { // another call was faster
		c.Close()
		return h.sftp[p], nil
	}
	h.sftp[p] = c
	return c, nil
}
