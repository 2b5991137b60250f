package jute

import (
	"errors"
	"fmt"
)

// ErrUnknownOp says that a request type has no record here.
var ErrUnknownOp = errors.New("unknown request type")

// Request is the body of a request: one of the XxxRequest types of this
// package.
type Request interface {
	Encode(*Encoder)
	op() Op
}

// OpOf returns the request type that r is sent under.
func OpOf(r Request) Op { return r.op() }

// CreateRequest makes a node. WithStat marks create2, whose reply carries the
// new node's Stat.
type CreateRequest struct {
	Path     string
	Data     []byte
	ACL      []ACL
	Flags    int32
	WithStat bool
}

// DeleteRequest removes a node without children; Version -1 is any version.
type DeleteRequest struct {
	Path    string
	Version int32
}

// CheckRequest passes if the node has the version; -1 is any version.
type CheckRequest struct {
	Path    string
	Version int32
}

// SetDataRequest replaces a node's data; Version -1 is any version.
type SetDataRequest struct {
	Path    string
	Data    []byte
	Version int32
}

// SetACLRequest replaces a node's ACL; Version is that of the ACL.
type SetACLRequest struct {
	Path    string
	ACL     []ACL
	Version int32
}

// GetACLRequest asks for a node's ACL and Stat.
type GetACLRequest struct{ Path string }

// ExistsRequest asks for a node's Stat.
type ExistsRequest struct {
	Path  string
	Watch bool
}

// GetDataRequest asks for a node's data and Stat.
type GetDataRequest struct {
	Path  string
	Watch bool
}

// GetChildrenRequest asks for the names of a node's children; WithStat marks
// getChildren2, whose reply carries the node's Stat.
type GetChildrenRequest struct {
	Path     string
	Watch    bool
	WithStat bool
}

// SyncRequest asks the server to catch up with its leader.
type SyncRequest struct{ Path string }

// SetWatchesRequest sets the watches of an earlier connection again; what
// happened after RelativeZxid is to be told at once.
type SetWatchesRequest struct {
	RelativeZxid       int64
	Data, Exist, Child []string
}

// AuthRequest adds an identity to the connection.
type AuthRequest struct {
	Type   int32
	Scheme string
	Auth   []byte
}

// MultiRequest does all of Ops or none. Ops are Create, Delete, SetData and
// Check requests.
type MultiRequest struct{ Ops []Request }

func (r CreateRequest) op() Op {
	if r.WithStat {
		return OpCreate2
	}
	return OpCreate
}

func (r GetChildrenRequest) op() Op {
	if r.WithStat {
		return OpGetChildren2
	}
	return OpGetChildren
}

func (DeleteRequest) op() Op     { return OpDelete }
func (CheckRequest) op() Op      { return OpCheck }
func (SetDataRequest) op() Op    { return OpSetData }
func (SetACLRequest) op() Op     { return OpSetACL }
func (GetACLRequest) op() Op     { return OpGetACL }
func (ExistsRequest) op() Op     { return OpExists }
func (GetDataRequest) op() Op    { return OpGetData }
func (SyncRequest) op() Op       { return OpSync }
func (SetWatchesRequest) op() Op { return OpSetWatches }
func (AuthRequest) op() Op       { return OpAuth }
func (MultiRequest) op() Op      { return OpMulti }

// DecodeRequest decodes the body of a request of type op. Errors wrap
// ErrUnknownOp, ErrShort or ErrLength. Ping and close have no body and are
// unknown here.
func DecodeRequest(op Op, body []byte) (Request, error) {
	d := NewDecoder(body)
	r, err := decodeRequest(op, d)
	if err == nil {
		err = d.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("request type %d: %w", op, err)
	}
	return r, nil
}

func decodeRequest(op Op, d *Decoder) (Request, error) {
	switch op {
	case OpCreate, OpCreate2:
		return CreateRequest{Path: d.String(), Data: d.Buffer(), ACL: d.ACLs(), Flags: d.Int32(), WithStat: op == OpCreate2}, nil
	case OpDelete:
		return DeleteRequest{Path: d.String(), Version: d.Int32()}, nil
	case OpCheck:
		return CheckRequest{Path: d.String(), Version: d.Int32()}, nil
	case OpSetData:
		return SetDataRequest{Path: d.String(), Data: d.Buffer(), Version: d.Int32()}, nil
	case OpSetACL:
		return SetACLRequest{Path: d.String(), ACL: d.ACLs(), Version: d.Int32()}, nil
	case OpGetACL:
		return GetACLRequest{Path: d.String()}, nil
	case OpExists:
		return ExistsRequest{Path: d.String(), Watch: d.Bool()}, nil
	case OpGetData:
		return GetDataRequest{Path: d.String(), Watch: d.Bool()}, nil
	case OpGetChildren, OpGetChildren2:
		return GetChildrenRequest{Path: d.String(), Watch: d.Bool(), WithStat: op == OpGetChildren2}, nil
	case OpSync:
		return SyncRequest{Path: d.String()}, nil
	case OpSetWatches:
		return SetWatchesRequest{RelativeZxid: d.Int64(), Data: d.Strings(), Exist: d.Strings(), Child: d.Strings()}, nil
	case OpAuth:
		return AuthRequest{Type: d.Int32(), Scheme: d.String(), Auth: d.Buffer()}, nil
	case OpMulti:
		return decodeMulti(d)
	}
	return nil, ErrUnknownOp
}

// Encode appends the record.
func (r CreateRequest) Encode(e *Encoder) {
	e.String(r.Path)
	e.Buffer(r.Data)
	e.ACLs(r.ACL)
	e.Int32(r.Flags)
}

// Encode appends the record.
func (r DeleteRequest) Encode(e *Encoder) { e.String(r.Path); e.Int32(r.Version) }

// Encode appends the record.
func (r CheckRequest) Encode(e *Encoder) { e.String(r.Path); e.Int32(r.Version) }

// Encode appends the record.
func (r SetDataRequest) Encode(e *Encoder) { e.String(r.Path); e.Buffer(r.Data); e.Int32(r.Version) }

// Encode appends the record.
func (r SetACLRequest) Encode(e *Encoder) { e.String(r.Path); e.ACLs(r.ACL); e.Int32(r.Version) }

// Encode appends the record.
func (r GetACLRequest) Encode(e *Encoder) { e.String(r.Path) }

// Encode appends the record.
func (r ExistsRequest) Encode(e *Encoder) { e.String(r.Path); e.Bool(r.Watch) }

// Encode appends the record.
func (r GetDataRequest) Encode(e *Encoder) { e.String(r.Path); e.Bool(r.Watch) }

// Encode appends the record.
func (r GetChildrenRequest) Encode(e *Encoder) { e.String(r.Path); e.Bool(r.Watch) }

// Encode appends the record.
func (r SyncRequest) Encode(e *Encoder) { e.String(r.Path) }

// Encode appends the record.
func (r SetWatchesRequest) Encode(e *Encoder) {
	e.Int64(r.RelativeZxid)
	e.Strings(r.Data)
	e.Strings(r.Exist)
	e.Strings(r.Child)
}

// Encode appends the record.
func (r AuthRequest) Encode(e *Encoder) { e.Int32(r.Type); e.String(r.Scheme); e.Buffer(r.Auth) }
