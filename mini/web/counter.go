package web

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/mesoslab/lab/internal/atomicfile"
)

// counter counts in a file, so that the number outlives the process, and only
// as far as the file does. One writer at a time is assumed.
type counter struct {
	mu    sync.Mutex
	file  string
	value int64
}

// openCounter reads the number where there is one.
func openCounter(file string) (*counter, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of counter: %w", err)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &counter{file: file}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read counter: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read counter %s: %q is no number", file, text)
	}
	return &counter{file: file, value: n}, nil
}

// next counts one more. The file is replaced by rename: a process that is
// killed meanwhile leaves the number before or after, never half of it. What a
// client is told is on the disk: it outlives a power cut, too.
func (c *counter) next() (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.value + 1
	if err := atomicfile.WriteSynced(c.file, fmt.Appendf(nil, "%d\n", next), 0o644); err != nil {
		return 0, fmt.Errorf("write counter: %w", err)
	}
	c.value = next
	return next, nil
}
