package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"golang.org/x/crypto/ssh"
)

// Connector opens SSH connections. Its zero value is ready for use; the fields
// are for slow machines and for tests.
type Connector struct {
	// Dial opens the connection below SSH; nil means net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Wait is how long a machine may take to answer; 0 means 2 minutes.
	Wait time.Duration
	// Attempt bounds one try; 0 means 15 seconds (slow emulated machines need
	// several for the key exchange).
	Attempt time.Duration
	// KeepAlive is the pause between two questions "are you there?", and
	// Silence how long one may go unanswered before the connection is closed;
	// 0 means 5 and 10 seconds.
	KeepAlive, Silence time.Duration
}

// authPatience is how long a machine may refuse our key before we believe it:
// some answer SSH before the key is in place.
const authPatience = 10 * time.Second

// Connect waits until m answers SSH with the pinned host key and accepts our
// key. The error is a *lab.Error: ssh-timeout, ssh-host-key, ssh-key or
// ssh-refused (the key is not accepted).
func Connect(ctx context.Context, m lab.Machine) (*Host, error) {
	return Connector{}.Connect(ctx, m)
}

// Connect is the function Connect with this connector's settings.
func (c Connector) Connect(ctx context.Context, m lab.Machine) (*Host, error) {
	c.Wait = cmp.Or(c.Wait, 2*time.Minute)
	c.Attempt = cmp.Or(c.Attempt, 15*time.Second)
	c.KeepAlive = cmp.Or(c.KeepAlive, 5*time.Second)
	c.Silence = cmp.Or(c.Silence, 10*time.Second)
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	config, err := clientConfig(m)
	if err != nil {
		return nil, err
	}
	waitCtx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	var client *ssh.Client
	var refusedSince time.Time
	err = lab.Until(waitCtx, 100*time.Millisecond, "ssh at "+m.SSH.Addr, remembering(func(ctx context.Context) error {
		var err error
		client, err = c.attempt(ctx, m.SSH.Addr, config)
		if !authRefused(err) {
			refusedSince = time.Time{}
		} else if refusedSince.IsZero() {
			refusedSince = time.Now()
		} else if time.Since(refusedSince) > authPatience {
			return lab.Permanent(err)
		}
		return err
	}))
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to %s: %w", m.Name, err)
		}
		return nil, connectError(m, err)
	}
	h := &Host{machine: m, client: client, down: make(chan struct{})}
	go h.keepAlive(c.KeepAlive, c.Silence)
	return h, nil
}

// attempt is one try: connection, key exchange, authentication.
func (c Connector) attempt(ctx context.Context, addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Attempt)
	defer cancel()
	conn, err := c.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	sshConn, chans, reqs, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		conn.Close()
		if !stop() && ctx.Err() != nil {
			return nil, fmt.Errorf("no ssh handshake within %s: %w", c.Attempt, ctx.Err())
		}
		return nil, err
	}
	if !stop() { // ctx ended just now and took the connection with it
		sshConn.Close()
		return nil, ctx.Err()
	}
	return ssh.NewClient(sshConn, chans, reqs), nil
}

// hostKeyError is an answer from a machine that is not the one we made.
type hostKeyError struct{ addr, want, got string }

func (e *hostKeyError) Error() string {
	return fmt.Sprintf("%s answers with host key %s, expected %s", e.addr, e.got, e.want)
}

func clientConfig(m lab.Machine) (*ssh.ClientConfig, error) {
	fail := func(id string, err error, advice string) error {
		return &lab.Error{ID: id, Op: "prepare ssh", Machine: m.Name, Err: err, Advice: advice}
	}
	pem, err := os.ReadFile(m.SSH.KeyFile)
	if err != nil {
		return nil, fail("ssh-key", err, "the lab's record is incomplete: lab destroy, then lab create")
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fail("ssh-key", fmt.Errorf("%s: %w", m.SSH.KeyFile, err), "the key file is damaged: lab destroy, then lab create")
	}
	if m.SSH.HostKey == "" {
		return nil, fail("ssh-host-key", errors.New("no host key recorded"), "run lab create again: it records the key")
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.SSH.HostKey))
	if err != nil {
		return nil, fail("ssh-host-key", fmt.Errorf("recorded host key: %w", err), "run lab create again: it records the key")
	}
	return &ssh.ClientConfig{
		User:              m.SSH.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyAlgorithms: hostKeyAlgorithms(pinned.Type()),
		HostKeyCallback: func(_ string, _ net.Addr, got ssh.PublicKey) error {
			if string(got.Marshal()) == string(pinned.Marshal()) {
				return nil
			}
			return lab.Permanent(&hostKeyError{m.SSH.Addr, ssh.FingerprintSHA256(pinned), ssh.FingerprintSHA256(got)})
		},
	}, nil
}

// hostKeyAlgorithms makes the server show the key that is pinned; an RSA key
// signs by three names (RFC 8332).
func hostKeyAlgorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{keyType}
}

// authRefused tells a refused key; x/crypto/ssh has no type for it.
func authRefused(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unable to authenticate")
}

func connectError(m lab.Machine, err error) error {
	e := &lab.Error{ID: "ssh-timeout", Op: "connect by ssh", Machine: m.Name, Err: err,
		Advice: "look whether the machine runs (lab status) and what it logged; lab create may be repeated at any time"}
	if _, ok := errors.AsType[*hostKeyError](err); ok || strings.Contains(err.Error(), "no common algorithm for host key") {
		e.ID = "ssh-host-key"
		e.Advice = "another machine has this address now: find it, or choose another subnet"
	} else if authRefused(err) {
		e.ID = "ssh-refused"
		e.Advice = fmt.Sprintf("the machine does not accept %s for user %s: lab destroy, then lab create", m.SSH.KeyFile, m.SSH.User)
	}
	return e
}
