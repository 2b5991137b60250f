package zookeeper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

// lingering is how long a connection that we ended may still send, so that
// what it sent does not reset the connection before our last words are read.
const lingering = time.Second

// conn is one connection, of a client or of somebody with a word.
type conn struct {
	s      *server
	nc     net.Conn
	remote string // address:port
	host   string // address
	out    *outbox

	// Guarded by server.mu.
	session *session        // nil before the first answer
	ids     []tree.Identity // who the client is
	stats   connStats
	gone    bool // kicked or dismissed: its requests do not count
}

func newConn(s *server, nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, remote: nc.RemoteAddr().String(), out: newOutbox()}
	c.host = c.remote
	if host, _, err := net.SplitHostPort(c.remote); err == nil {
		c.host = host
	}
	c.ids = []tree.Identity{tree.IP(c.host)}
	c.stats.since = time.Now()
	return c
}

// kick ends the connection at once. server.mu is held.
func (c *conn) kick() {
	c.gone = true
	c.s.watches.drop(c)
	c.out.close()
	c.nc.Close()
}

// serve reads what the other side sends until one of both ends it.
func (c *conn) serve() {
	var writer sync.WaitGroup
	writer.Go(func() { c.out.drain(c.nc) })
	err := c.read()
	c.out.finish()
	if errors.Is(err, errEnded) {
		c.out.awaitFree()
		// Let the writer finish, and the client hang up first.
		if c.nc.SetReadDeadline(time.Now().Add(lingering)) == nil {
			io.Copy(io.Discard, io.LimitReader(c.nc, outboxLimit))
		}
	} else if err != nil {
		c.s.log.note("connection of %s closed: %v", c.remote, err)
	}
	c.out.close()
	c.nc.Close()
	c.s.dismiss(c)
	writer.Wait()
}

// errEnded says that the server ends a connection on purpose, after its last
// answer.
var errEnded = errors.New("connection ended")

// read does the whole conversation. nil means that the client is gone.
func (c *conn) read() error {
	// A silent newcomer shall not stay for ever.
	if err := c.nc.SetDeadline(time.Now().Add(c.s.cfg.max)); err != nil {
		return nil
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(c.nc, head); err != nil {
		return nil
	}
	if print := printer(string(head)); print != nil {
		return c.s.answer(c, print)
	}
	packet, err := c.packet(head, maxConnect)
	if packet == nil {
		return err
	}
	var req jute.ConnectRequest
	d := jute.NewDecoder(packet)
	if req.Decode(d); d.Err() != nil {
		return fmt.Errorf("connect request: %w", d.Err())
	}
	if !c.s.connect(c, req) {
		return errEnded
	}
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return nil
	}
	for {
		c.out.awaitRoom()
		c.s.awaitDisk()
		if _, err := io.ReadFull(c.nc, head); err != nil {
			return nil
		}
		packet, err := c.packet(head, jute.MaxPacket)
		if packet == nil {
			return err
		}
		if err := c.s.request(c, packet); err != nil {
			return err
		}
	}
}

// maxConnect is the largest connect request, in bytes; real ones have 44 or 45.
// Who has no session shall not have a megabyte.
const maxConnect = 1 << 10

// packet reads the rest of a packet whose length has been read. It returns
// nil, nil if the client is gone. Memory is taken as bytes come, not as a length
// announces them.
func (c *conn) packet(head []byte, limit int32) ([]byte, error) {
	n := int32(binary.BigEndian.Uint32(head))
	if n < 0 || n > limit {
		return nil, fmt.Errorf("packet length %d is not between 0 and %d", n, limit)
	}
	b := bytes.NewBuffer(make([]byte, 0, min(n, maxConnect)))
	if _, err := io.CopyN(b, c.nc, int64(n)); err != nil {
		return nil, nil
	}
	return b.Bytes(), nil
}
