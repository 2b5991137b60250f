package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

const (
	logMagic = "LABZKL01"
	// maxRecord is far above what a request of jute.MaxPacket bytes can
	// become; a larger length is damage.
	maxRecord = 64 << 20
)

// errTorn says that a log ends, or turns into something else, in the midst of
// a record.
var errTorn = errors.New("torn or damaged record")

func checksum(b []byte) uint32 {
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

// frame returns the record of a transaction as it stands in a log.
func frame(t Txn) []byte {
	var e jute.Encoder
	e.Int64(0) // place of length and checksum
	encodeTxn(&e, t)
	b := e.Bytes()
	binary.BigEndian.PutUint32(b, uint32(len(b)-8))
	binary.BigEndian.PutUint32(b[4:], checksum(b[8:]))
	return b
}

// readLog hands every transaction of a log to fn and returns the length of
// what was good. The error wraps errTorn where the bytes are not a whole
// record, and is fn's or the reader's otherwise.
func readLog(r io.Reader, fn func(Txn) error) (good int64, err error) {
	br := bufio.NewReader(r)
	magic := make([]byte, len(logMagic))
	if _, err := io.ReadFull(br, magic); err != nil {
		return 0, torn(err)
	}
	if string(magic) != logMagic {
		return 0, fmt.Errorf("%w: no log", errTorn)
	}
	good = int64(len(magic))
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(br, head); err == io.EOF {
			return good, nil
		} else if err != nil {
			return good, torn(err)
		}
		n := binary.BigEndian.Uint32(head)
		if n > maxRecord {
			return good, fmt.Errorf("%w: length %d", errTorn, n)
		}
		// Not make: a damaged length shall not cost memory.
		payload, err := io.ReadAll(io.LimitReader(br, int64(n)))
		if err != nil {
			return good, err
		}
		if len(payload) < int(n) || checksum(payload) != binary.BigEndian.Uint32(head[4:]) {
			return good, errTorn
		}
		txn, err := decodeTxn(payload)
		if err != nil {
			return good, err
		}
		if err := fn(txn); err != nil {
			return good, err
		}
		good += 8 + int64(n)
	}
}

func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}
