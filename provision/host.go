package provision

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// Host is one SSH connection to a machine.
type Host struct {
	machine lab.Machine
	client  *ssh.Client
	down    chan struct{} // closed with the connection

	mu     sync.Mutex
	sftp   *sftp.Client
	docker *client.Client
	stdio  bool  // the socket is reached through a command
	reason error // why the connection was closed, if keepAlive did it
}

// Machine returns the machine that this is a connection to.
func (h *Host) Machine() lab.Machine { return h.machine }

// SSH returns the connection for what Host does not offer: terminals,
// listening, streaming commands.
func (h *Host) SSH() *ssh.Client { return h.client }

// Root reports whether the SSH user is root; otherwise commands that need it
// are run by sudo.
func (h *Host) Root() bool { return h.machine.SSH.User == "root" }

// Done is closed when the connection has ended, by Close or by itself.
func (h *Host) Done() <-chan struct{} { return h.down }

// Err says why the connection ended by itself, nil as long as that is not
// known.
func (h *Host) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason
}

// Close ends the connection and everything that runs over it.
func (h *Host) Close() error {
	h.mu.Lock()
	docker, files := h.docker, h.sftp
	h.docker, h.sftp = nil, nil
	h.mu.Unlock()
	if docker != nil {
		docker.Close()
	}
	if files != nil {
		files.Close()
	}
	err := h.client.Close()
	<-h.down
	return err
}

// errSilent is why keepAlive gives a machine up.
var errSilent = errors.New("the machine does not answer any more")

// keepAlive asks regularly whether the machine is there and closes the
// connection if it is not: a machine without power resets nothing. It ends
// with the connection.
func (h *Host) keepAlive(every, silence time.Duration) {
	ended := make(chan struct{})
	go func() {
		h.client.Wait()
		close(ended)
	}()
	defer close(h.down)
	defer func() { <-ended }()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
		}
		answer := make(chan error, 1)
		go func() {
			_, _, err := h.client.SendRequest("keepalive@openssh.com", true, nil)
			answer <- err
		}()
		patience := time.NewTimer(silence)
		select {
		case <-ended:
		case <-answer: // an error means that the connection has ended
		case <-patience.C:
			h.mu.Lock()
			h.reason = fmt.Errorf("%w (silent for %s)", errSilent, silence)
			h.mu.Unlock()
			h.client.Close()
		}
		patience.Stop()
	}
}

// explain adds to an error what is known of the connection's end.
func (h *Host) explain(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && h.reason != nil {
		return errors.Join(h.reason, err)
	}
	return err
}
