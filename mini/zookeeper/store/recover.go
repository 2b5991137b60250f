package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// loadSnapshot returns the state of the newest snapshot, a fresh one if there
// is none.
func (s *Store) loadSnapshot() (*State, error) {
	numbers, err := s.list(snapshotPrefix)
	if err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return NewState(), nil
	}
	zxid := numbers[len(numbers)-1]
	path := filepath.Join(s.dir, name(snapshotPrefix, zxid))
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	state, err := parseSnapshot(b)
	if err == nil && state.Zxid != zxid {
		err = fmt.Errorf("%w: it ends at 0x%x", ErrInconsistent, state.Zxid)
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot %s is damaged: %w; move the folder away to begin anew", path, err)
	}
	return state, nil
}

func parseSnapshot(b []byte) (*State, error) {
	body, ok := bytes.CutPrefix(b, []byte(snapshotMagic))
	if !ok || len(body) < 4 {
		return nil, errors.New("no snapshot")
	}
	payload, sum := body[:len(body)-4], body[len(body)-4:]
	if checksum(payload) != binary.BigEndian.Uint32(sum) {
		return nil, errors.New("checksum does not match")
	}
	return decodeState(payload)
}

// replay repeats the logs on top of state and opens the last one for
// appending.
func (s *Store) replay(state *State) error {
	numbers, err := s.list(logPrefix)
	if err != nil {
		return err
	}
	for i, first := range numbers {
		path := filepath.Join(s.dir, name(logPrefix, first))
		last := i == len(numbers)-1
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("open transaction log: %w", err)
		}
		good, err := readLog(f, func(t Txn) error {
			if t.Zxid <= state.Zxid {
				return nil // in the snapshot already
			}
			s.since++
			_, err := state.Apply(t)
			return err
		})
		switch {
		case errors.Is(err, errTorn) && last:
			err = s.cut(f, path, good)
		case err != nil:
			err = fmt.Errorf("transaction log %s is damaged at byte %d: %w; move the folder away to begin anew", path, good, err)
		}
		if err == nil && last {
			s.log, s.size = f, max(good, int64(len(logMagic)))
			return nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// cut removes what follows the good bytes of a log.
func (s *Store) cut(f *os.File, path string, good int64) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("cut transaction log: %w", err)
	}
	if err := f.Truncate(good); err != nil {
		return fmt.Errorf("cut transaction log: %w", err)
	}
	if good == 0 {
		if _, err := f.WriteString(logMagic); err != nil {
			return fmt.Errorf("begin transaction log: %w", err)
		}
	}
	if s.opt.Note != nil {
		s.opt.Note(fmt.Sprintf("%s: cut off %d bytes of a torn record at byte %d", path, end-good, good))
	}
	return nil
}
