package provision

import (
	"context"
	"fmt"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// startSFTP speaks SFTP over a session that is open already, so that opening
// it can be given up.
func startSFTP(session *ssh.Session) (*sftp.Client, error) {
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
	// 64 requests of 32 KiB in flight fill the window that OpenSSH gives a
	// channel; larger ones (servers take 128 KiB) are no faster (measured), and
	// the library takes a read that a server cuts short for the end of the file.
	return sftp.NewClientPipe(stdout, stdin, sftp.UseConcurrentWrites(true))
}

// withSFTP gives fn the connection's SFTP client. The library knows no
// contexts: if ctx ends, the client is closed below fn and made anew next
// time.
func (h *Host) withSFTP(ctx context.Context, fn func(*sftp.Client) error) error {
	c, err := h.sftpClient(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		if h.sftp == c {
			h.sftp = nil
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

func (h *Host) sftpClient(ctx context.Context) (*sftp.Client, error) {
	h.mu.Lock()
	c := h.sftp
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
	c, err = startSFTP(session)
	if err != nil {
		session.Close()
		return nil, fmt.Errorf("open sftp: %w", h.explain(err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sftp != nil { // another call was faster
		c.Close()
		return h.sftp, nil
	}
	h.sftp = c
	return c, nil
}
