// Package jsonlog keeps a container's output in Docker's json-file format: one
// object {"log","stream","time"} a line, in files that are rotated.
//
// A Log belongs to one folder and writes log, log.1, … there (newest first).
// Append and readers may run at the same time; a follower wakes on every
// append, reads across rotations, and ends when the Log is sealed (the process
// has ended) or its context ends. Text that is not UTF-8 is kept as the
// replacement character, as json-file does.
package jsonlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Sizes: a file is rotated when it is larger than MaxFile; Files are kept.
const (
	MaxFile = 4 << 20
	Files   = 3
	// MaxLine is where a line without end is split.
	MaxLine = 16 << 10
)

// Entry is one line of the log. Text ends with a newline unless it was split
// or the program ended in the middle of a line.
type Entry struct {
	Text   string    `json:"log"`
	Stream string    `json:"stream"`
	Time   time.Time `json:"time"`
}

// Log is safe for concurrent use.
type Log struct {
	dir     string
	maxFile int64

	mu     sync.Mutex
	f      *os.File
	size   int64
	gen    int // number of the newest file since Open
	sealed bool
	change chan struct{} // closed at each change
}

// New is the log in a folder. Nothing is opened before the first Append.
func New(dir string) *Log {
	return &Log{dir: dir, maxFile: MaxFile, sealed: true, change: make(chan struct{})}
}

// path is the i-th newest file's name.
func (l *Log) path(i int) string {
	if i == 0 {
		return filepath.Join(l.dir, "log")
	}
	return filepath.Join(l.dir, "log."+strconv.Itoa(i))
}

// Open makes the log ready for a new life of the container: followers wait
// for more.
func (l *Log) Open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sealed = false
}

// Seal ends followers once they have read everything.
func (l *Log) Seal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sealed = true
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	l.changed()
}

func (l *Log) changed() {
	close(l.change)
	l.change = make(chan struct{})
}

// Append writes one entry.
func (l *Log) Append(stream string, at time.Time, text []byte) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(Entry{string(text), stream, at.UTC()}); err != nil {
		return fmt.Errorf("encode log entry: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ready(); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	n, err := l.f.Write(line.Bytes())
	l.size += int64(n)
	l.changed()
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// ready opens the newest file, after rotating one that is full.
func (l *Log) ready() error {
	if l.f != nil && l.size > l.maxFile {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.f != nil {
		return nil
	}
	f, err := os.OpenFile(l.path(0), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size = f, fi.Size()
	return l.mend()
}

// mend ends a line that a killed engine left half written.
func (l *Log) mend() error {
	if l.size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := l.f.ReadAt(last, l.size-1); err != nil || last[0] == '\n' {
		return err
	}
	n, err := l.f.Write([]byte("\n"))
	l.size += int64(n)
	return err
}

func (l *Log) rotate() error {
	err := l.f.Close()
	l.f = nil
	for i := Files - 1; i > 0; i-- {
		if e := os.Rename(l.path(i-1), l.path(i)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	l.gen++
	return err
}
