package scheduler

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxRecord bounds one record: an OFFERS event of thousands of agents is
// some MiB.
const maxRecord = 64 << 20

// readRecord reads one RecordIO record: its length in decimal, a newline,
// its bytes. io.EOF means a clean end between records.
func readRecord(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if len(line) > 20 {
		return nil, fmt.Errorf("record length %q is no length", line[:20])
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(line)), 10, 31)
	if err != nil || n > maxRecord {
		return nil, fmt.Errorf("record length %q is no length", strings.TrimSpace(string(line)))
	}
	// Grow with what really arrives: the length is only a claim.
	data, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(data) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}
