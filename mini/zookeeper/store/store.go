package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

const (
	logPrefix      = "log."
	snapshotPrefix = "snapshot."
	snapshotMagic  = "LABZKS01"
)

// Options of a Store.
type Options struct {
	// Sync calls fsync before Append returns.
	Sync bool
	// Before, if set, comes before each Append; its error is the disk's. For
	// tests of slow and full disks.
	Before func() error
	// Note is told, in one line, what a person should know of a recovery.
	Note func(line string)
}

// logFile is what a Store needs of the file that its log is in.
type logFile interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// Store is an open folder.
type Store struct {
	dir  string
	opt  Options
	log  logFile
	size int64 // of log
	// since counts the records that a new snapshot would make superfluous.
	since int
}

// Open makes the folder if it is not there, and reads the state from it.
func Open(dir string, opt Options) (*Store, *State, error) {
	s := &Store{dir: dir, opt: opt}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make data folder: %w", err)
	}
	state, err := s.loadSnapshot()
	if err != nil {
		return nil, nil, err
	}
	if err := s.replay(state); err != nil {
		return nil, nil, err
	}
	if s.log == nil {
		if err := s.newLog(state.Zxid + 1); err != nil {
			return nil, nil, err
		}
	}
	return s, state, nil
}

// Close closes the log. The Store is not to be used afterwards.
func (s *Store) Close() error { return s.log.Close() }

// Append writes transactions to the log, with one fsync for all of them. After
// an error nothing of them is in the log, as far as the disk allows, and the
// state that they led to must not be shown to anybody.
func (s *Store) Append(txns ...Txn) error {
	n, err := s.write(txns)
	if err == nil && s.opt.Sync {
		err = s.log.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write transaction log: %w", err), s.log.Truncate(s.size))
	}
	s.size += n
	s.since += len(txns)
	return nil
}

// chunk is how many bytes are written at a time, or more if a record has more.
const chunk = 256 << 10

func (s *Store) write(txns []Txn) (n int64, err error) {
	if s.opt.Before != nil {
		if err := s.opt.Before(); err != nil {
			return 0, err
		}
	}
	var b []byte
	for i, t := range txns {
		b = append(b, frame(t)...)
		if len(b) < chunk && i < len(txns)-1 {
			continue
		}
		if _, err := s.log.Write(b); err != nil {
			return n, err
		}
		n += int64(len(b))
		b = b[:0]
	}
	return n, nil
}

// Since returns how many records have been logged since the last snapshot.
func (s *Store) Since() int { return s.since }

// Snapshot writes the whole state, begins a new log and removes older files.
// After an error the old files are still good, and Append goes on. It begins
// the count of Since anew in any case, so that a full disk is not tried at
// each write.
func (s *Store) Snapshot(state *State) error {
	s.since = 0
	var e jute.Encoder
	encodeState(&e, state)
	b := append([]byte(snapshotMagic), e.Bytes()...)
	b = binary.BigEndian.AppendUint32(b, checksum(e.Bytes()))
	if err := s.writeFile(name(snapshotPrefix, state.Zxid), b); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	old := s.log
	if err := s.newLog(state.Zxid + 1); err != nil {
		return err
	}
	return errors.Join(old.Close(), s.removeBefore(state.Zxid))
}

// writeFile writes a file so that it is there whole or not at all.
func (s *Store) writeFile(name string, b []byte) error {
	tmp := filepath.Join(s.dir, name+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, filepath.Join(s.dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return s.syncFolder()
}

func (s *Store) syncFolder() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// newLog makes the log whose first record will be zxid the current one.
func (s *Store) newLog(zxid int64) error {
	path := filepath.Join(s.dir, name(logPrefix, zxid))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make transaction log: %w", err)
	}
	if _, err := f.WriteString(logMagic); err != nil {
		return errors.Join(fmt.Errorf("make transaction log: %w", err), f.Close(), os.Remove(path))
	}
	if s.opt.Sync { // its name, too
		if err := errors.Join(f.Sync(), s.syncFolder()); err != nil {
			return errors.Join(fmt.Errorf("make transaction log: %w", err), f.Close(), os.Remove(path))
		}
	}
	s.log, s.size = f, int64(len(logMagic))
	return nil
}

// removeBefore removes what a snapshot of zxid contains: older snapshots, and
// logs that begin before its end, of which none is the current one.
func (s *Store) removeBefore(zxid int64) error {
	var errs []error
	for prefix, last := range map[string]int64{snapshotPrefix: zxid - 1, logPrefix: zxid} {
		numbers, err := s.list(prefix)
		errs = append(errs, err)
		for _, n := range numbers {
			if n <= last {
				errs = append(errs, os.Remove(filepath.Join(s.dir, name(prefix, n))))
			}
		}
	}
	return errors.Join(errs...)
}

func name(prefix string, zxid int64) string { return fmt.Sprintf("%s%016x", prefix, zxid) }

// list returns the sorted numbers of the files with a prefix.
func (s *Store) list(prefix string) ([]int64, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read data folder: %w", err)
	}
	var numbers []int64
	for _, e := range entries {
		hex, ok := strings.CutPrefix(e.Name(), prefix)
		if n, err := strconv.ParseInt(hex, 16, 64); ok && err == nil && len(hex) == 16 && e.Type() == fs.FileMode(0) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
