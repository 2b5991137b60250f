package jute

import "fmt"

// Op is the type of a request.
type Op int32

// The request types, as ZooDefs.OpCode of ZooKeeper 3.4 numbers them (and
// OpCreate2, which is 3.5's).
const (
	OpCreate       Op = 1
	OpDelete       Op = 2
	OpExists       Op = 3
	OpGetData      Op = 4
	OpSetData      Op = 5
	OpGetACL       Op = 6
	OpSetACL       Op = 7
	OpGetChildren  Op = 8
	OpSync         Op = 9
	OpPing         Op = 11
	OpGetChildren2 Op = 12
	OpCheck        Op = 13
	OpMulti        Op = 14
	OpCreate2      Op = 15
	OpAuth         Op = 100
	OpSetWatches   Op = 101
	OpCloseSession Op = -11
	OpError        Op = -1
)

// Short returns the four letters by which the `cons` word names the last
// operation of a connection.
func (o Op) Short() string {
	switch o {
	case OpCreate, OpCreate2:
		return "CREA"
	case OpDelete:
		return "DELE"
	case OpExists:
		return "EXIS"
	case OpGetData:
		return "GETD"
	case OpSetData:
		return "SETD"
	case OpGetACL:
		return "GETA"
	case OpSetACL:
		return "SETA"
	case OpGetChildren, OpGetChildren2:
		return "GETC"
	case OpSync:
		return "SYNC"
	case OpPing:
		return "PING"
	case OpCheck:
		return "CHEC"
	case OpMulti:
		return "MULT"
	case OpSetWatches:
		return "SETW"
	case OpCloseSession:
		return "CLOS"
	}
	return "NA"
}

// Code is an error number of the protocol. It is an error itself; OK is not
// to be returned as one.
type Code int32

// The error numbers this server sends, as KeeperException.Code numbers them.
const (
	OK                      Code = 0
	RuntimeInconsistency    Code = -2
	MarshallingError        Code = -5
	Unimplemented           Code = -6
	BadArguments            Code = -8
	NoNode                  Code = -101
	NoAuth                  Code = -102
	BadVersion              Code = -103
	NoChildrenForEphemerals Code = -108
	NodeExists              Code = -110
	NotEmpty                Code = -111
	SessionExpired          Code = -112
	InvalidACL              Code = -114
	AuthFailed              Code = -115
)

// Error returns a short sentence.
func (c Code) Error() string {
	switch c {
	case OK:
		return "ok"
	case RuntimeInconsistency:
		return "not tried, an earlier operation failed"
	case MarshallingError:
		return "request cannot be decoded"
	case Unimplemented:
		return "operation is not implemented"
	case BadArguments:
		return "bad arguments"
	case NoNode:
		return "node does not exist"
	case NoAuth:
		return "not allowed by the node's ACL"
	case BadVersion:
		return "version conflict"
	case NoChildrenForEphemerals:
		return "ephemeral nodes may not have children"
	case NodeExists:
		return "node exists"
	case NotEmpty:
		return "node has children"
	case SessionExpired:
		return "session expired"
	case InvalidACL:
		return "invalid ACL"
	case AuthFailed:
		return "authentication failed"
	}
	return fmt.Sprintf("error %d", int32(c))
}

// EventType says what happened to a watched node.
type EventType int32

// The kinds of events a watch can deliver.
const (
	NodeCreated         EventType = 1
	NodeDeleted         EventType = 2
	NodeDataChanged     EventType = 3
	NodeChildrenChanged EventType = 4
)

// Permissions of an ACL entry, to be combined by or.
const (
	PermRead   int32 = 1
	PermWrite  int32 = 2
	PermCreate int32 = 4
	PermDelete int32 = 8
	PermAdmin  int32 = 16
	PermAll    int32 = 31
)

// Flags of a create request.
const (
	FlagEphemeral int32 = 1
	FlagSequence  int32 = 2
)

// Transaction numbers of packets that answer no numbered request.
const (
	XidEvent int32 = -1
	XidPing  int32 = -2
)
