//go:build unix

package machine

import (
	"io"
	"sync"
)

// closeWriter ends one direction of a connection.
type closeWriter interface{ CloseWrite() error }

// join copies both ways until both directions have ended.
func join(a, b io.ReadWriteCloser) {
	var both sync.WaitGroup
	both.Go(func() { pour(a, b) })
	both.Go(func() { pour(b, a) })
	both.Wait()
}

// pour copies from src to dst and passes the end on. An error ends both
// connections: the other direction has nothing to say any more.
func pour(dst, src io.ReadWriteCloser) {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(closeWriter); ok && err == nil {
		if half.CloseWrite() == nil {
			return
		}
	}
	dst.Close()
	src.Close()
}
