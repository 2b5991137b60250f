package stream

import (
	"encoding/binary"
	"io"
)

// Names of the streams in Docker's multiplexed format.
const (
	Stdin  byte = 0
	Stdout byte = 1
	Stderr byte = 2
)

// Frames writes the multiplexed format: before each piece eight bytes, the
// stream's number, three zeros and the length as big-endian uint32. With Raw
// (a terminal) pieces are written as they are. Not safe for concurrent use.
type Frames struct {
	W   io.Writer
	Raw bool
	buf []byte
}

// Write sends one piece of a stream.
func (f *Frames) Write(which byte, p []byte) error {
	if f.Raw {
		_, err := f.W.Write(p)
		return err
	}
	f.buf = append(f.buf[:0], which, 0, 0, 0)
	f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(len(p)))
	f.buf = append(f.buf, p...)
	_, err := f.W.Write(f.buf)
	return err
}
