package jute

import "fmt"

// multiHeader precedes every operation of a multi request and every result of
// its reply; the last one has Done set.
type multiHeader struct {
	Op   Op
	Done bool
	Err  Code
}

func (h multiHeader) encode(e *Encoder) {
	e.Int32(int32(h.Op))
	e.Bool(h.Done)
	e.Int32(int32(h.Err))
}

func (h *multiHeader) decode(d *Decoder) {
	h.Op = Op(d.Int32())
	h.Done = d.Bool()
	h.Err = Code(d.Int32())
}

func decodeMulti(d *Decoder) (Request, error) {
	var r MultiRequest
	for {
		var h multiHeader
		h.decode(d)
		switch {
		case d.Err() != nil:
			return nil, d.Err()
		case h.Done:
			return r, nil
		}
		switch h.Op {
		case OpCreate, OpCreate2, OpDelete, OpSetData, OpCheck:
		default:
			return nil, fmt.Errorf("in a multi request: %w: %d", ErrUnknownOp, h.Op)
		}
		op, err := decodeRequest(h.Op, d)
		if err != nil {
			return nil, err
		}
		r.Ops = append(r.Ops, op)
	}
}

// Encode appends the record.
func (r MultiRequest) Encode(e *Encoder) {
	for _, op := range r.Ops {
		multiHeader{Op: op.op(), Err: -1}.encode(e)
		op.Encode(e)
	}
	multiHeader{Op: -1, Done: true, Err: -1}.encode(e)
}

// MultiResult is the result of one operation of a multi request. Op OpError
// means that the multi failed: Err is then OK for an operation that was undone,
// the error of the one that failed, RuntimeInconsistency for those after it.
type MultiResult struct {
	Op   Op
	Path string // create, create2
	Stat Stat   // create2, setData
	Err  Code   // error
}

// EncodeMultiResults appends the body of the reply to a multi request.
func EncodeMultiResults(e *Encoder, results []MultiResult) {
	for _, r := range results {
		multiHeader{Op: r.Op, Err: r.Err}.encode(e)
		switch r.Op {
		case OpCreate:
			e.String(r.Path)
		case OpCreate2:
			e.String(r.Path)
			r.Stat.Encode(e)
		case OpSetData:
			r.Stat.Encode(e)
		case OpError:
			e.Int32(int32(r.Err))
		}
	}
	multiHeader{Op: -1, Done: true, Err: -1}.encode(e)
}
