//go:build unix

package handoff

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// maxLine bounds one message; maxFDs the descriptors that come with one.
const (
	maxLine = 16 << 10
	maxFDs  = 64
)

// request is what a child asks. Op is listen (ID new) or close (ID of an
// earlier listen), or start, wait or stop for supervisors of foreign programs.
type request struct {
	Op      string        `json:"op"`
	ID      uint64        `json:"id"`
	Network string        `json:"network,omitempty"`
	Address string        `json:"address,omitempty"`
	Name    string        `json:"name,omitempty"`
	Order   string        `json:"order,omitempty"`
	Process *proctab.ID   `json:"process,omitempty"`
	Grace   time.Duration `json:"grace,omitempty"`
}

// answer belongs to the request with the same ID. FDs descriptors came with
// it. Errno carries the kernel's word, so that the child can test for
// EADDRINUSE.
type answer struct {
	Op    string        `json:"op"`
	ID    uint64        `json:"id"`
	FDs   int           `json:"fds,omitempty"`
	Error string        `json:"error,omitempty"`
	Errno syscall.Errno `json:"errno,omitempty"`
	// Process was started.
	Process *proctab.ID `json:"process,omitempty"`
}

// wire is one end of the socketpair.
type wire struct {
	conn *net.UnixConn
	in   *bufio.Reader
	send sync.Mutex

	mu  sync.Mutex
	fds []int // received, not yet claimed by an answer
}

func newWire(conn *net.UnixConn) *wire {
	w := &wire{conn: conn}
	w.in = bufio.NewReaderSize(w, maxLine)
	return w
}

// Read reads bytes and keeps the descriptors that came with them. The kernel
// never lets a read run past a message that carries descriptors, so they are
// here before the end of the line they belong to.
func (w *wire) Read(p []byte) (int, error) {
	oob := make([]byte, syscall.CmsgSpace(4*maxFDs))
	n, oobn, _, _, err := w.conn.ReadMsgUnix(p, oob)
	if oobn > 0 {
		w.keep(oob[:oobn])
	}
	if n <= 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (w *wire) keep(oob []byte) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
		}
		w.mu.Lock()
		w.fds = append(w.fds, fds...)
		w.mu.Unlock()
	}
}

// claim takes n received descriptors as files.
func (w *wire) claim(n int) ([]*os.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < 0 || n > len(w.fds) {
		return nil, fmt.Errorf("handoff: answer announces %d descriptors, %d came", n, len(w.fds))
	}
	var files []*os.File
	for _, fd := range w.fds[:n] {
		files = append(files, os.NewFile(uintptr(fd), "listener"))
	}
	w.fds = w.fds[n:]
	return files, nil
}

// drop closes what nobody claimed.
func (w *wire) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fd := range w.fds {
		syscall.Close(fd)
	}
	w.fds = nil
}

func (w *wire) receive(v any) error {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("handoff: a message of more than %d bytes", maxLine)
		}
		return err
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("handoff: message: %w", err)
	}
	return nil
}

func (w *wire) write(v any, fds ...int) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if len(line) > maxLine {
		return fmt.Errorf("handoff: a message of %d bytes", len(line))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	w.send.Lock()
	defer w.send.Unlock()
	n, _, err := w.conn.WriteMsgUnix(line, rights, nil)
	if err != nil {
		return err
	}
	if n < len(line) {
		_, err = w.conn.Write(line[n:])
	}
	return err
}
