package provision

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

func TestResumeAt(t *testing.T) {
	const size = 3*sendBlock + 5
	for _, test := range []struct{ have, want int64 }{
		{0, 0}, {1, 0}, {sendBlock, 0}, {sendBlock + 1, sendBlock}, {2 * sendBlock, sendBlock},
		{size - 1, 3 * sendBlock}, {size, 3 * sendBlock}, {size + 1, 0},
	} {
		if got := resumeAt(test.have, size); got != test.want {
			t.Errorf("of %d bytes %d are there: goes on at %d, want %d", int64(size), test.have, got, test.want)
		}
	}
}

// holes is a file whose writes break off and leave a hole: all of what was to
// be written but a part in the middle.
type holes struct {
	data   []byte
	at     int64
	broken bool
}

func (h *holes) Stat() (os.FileInfo, error) { return sized(len(h.data)), nil }
func (h *holes) Chmod(fs.FileMode) error    { return nil }
func (h *holes) Truncate(n int64) error     { h.data = h.data[:n]; return nil }
func (h *holes) Seek(to int64, _ int) (int64, error) {
	h.at = to
	return to, nil
}

func (h *holes) ReadFromWithConcurrency(r io.Reader, _ int) (int64, error) {
	block, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	if h.broken && h.at > 0 {
		clear(block[len(block)/4 : len(block)/2])
		h.data = append(h.data[:h.at], block[:len(block)-1]...)
		h.broken = false
		return 0, errors.New("cut off")
	}
	h.data = append(h.data[:h.at], block...)
	return int64(len(block)), nil
}

type sized int64

func (s sized) Size() int64      { return int64(s) }
func (sized) Name() string       { return "" }
func (sized) Mode() fs.FileMode  { return 0 }
func (sized) ModTime() time.Time { return time.Time{} }
func (sized) IsDir() bool        { return false }
func (sized) Sys() any           { return nil }

func TestSendFillsHoles(t *testing.T) {
	content := make([]byte, 2*sendBlock+100)
	rand.Read(content)
	f := &holes{broken: true}
	sent := func(int64) {}
	if err := send(f, bytes.NewReader(content), int64(len(content)), sent); err == nil {
		t.Fatal("the first try does not break off")
	}
	if len(f.data) <= sendBlock {
		t.Fatalf("only %d bytes are there", len(f.data))
	}
	first := int64(-1)
	err := send(f, bytes.NewReader(content), int64(len(content)), func(n int64) {
		if first < 0 {
			first = n
		}
	})
	if err != nil || !bytes.Equal(f.data, content) || first != sendBlock {
		t.Errorf("%v; goes on at %d; the same: %v", err, first, bytes.Equal(f.data, content))
	}
	f.data = append(f.data, "more than the whole"...)
	if err := send(f, bytes.NewReader(content), int64(len(content)), sent); err != nil || !bytes.Equal(f.data, content) {
		t.Errorf("over a longer file: %v; the same: %v", err, bytes.Equal(f.data, content))
	}
	if err := send(&holes{}, bytes.NewReader(content), int64(len(content))+1, sent); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("shorter than said: %v", err)
	}
}

// cable is a connection that breaks when so many bytes have gone out.
type cable struct {
	net.Conn
	left *atomic.Int64
}

func (c cable) Write(p []byte) (int, error) {
	if c.left.Add(-int64(len(p))) < 0 {
		c.Close()
		return 0, errors.New("the cable is cut")
	}
	return c.Conn.Write(p)
}

// TestSendToOpenSSH cuts the connection in the middle of an upload and sends
// the rest over a new one.
func TestSendToOpenSSH(t *testing.T) {
	m := labtest.OpenSSH(t)
	content := make([]byte, 5*sendBlock+12345)
	rand.Read(content)
	size := int64(len(content))
	file := filepath.Join(t.TempDir(), "upload")
	var left atomic.Int64
	left.Store(3*sendBlock + sendBlock/2)
	breaking := Connector{Wait: 30 * time.Second, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return cable{conn, &left}, err
	}}
	h, err := breaking.Connect(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	err = h.Send(t.Context(), file, bytes.NewReader(content), size, func(int64) {})
	h.Close()
	if err == nil || !strings.Contains(err.Error(), "node1: send "+file) {
		t.Fatalf("the upload does not break off: %v", err)
	}

	h, err = Connector{Wait: 30 * time.Second}.Connect(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var begin, end atomic.Int64
	begin.Store(-1)
	err = h.Send(t.Context(), file, bytes.NewReader(content), size, func(n int64) {
		begin.CompareAndSwap(-1, n)
		end.Store(n)
	})
	if err != nil {
		t.Fatal(err)
	}
	if begin.Load() < sendBlock || begin.Load()%sendBlock != 0 || end.Load() != size {
		t.Errorf("went on at %d, ended at %d of %d", begin.Load(), end.Load(), size)
	}
	out, err := h.Run(t.Context(), "sha256sum "+Quote(file)+"; stat -c %a "+Quote(file), nil)
	sum := sha256.Sum256(content)
	if err != nil || !strings.HasPrefix(string(out), hex.EncodeToString(sum[:])) || !strings.HasSuffix(string(out), "\n600\n") {
		t.Errorf("the machine says %q, %v", out, err)
	}
	if err := h.Send(t.Context(), filepath.Join(file, "below a file"), bytes.NewReader(nil), 0, func(int64) {}); err == nil {
		t.Error("a path below a file is no error")
	}
}
