package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
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
	if _, refused := errors.AsType[*ssh.OpenChannelError](err); !refused {
		return conn, err
	}
	// OpenSSH gives the same answer, "connect failed", for an engine that is
	// down, a socket that the user may not open, and forwarding switched off.
	conn, stdioErr := h.dialStdio(ctx)
	if stdioErr != nil {
		return nil, err
	}
	return conn, nil
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
// sshd (Ubuntu 14.04) have a netcat that knows -U. Without a socket there is
// no point in starting any of them: an engine that is down is asked for often.
func dialStdioCommand(root bool) string {
	return "[ -S " + dockerSocket + " ] || { echo no " + dockerSocket + " >&2; exit 1; }; " +
		Quote(privileged(root, "docker", "system", "dial-stdio")...) + " || exec " +
		Quote(privileged(root, "nc", "-U", dockerSocket)...)
}

func (h *Host) dialStdio(ctx context.Context) (net.Conn, error) {
	session, err := h.session(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: dial Docker's socket: %w", h.machine.Name, err)
	}
	c := &stdioConn{session: session, onData: h.useStdio, stderr: &lockedTail{tail: tail{limit: 4 << 10}}, host: h.machine.Name}
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
	onData  func() // called when the first bytes have come
	read    atomic.Bool
	ended   sync.Once
}

// failure is what to say if the command ended before it said anything. It
// waits for the end, so that stderr is complete.
func (c *stdioConn) failure() error {
	c.ended.Do(func() { c.session.Wait() })
	return &CommandError{Cmd: "docker system dial-stdio", Host: c.host, Exit: 1, Stderr: c.stderr.lines(5)}
}

// useStdio makes the command the first choice: it works, and the socket did
// not.
func (h *Host) useStdio() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stdio = true
}

func (c *stdioConn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if n > 0 && !c.read.Swap(true) {
		c.onData()
	}
	if err == io.EOF && !c.read.Load() {
		return n, c.failure()
	}
	return n, err
}

func (c *stdioConn) Write(p []byte) (int, error) {
	n, err := c.in.Write(p)
	if errors.Is(err, io.EOF) && !c.read.Load() { // the command has ended
		return n, c.failure()
	}
	return n, err
}

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
