package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// Path is the resource on the master's port that the agent upgrades.
	Path = "/slave/v1"
	// Protocol is the word in the Upgrade header.
	Protocol = "mini-mesos-slave"
)

// RedirectError: the master asked does not lead; Leader ("ip:port") does.
type RedirectError struct{ Leader string }

func (e *RedirectError) Error() string { return "not the leading master: " + e.Leader + " leads" }

// RefusedError: the master answered with another status than 101 or 307.
type RefusedError struct {
	Status int
	Text   string
}

func (e *RefusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("master refused: %d %s: %s", e.Status, http.StatusText(e.Status), e.Text))
}

// DialFunc opens a TCP connection, as mini.Env.Dial does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dial connects to the master at addr ("ip:port"). Errors are those of dial,
// *RedirectError and *RefusedError. ctx bounds the handshake only.
func Dial(ctx context.Context, dial DialFunc, addr string) (*Conn, error) {
	c, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial master %s: %w", addr, err)
	}
	w, err := upgrade(ctx, c, addr)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("upgrade at master %s: %w", addr, err)
	}
	return w, nil
}

func upgrade(ctx context.Context, c net.Conn, addr string) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+Path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", Protocol)
	if err := req.Write(c); err != nil {
		return nil, cause(ctx, err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, cause(ctx, err)
	}
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols && resp.Header.Get("Upgrade") == Protocol:
		if !stop() {
			return nil, cause(ctx, ctx.Err())
		}
		return NewConn(c, r), nil
	case resp.StatusCode == http.StatusTemporaryRedirect:
		u, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("redirected to %q", resp.Header.Get("Location"))
		}
		return nil, &RedirectError{Leader: u.Host}
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	return nil, &RefusedError{Status: resp.StatusCode, Text: strings.TrimSpace(string(text))}
}

// Accept turns an agent's request into a connection. If it returns an error
// it has answered the request with it.
func Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), Protocol) {
		w.Header().Set("Upgrade", Protocol)
		http.Error(w, "this path speaks "+Protocol+" only", http.StatusUpgradeRequired)
		return nil, errors.New("not a " + Protocol + " upgrade")
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil, fmt.Errorf("take over connection: %w", err)
	}
	c.SetDeadline(time.Time{})
	_, err = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+Protocol+"\r\n\r\n")
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("answer upgrade: %w", err)
	}
	return NewConn(c, rw.Reader), nil
}
