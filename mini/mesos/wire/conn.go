package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// Version is the protocol version of every frame.
	Version = 3
	// MaxPayload is the longest payload, in bytes.
	MaxPayload = 16 << 20

	headerLen = 4 + 1 + 8
)

// ErrVersion: the peer speaks another version of the protocol.
var ErrVersion = errors.New("protocol version mismatch")

// ErrSequence: a frame is missing or repeated.
var ErrSequence = errors.New("frame out of sequence")

// ErrTooLong: a payload is empty or longer than MaxPayload.
var ErrTooLong = errors.New("frame length out of bounds")

// Conn carries messages over one connection.
type Conn struct {
	c        net.Conn
	r        *bufio.Reader
	received uint64

	mu   sync.Mutex // one frame at a time goes out
	sent uint64
}

// NewConn returns a Conn over c; r holds what was already read from it.
func NewConn(c net.Conn, r *bufio.Reader) *Conn {
	if r == nil {
		r = bufio.NewReader(c)
	}
	return &Conn{c: c, r: r}
}

// Send writes m as one frame. It blocks while the peer takes nothing, until
// ctx ends. After an error the connection is closed.
func (c *Conn) Send(ctx context.Context, m Message) error {
	payload, err := Marshal(m)
	if err != nil {
		return err
	}
	if len(payload) > MaxPayload {
		return fmt.Errorf("send %s of %d bytes: %w", m.Kind(), len(payload), ErrTooLong)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	frame := appendFrame(make([]byte, 0, headerLen+len(payload)), c.sent, payload)
	stop := context.AfterFunc(ctx, func() { c.c.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.c.Write(frame); err != nil {
		c.c.Close()
		return fmt.Errorf("send %s: %w", m.Kind(), cause(ctx, err))
	}
	return nil
}

// Receive returns the next message. It blocks until one is whole or ctx
// ends. After an error the connection is closed. io.EOF means that the peer
// closed it between two frames.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	stop := context.AfterFunc(ctx, func() { c.c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	m, err := readFrame(c.r, c.received+1)
	if err != nil {
		c.c.Close()
		if err == io.EOF {
			return nil, err
		}
		return nil, fmt.Errorf("receive: %w", cause(ctx, err))
	}
	c.received++
	return m, nil
}

// Close ends the connection. It is safe to call it more than once.
func (c *Conn) Close() error { return c.c.Close() }

// LocalAddr is this side's address.
func (c *Conn) LocalAddr() net.Addr { return c.c.LocalAddr() }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.c.RemoteAddr() }

func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func appendFrame(b []byte, seq uint64, payload []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, Version)
	b = binary.BigEndian.AppendUint64(b, seq)
	return append(b, payload...)
}

func readFrame(r io.Reader, want uint64) (Message, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, err
	}
	if h[4] != Version {
		return nil, fmt.Errorf("%w: peer has %d, we have %d", ErrVersion, h[4], Version)
	}
	if seq := binary.BigEndian.Uint64(h[5:]); seq != want {
		return nil, fmt.Errorf("%w: got %d, want %d", ErrSequence, seq, want)
	}
	n := binary.BigEndian.Uint32(h[:4])
	if n == 0 || n > MaxPayload {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, n)
	}
	// Grow with what really arrives: a length alone reserves no memory.
	var payload bytes.Buffer
	if m, err := io.CopyN(&payload, r, int64(n)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("payload after %d of %d bytes: %w", m, n, err)
	}
	return Unmarshal(payload.Bytes())
}
