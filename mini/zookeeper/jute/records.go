package jute

// Stat describes a node as clients see it. Times are milliseconds since 1970,
// the xxZxid fields name the transaction that did it.
type Stat struct {
	Czxid, Mzxid                int64
	Ctime, Mtime                int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64 // session id, 0 for a persistent node
	DataLength, NumChildren     int32
	Pzxid                       int64 // last change of the children
}

// Encode appends the record.
func (s Stat) Encode(e *Encoder) {
	e.Int64(s.Czxid)
	e.Int64(s.Mzxid)
	e.Int64(s.Ctime)
	e.Int64(s.Mtime)
	e.Int32(s.Version)
	e.Int32(s.Cversion)
	e.Int32(s.Aversion)
	e.Int64(s.EphemeralOwner)
	e.Int32(s.DataLength)
	e.Int32(s.NumChildren)
	e.Int64(s.Pzxid)
}

// ACL is one entry of a node's access list: whoever is ID under Scheme
// ("world", "auth", "digest", "ip") has the permissions Perms.
type ACL struct {
	Perms      int32
	Scheme, ID string
}

// ACLs appends a vector of ACL entries.
func (e *Encoder) ACLs(v []ACL) {
	e.Int32(int32(len(v)))
	for _, a := range v {
		e.Int32(a.Perms)
		e.String(a.Scheme)
		e.String(a.ID)
	}
}

// ACLs takes a vector of ACL entries.
func (d *Decoder) ACLs() []ACL {
	n := d.Count(12)
	if n == 0 {
		return nil
	}
	v := make([]ACL, 0, n)
	for range n {
		v = append(v, ACL{Perms: d.Int32(), Scheme: d.String(), ID: d.String()})
	}
	return v
}

// RequestHeader precedes every request but the first of a connection.
type RequestHeader struct {
	Xid int32 // chosen by the client, repeated in the reply
	Op  Op
}

// Encode appends the record.
func (h RequestHeader) Encode(e *Encoder) {
	e.Int32(h.Xid)
	e.Int32(int32(h.Op))
}

// Decode takes the record.
func (h *RequestHeader) Decode(d *Decoder) {
	h.Xid = d.Int32()
	h.Op = Op(d.Int32())
}

// ReplyHeader precedes every reply and every watch event.
type ReplyHeader struct {
	Xid  int32
	Zxid int64 // the server's last transaction
	Err  Code
}

// Encode appends the record.
func (h ReplyHeader) Encode(e *Encoder) {
	e.Int32(h.Xid)
	e.Int64(h.Zxid)
	e.Int32(int32(h.Err))
}

// Decode takes the record.
func (h *ReplyHeader) Decode(d *Decoder) {
	h.Xid = d.Int32()
	h.Zxid = d.Int64()
	h.Err = Code(d.Int32())
}

// ConnectRequest is the first packet of a connection.
type ConnectRequest struct {
	ProtocolVersion int32
	LastZxidSeen    int64
	Timeout         int32 // wanted session timeout, milliseconds
	SessionID       int64 // 0 asks for a new session
	Password        []byte
	// HasReadOnly tells that the client sent the flag ReadOnly, which came
	// with 3.4; only such a client gets one back.
	HasReadOnly, ReadOnly bool
}

// Encode appends the record.
func (r ConnectRequest) Encode(e *Encoder) {
	e.Int32(r.ProtocolVersion)
	e.Int64(r.LastZxidSeen)
	e.Int32(r.Timeout)
	e.Int64(r.SessionID)
	e.Buffer(r.Password)
	if r.HasReadOnly {
		e.Bool(r.ReadOnly)
	}
}

// Decode takes the record.
func (r *ConnectRequest) Decode(d *Decoder) {
	r.ProtocolVersion = d.Int32()
	r.LastZxidSeen = d.Int64()
	r.Timeout = d.Int32()
	r.SessionID = d.Int64()
	r.Password = d.Buffer()
	if r.HasReadOnly = d.Len() > 0; r.HasReadOnly {
		r.ReadOnly = d.Bool()
	}
}

// ConnectResponse answers a ConnectRequest. A Timeout and SessionID of 0 say
// that the session has expired.
type ConnectResponse struct {
	ProtocolVersion       int32
	Timeout               int32 // granted session timeout, milliseconds
	SessionID             int64
	Password              []byte
	HasReadOnly, ReadOnly bool
}

// Encode appends the record.
func (r ConnectResponse) Encode(e *Encoder) {
	e.Int32(r.ProtocolVersion)
	e.Int32(r.Timeout)
	e.Int64(r.SessionID)
	e.Buffer(r.Password)
	if r.HasReadOnly {
		e.Bool(r.ReadOnly)
	}
}

// Event returns the packet, without its length, that tells a client of an
// event on path. The state in it is always "connected".
func Event(t EventType, path string) []byte {
	const syncConnected = 3
	var e Encoder
	ReplyHeader{Xid: XidEvent, Zxid: -1}.Encode(&e)
	e.Int32(int32(t))
	e.Int32(syncConnected)
	e.String(path)
	return e.Bytes()
}
