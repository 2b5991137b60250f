package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/stream"
)

// lingering is how long a finished stream waits for the client to close.
const lingering = 2 * time.Second

// hijacked is a request's connection taken over for raw streams.
type hijacked struct {
	conn net.Conn
	in   *bufio.Reader
	mu   sync.Mutex // one writer at a time
}

// hijack takes over the connection and answers as the client asked: 101 where
// it wants an upgrade, else 200.
func hijack(w http.ResponseWriter, r *http.Request, contentType string) (*hijacked, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	head := "HTTP/1.1 200 OK\r\nContent-Type: " + rawStream + "\r\n\r\n"
	if r.Header.Get("Upgrade") != "" {
		head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: " + contentType + "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
	}
	if _, err := io.WriteString(conn, head); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &hijacked{conn: conn, in: rw.Reader}, nil
}

// writer is one stream of the connection.
func (h *hijacked) writer(which byte, raw bool) io.Writer {
	return &frameWriter{h: h, which: which, frames: stream.Frames{W: h.conn, Raw: raw}}
}

type frameWriter struct {
	h      *hijacked
	which  byte
	frames stream.Frames
}

func (w *frameWriter) Write(p []byte) (int, error) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	if err := w.frames.Write(w.which, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// finish ends the output and closes once the client has, or after a while: a
// close with unread input would reset the connection and lose output.
func (h *hijacked) finish() {
	if c, ok := h.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		h.conn.SetReadDeadline(time.Now().Add(lingering))
		io.Copy(io.Discard, h.conn)
	}
	h.conn.Close()
}

// detachKeys reads ctrl-p,ctrl-q into the bytes that a terminal sends.
func detachKeys(s string) []byte {
	if s == "" {
		s = "ctrl-p,ctrl-q"
	}
	var keys []byte
	for _, k := range strings.Split(s, ",") {
		letter, ctrl := strings.CutPrefix(k, "ctrl-")
		if len(letter) != 1 {
			return nil
		}
		b := letter[0]
		if ctrl {
			b &= 0x1f
		}
		keys = append(keys, b)
	}
	return keys
}

// errDetached ends the input of a client that typed the detach keys.
var errDetached = errors.New("read escape sequence")

// detachReader passes input on until the detach keys are typed.
type detachReader struct {
	r    io.Reader
	keys []byte
	held int // how many of the keys were typed so far
}

// Read returns what is certainly not part of the keys.
func (d *detachReader) Read(p []byte) (int, error) {
	if len(d.keys) == 0 || len(p) < 2*len(d.keys) {
		return d.r.Read(p)
	}
	buf := make([]byte, len(p)/len(d.keys))
	for {
		n, err := d.r.Read(buf)
		out := 0
		for _, b := range buf[:n] {
			if b == d.keys[d.held] {
				if d.held++; d.held == len(d.keys) {
					return out, errDetached
				}
				continue
			}
			out += copy(p[out:], d.keys[:d.held])
			if d.held = 0; b == d.keys[0] {
				d.held = 1
				continue
			}
			p[out] = b
			out++
		}
		if out > 0 || err != nil {
			return out, err
		}
	}
}
