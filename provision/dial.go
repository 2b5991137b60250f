package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// dockerSocket is where every engine listens.
const dockerSocket = "/var/run/docker.sock"

// Dial opens a connection from the machine to addr: network is "tcp"
// (host:port) or "unix" (a path; OpenSSH ≥ 6.7). The Docker socket is reached
// by "docker system dial-stdio" where sshd forwards no sockets or the SSH user
// may not open it. The connection has no deadlines.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if network != "unix" || addr != dockerSocket {
		return h.forward(ctx, network, addr)
	}
	h.mu.Lock()
	stdio := h.stdio
	h.mu.Unlock()
	if stdio {
		return h.dialStdio(ctx)
	}
	conn, err := h.forward(ctx, network, addr)
	refused, ok := errors.AsType[*ssh.OpenChannelError](err)
	switch {
	case !ok || (refused.Reason == ssh.ConnectionFailed && h.Root()):
		return conn, err // open, or an engine that is down
	case refused.Reason != ssh.ConnectionFailed: // this sshd forwards no sockets
		h.mu.Lock()
		h.stdio = true
		h.mu.Unlock()
	}
	return h.dialStdio(ctx)
}

// forward dials through SSH and gives up with ctx.
func (h *Host) forward(ctx context.Context, network, addr string) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	ch := make(chan dialled, 1)
	go func() {
		conn, err := h.client.Dial(network, addr)
		ch <- dialled{conn, err}
	}()
	select {
	case d := <-ch:
		if d.err != nil {
			return nil, fmt.Errorf("%s: dial %s %s: %w", h.machine.Name, network, addr, h.explain(d.err))
		}
		return d.conn, nil
	case <-ctx.Done():
		go func() {
			if d := <-ch; d.conn != nil {
				d.conn.Close()
			}
		}()
		return nil, fmt.Errorf("%s: dial %s %s: %w", h.machine.Name, network, addr, context.Cause(ctx))
	}
}

// dialStdioCommand connects stdin and stdout with the Docker socket:
// dial-stdio came with 18.09; machines that have neither it nor sockets in
// sshd (Ubuntu 14.04) have a netcat that knows -U.
func dialStdioCommand(root bool) string {
	return Quote(privileged(root, "docker", "system", "dial-stdio")...) + " || exec " +
		Quote(privileged(root, "nc", "-U", dockerSocket)...)
}

func (h *Host) dialStdio(ctx context.Context) (net.Conn, error) {
	session, err := h.session(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: dial Docker's socket: %w", h.machine.Name, err)
	}
	c := &stdioConn{session: session, stderr: &lockedTail{tail: tail{limit: 4 << 10}}, host: h.machine.Name}
	session.Stderr = c.stderr
	c.in, err = session.StdinPipe()
	if err == nil {
		c.out, err = session.StdoutPipe()
	}
	if err == nil {
		err = session.Start(dialStdioCommand(h.Root()))
	}
	if err != nil {
		session.Close()
		return nil, fmt.Errorf("%s: dial Docker's socket: %w", h.machine.Name, h.explain(err))
	}
	return c, nil
}

// stdioConn is a command whose stdin and stdout are a connection.
type stdioConn struct {
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	stderr  *lockedTail
	host    string
	read    bool // something has been read
}

func (c *stdioConn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if n > 0 {
		c.read = true
	}
	if err == io.EOF && !c.read {
		c.session.Wait()
		return n, &CommandError{Cmd: "docker system dial-stdio", Host: c.host, Exit: 1, Stderr: c.stderr.lines(5)}
	}
	return n, err
}

func (c *stdioConn) Write(p []byte) (int, error) { return c.in.Write(p) }

// CloseWrite tells the other side that nothing more will come.
func (c *stdioConn) CloseWrite() error { return c.in.Close() }
func (c *stdioConn) Close() error      { return c.session.Close() }

func (c *stdioConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "@", Net: "unix"} }
func (c *stdioConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: dockerSocket, Net: "unix"} }
func (c *stdioConn) SetDeadline(time.Time) error      { return errNoDeadline }
func (c *stdioConn) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (c *stdioConn) SetWriteDeadline(time.Time) error { return errNoDeadline }

var errNoDeadline = errors.New("connections through ssh have no deadlines")

// lockedTail is a tail that is read while it is written.
type lockedTail struct {
	mu sync.Mutex
	tail
}

func (t *lockedTail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tail.Write(p)
}

func (t *lockedTail) lines(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tail.lines(n)
}
