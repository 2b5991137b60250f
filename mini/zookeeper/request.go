package zookeeper

import (
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

// encodeFunc appends the body of a reply.
type encodeFunc func(*jute.Encoder)

// request does one request and queues its reply. An error ends the
// connection; errEnded does so politely.
func (s *server) request(c *conn, packet []byte) error {
	start := time.Now()
	var h jute.RequestHeader
	d := jute.NewDecoder(packet)
	if h.Decode(d); d.Err() != nil {
		return fmt.Errorf("request header: %w", d.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone || s.closing {
		return errEnded
	}
	s.received(c)
	c.session.touch(start)
	c.stats.last, c.stats.xid = h.Op, h.Xid

	switch h.Op {
	case jute.OpPing:
		s.reply(c, start, jute.ReplyHeader{Xid: jute.XidPing, Zxid: s.state.Zxid}, nil)
		return nil
	case jute.OpCloseSession:
		s.log.note("session 0x%x closed by its client", c.session.id)
		if err := s.closeSession(c.session); err != nil {
			return err
		}
		s.reply(c, start, jute.ReplyHeader{Xid: h.Xid, Zxid: s.state.Zxid}, nil)
		c.gone = true
		return errEnded
	}
	req, err := jute.DecodeRequest(h.Op, packet[len(packet)-d.Len():])
	var body encodeFunc
	switch r := req.(type) {
	case nil:
		if err = malformed(h.Op, err); err == jute.Unimplemented {
			s.log.note("session 0x%x asked for the unknown operation %d", c.session.id, h.Op)
		}
	case jute.AuthRequest:
		return s.auth(c, start, h, r)
	case jute.MultiRequest:
		body, err = s.multi(c, r)
	case jute.CreateRequest, jute.DeleteRequest, jute.SetDataRequest, jute.SetACLRequest, jute.CheckRequest:
		body, err = s.write(c, r)
	default:
		body, err = s.query(c, r)
	}
	if code(err) == jute.Unimplemented {
		s.reply(c, start, jute.ReplyHeader{Xid: h.Xid, Zxid: -1, Err: jute.Unimplemented}, nil)
		c.gone = true
		return errEnded
	}
	s.reply(c, start, jute.ReplyHeader{Xid: h.Xid, Zxid: s.state.Zxid, Err: code(err)}, body)
	return nil
}

// malformed returns the code for a request that cannot be decoded.
func malformed(op jute.Op, err error) jute.Code {
	if errors.Is(err, jute.ErrUnknownOp) && op != jute.OpMulti {
		return jute.Unimplemented
	}
	return jute.MarshallingError
}

// code finds the number to send for an error.
func code(err error) jute.Code {
	var c jute.Code
	switch {
	case err == nil:
		return jute.OK
	case errors.As(err, &c):
		return c
	}
	return jute.RuntimeInconsistency
}

// reply queues a reply. s.mu is held.
func (s *server) reply(c *conn, start time.Time, h jute.ReplyHeader, body encodeFunc) {
	var e jute.Encoder
	h.Encode(&e)
	if body != nil && h.Err == jute.OK {
		body(&e)
	}
	s.send(c, e.Bytes())
	now := time.Now()
	ms := now.Sub(start).Milliseconds()
	s.stats.latency.add(ms)
	c.stats.latency.add(ms)
	c.stats.zxid, c.stats.replied = h.Zxid, now
}

// write does one changing request. s.mu is held.
func (s *server) write(c *conn, req jute.Request) (encodeFunc, error) {
	txn, out, _, refused := s.state.Do(time.Now().UnixMilli(), c.session.id, c.ids, req)
	s.commit(txn, out.Events)
	if refused != nil {
		return nil, refused
	}
	res := out.Results[0]
	switch r := req.(type) {
	case jute.CreateRequest:
		return func(e *jute.Encoder) {
			e.String(res.Path)
			if r.WithStat {
				res.Stat.Encode(e)
			}
		}, nil
	case jute.DeleteRequest:
		return nil, nil
	}
	return res.Stat.Encode, nil
}

// multi does several changing requests, all or none. The reply's header is
// without error in either case; the results tell. s.mu is held.
func (s *server) multi(c *conn, req jute.MultiRequest) (encodeFunc, error) {
	txn, out, failed, refused := s.state.Do(time.Now().UnixMilli(), c.session.id, c.ids, req.Ops...)
	s.commit(txn, out.Events)
	results := make([]jute.MultiResult, len(req.Ops))
	for i, op := range req.Ops {
		r := &results[i]
		switch {
		case refused == nil:
			*r = jute.MultiResult{Op: jute.OpOf(op), Path: out.Results[i].Path, Stat: out.Results[i].Stat}
		case i < failed:
			*r = jute.MultiResult{Op: jute.OpError, Err: jute.OK}
		case i == failed:
			*r = jute.MultiResult{Op: jute.OpError, Err: code(refused)}
		default:
			*r = jute.MultiResult{Op: jute.OpError, Err: jute.RuntimeInconsistency}
		}
	}
	return func(e *jute.Encoder) { jute.EncodeMultiResults(e, results) }, nil
}

// auth adds an identity to the connection. A scheme that cannot be proven ends
// it. s.mu is held.
func (s *server) auth(c *conn, start time.Time, h jute.RequestHeader, r jute.AuthRequest) error {
	id := tree.IP(c.host)
	switch r.Scheme {
	case "digest":
		id = tree.Digest(string(r.Auth))
	case "ip":
	default:
		s.log.note("session 0x%x: authentication scheme %q is not known", c.session.id, r.Scheme)
		s.reply(c, start, jute.ReplyHeader{Xid: h.Xid, Err: jute.AuthFailed}, nil)
		c.gone = true
		return errEnded
	}
	c.addIdentity(id)
	s.reply(c, start, jute.ReplyHeader{Xid: h.Xid}, nil)
	return nil
}

func (c *conn) addIdentity(id tree.Identity) {
	for _, old := range c.ids {
		if old == id {
			return
		}
	}
	c.ids = append(c.ids, id)
}
