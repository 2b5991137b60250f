package jute

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxPacket is the largest length of a packet in bytes, without the four bytes
// that announce it: ZooKeeper's default jute.maxbuffer, 0xfffff.
const MaxPacket = 0xfffff

// ErrShort says that a record ended before its last field.
var ErrShort = errors.New("record is too short")

// ErrLength says that a length or a count is negative or larger than what
// could follow.
var ErrLength = errors.New("unreasonable length")

// Encoder appends jute values to a byte slice. Its zero value is ready.
type Encoder struct{ buf []byte }

// Bytes returns what has been encoded so far; the Encoder keeps owning it.
func (e *Encoder) Bytes() []byte { return e.buf }

// Int32 appends an int.
func (e *Encoder) Int32(v int32) { e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(v)) }

// Int64 appends a long.
func (e *Encoder) Int64(v int64) { e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(v)) }

// Bool appends a boolean, one byte.
func (e *Encoder) Bool(v bool) {
	var b byte
	if v {
		b = 1
	}
	e.buf = append(e.buf, b)
}

// Buffer appends a byte buffer; nil becomes the length -1.
func (e *Encoder) Buffer(v []byte) {
	if v == nil {
		e.Int32(-1)
		return
	}
	e.Int32(int32(len(v)))
	e.buf = append(e.buf, v...)
}

// String appends a string.
func (e *Encoder) String(v string) {
	e.Int32(int32(len(v)))
	e.buf = append(e.buf, v...)
}

// Strings appends a vector of strings.
func (e *Encoder) Strings(v []string) {
	e.Int32(int32(len(v)))
	for _, s := range v {
		e.String(s)
	}
}

// Decoder takes jute values out of a byte slice. After the first error every
// further value is zero, and Err tells the error.
type Decoder struct {
	buf []byte
	err error
}

// NewDecoder returns a Decoder of b. Buffers it hands out are copies.
func NewDecoder(b []byte) *Decoder { return &Decoder{buf: b} }

// Err returns the first error, which wraps ErrShort or ErrLength.
func (d *Decoder) Err() error { return d.err }

// Len returns the number of bytes not yet taken.
func (d *Decoder) Len() int { return len(d.buf) }

func (d *Decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.buf = nil
}

func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if len(d.buf) < n {
		d.fail(ErrShort)
		return nil
	}
	b := d.buf[:n]
	d.buf = d.buf[n:]
	return b
}

// Int32 takes an int.
func (d *Decoder) Int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Int64 takes a long.
func (d *Decoder) Int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Bool takes a boolean; every byte but 0 is true.
func (d *Decoder) Bool() bool {
	b := d.take(1)
	return b != nil && b[0] != 0
}

// Buffer takes a byte buffer; the length -1 gives nil.
func (d *Decoder) Buffer() []byte {
	n := d.Int32()
	if n == -1 || d.err != nil {
		return nil
	}
	if n < 0 || int(n) > MaxPacket {
		d.fail(fmt.Errorf("buffer: %w: %d", ErrLength, n))
		return nil
	}
	b := d.take(int(n))
	if d.err != nil {
		return nil
	}
	return append(make([]byte, 0, n), b...)
}

// String takes a string; the length -1 gives "".
func (d *Decoder) String() string {
	n := d.Int32()
	if n == -1 || d.err != nil {
		return ""
	}
	if n < 0 || int(n) > MaxPacket {
		d.fail(fmt.Errorf("string: %w: %d", ErrLength, n))
		return ""
	}
	return string(d.take(int(n)))
}

// Count takes the count of a vector whose elements take at least size bytes
// each; -1 counts as 0.
func (d *Decoder) Count(size int) int {
	n := d.Int32()
	if n == -1 || d.err != nil {
		return 0
	}
	if n < 0 || int(n) > len(d.buf)/size {
		d.fail(fmt.Errorf("vector: %w: %d", ErrLength, n))
		return 0
	}
	return int(n)
}

// Strings takes a vector of strings.
func (d *Decoder) Strings() []string {
	n := d.Count(4)
	if n == 0 {
		return nil
	}
	v := make([]string, 0, n)
	for range n {
		v = append(v, d.String())
	}
	return v
}
