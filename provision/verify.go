package provision

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
	"golang.org/x/crypto/ssh"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// pingTimeout bounds one question to a port.
const pingTimeout = 5 * time.Second

// VerifyTCP waits until the engine at addr:port answers /_ping, asked from this
// computer as the article's scripts would. The error id is docker-port-closed;
// it tells what was seen last.
func VerifyTCP(ctx context.Context, addr string, port int, wait time.Duration) error {
	return VerifyTCPFrom(ctx, (&net.Dialer{}).DialContext, addr, port, wait)
}

// VerifyTCPFrom is VerifyTCP asked from wherever dial dials: Host.Dial asks
// from a machine, for engines that listen on 127.0.0.1 only.
func VerifyTCPFrom(ctx context.Context, dial DialFunc, addr string, port int, wait time.Duration) error {
	at := net.JoinHostPort(addr, strconv.Itoa(port))
	transport := &http.Transport{DialContext: bounded(dial, pingTimeout), DisableKeepAlives: true}
	waitCtx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := lab.Until(waitCtx, 50*time.Millisecond, "Docker at tcp://"+at, remembering(func(ctx context.Context) error {
		return ping(ctx, transport, at)
	}))
	if err == nil || ctx.Err() != nil {
		return err
	}
	e := &lab.Error{ID: "docker-port-closed", Op: "ask Docker from outside", Machine: addr, Err: err,
		Advice: "the engine does not listen there: look at DOCKER_OPTS in " + defaultsPath + " on the machine"}
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, syscall.ECONNREFUSED) {
		if _, answered := errors.AsType[*pingError](err); !answered {
			e.Advice = "nothing comes back: look for a firewall on the machine or another network that uses its subnet"
		}
	}
	return e
}

// VerifyTCPBetween waits until the engine of machine to answers on its address,
// asked from another machine: by a connection through that one's SSH, or by a
// command on it where its sshd forwards none. The error id is
// docker-port-closed.
func VerifyTCPBetween(ctx context.Context, from *Host, to lab.Machine, port int, wait time.Duration) error {
	addr := to.IP.String()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := from.Dial(ctx, network, addr)
		if refused, ok := errors.AsType[*ssh.OpenChannelError](err); ok && refused.Reason == ssh.Prohibited {
			return nil, lab.Permanent(err)
		}
		return conn, err
	}
	err := VerifyTCPFrom(ctx, dial, addr, port, wait)
	if refused, ok := errors.AsType[*ssh.OpenChannelError](err); ok && refused.Reason == ssh.Prohibited {
		err = verifyByCommand(ctx, from, addr, port, wait)
	}
	if e, ok := errors.AsType[*lab.Error](err); ok {
		return &lab.Error{ID: e.ID, Op: "ask Docker from " + from.Machine().Name, Machine: to.Name, Err: e.Err,
			Advice: "this computer reaches it, and another machine of the lab does not: look for a firewall on the machines, and at their routes to " + addr}
	}
	return err
}

// verifyByCommand asks by what every Debian has: bash opens connections.
func verifyByCommand(ctx context.Context, from Runner, addr string, port int, wait time.Duration) error {
	at := net.JoinHostPort(addr, strconv.Itoa(port))
	cmd := Quote("timeout", "5", "bash", "-c", fmt.Sprintf(
		`exec 3<>/dev/tcp/%s/%d && printf 'GET /_ping HTTP/1.0\r\nHost: %s\r\n\r\n' >&3 && head -n 1 <&3`, addr, port, at))
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := lab.Until(ctx, 500*time.Millisecond, "Docker at tcp://"+at, remembering(func(ctx context.Context) error {
		out, err := from.Run(ctx, cmd, nil)
		if err == nil && !strings.Contains(string(out), " 200 ") {
			err = &pingError{strings.TrimSpace(string(out))}
		}
		return err
	}))
	if err != nil && context.Cause(ctx) == context.DeadlineExceeded {
		return &lab.Error{ID: "docker-port-closed", Err: err}
	}
	return err
}

// pingError is an answer that is not an engine's.
type pingError struct{ status string }

func (e *pingError) Error() string { return fmt.Sprintf("/_ping answers %s", e.status) }

func ping(ctx context.Context, transport *http.Transport, at string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/_ping", nil)
	if err != nil {
		return lab.Permanent(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &pingError{resp.Status}
	}
	return nil
}
