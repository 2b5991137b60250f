package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

func open(t *testing.T, dir string) (*Store, *State, *strings.Builder) {
	t.Helper()
	var notes strings.Builder
	s, state, err := Open(dir, Options{Note: func(l string) { fmt.Fprintln(&notes, l) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, state, &notes
}

// log applies and appends a transaction, as a server does.
func log(t *testing.T, s *Store, state *State, txn Txn) {
	t.Helper()
	txn.Zxid = state.Zxid + 1
	if _, err := state.Apply(txn); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(txn); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, s *Store, state *State, session int64, reqs ...jute.Request) {
	t.Helper()
	txn, _, _, _ := state.Do(state.Zxid*7, session, nil, reqs...)
	if err := s.Append(txn); err != nil {
		t.Fatal(err)
	}
}

func create(path string, flags int32) jute.CreateRequest {
	return jute.CreateRequest{Path: path, Data: []byte(path), ACL: tree.OpenACL(), Flags: flags}
}

func same(t *testing.T, got, want *State) {
	t.Helper()
	if got.Zxid != want.Zxid || got.LastSession != want.LastSession || !reflect.DeepEqual(got.Sessions, want.Sessions) {
		t.Errorf("got zxid %d, session %d, %v\nwant %d, %d, %v", got.Zxid, got.LastSession, got.Sessions, want.Zxid, want.LastSession, want.Sessions)
	}
	if g, w := slices.Collect(got.Tree.All()), slices.Collect(want.Tree.All()); !reflect.DeepEqual(g, w) {
		t.Errorf("got  %+v\nwant %+v", g, w)
	}
}

// fill logs something of every kind.
func fill(t *testing.T, s *Store, state *State) {
	t.Helper()
	log(t, s, state, Txn{Kind: OpenSession, Session: 5, Timeout: 4 * time.Second, Password: []byte("secret")})
	log(t, s, state, Txn{Kind: OpenSession, Session: 6, Timeout: 9 * time.Second, Password: []byte("other")})
	do(t, s, state, 5, create("/a", 0), create("/a/e", jute.FlagEphemeral))
	do(t, s, state, 6, create("/a/f", jute.FlagEphemeral|jute.FlagSequence))
	do(t, s, state, 5, create("/a", 0)) // fails
	do(t, s, state, 5, jute.SetDataRequest{Path: "/a", Version: 0})
	do(t, s, state, 5, jute.SetACLRequest{Path: "/", ACL: tree.OpenACL(), Version: 0})
	log(t, s, state, Txn{Kind: CloseSession, Session: 6})
	do(t, s, state, 5, create("/b", 0), jute.DeleteRequest{Path: "/b", Version: -1})
}

func TestStateSurvivesAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	again, got, notes := open(t, dir) // nobody closed the first
	same(t, got, state)
	if notes.Len() > 0 {
		t.Errorf("notes: %s", notes)
	}
	if again.Since() != int(state.Zxid) {
		t.Errorf("since %d, want %d", again.Since(), state.Zxid)
	}
	do(t, again, got, 5, create("/more", 0))
	_, third, _ := open(t, dir)
	same(t, third, got)
}

func TestSnapshotReplacesTheLogs(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	for round := range 3 {
		do(t, s, state, 0, create(fmt.Sprintf("/n%d", round), 0))
		if err := s.Snapshot(state); err != nil {
			t.Fatal(err)
		}
	}
	if s.Since() != 0 {
		t.Errorf("since %d", s.Since())
	}
	do(t, s, state, 0, create("/tail", 0))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, name(logPrefix, 4)), filepath.Join(dir, name(snapshotPrefix, 3))}; !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
	_, got, _ := open(t, dir)
	same(t, got, state)
}

// What waits for the disk while a snapshot is taken is in it, and is logged
// after it.
func TestSnapshotAheadOfTheLog(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	first, _, _, _ := state.Do(1, 5, nil, create("/ahead", 0))
	second, _, _, _ := state.Do(2, 5, nil, jute.SetDataRequest{Path: "/ahead", Version: 0})
	if err := s.Snapshot(state); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(first, second); err != nil {
		t.Fatal(err)
	}
	do(t, s, state, 5, create("/after", 0))
	again, got, notes := open(t, dir)
	same(t, got, state)
	if notes.Len() > 0 {
		t.Errorf("notes: %s", notes)
	}
	if err := again.Snapshot(got); err != nil {
		t.Fatal(err)
	}
	_, third, _ := open(t, dir)
	same(t, third, state)
}

// Of records that were written together the first ones are there after a crash
// in the midst of it.
func TestTornBatch(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	whole := s.size
	var txns []Txn
	for i := range 5 {
		txn, _, _, _ := state.Do(int64(i), 5, nil, create(fmt.Sprintf("/n%d", i), 0))
		txns = append(txns, txn)
	}
	if err := s.Append(txns...); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, name(logPrefix, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if s.size != int64(len(b)) {
		t.Errorf("size %d, the file has %d bytes", s.size, len(b))
	}
	before, last := state.Zxid-int64(len(txns)), int64(0)
	for size := whole; size <= int64(len(b)); size++ {
		torn := t.TempDir()
		if err := os.WriteFile(filepath.Join(torn, name(logPrefix, 1)), b[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s, got, _ := open(t, torn)
		s.Close()
		if n := got.Zxid - before; n < last || n > last+1 {
			t.Fatalf("torn at %d: %d of them are there, %d were at a byte less", size, n, last)
		} else {
			last = n
		}
	}
	if last != int64(len(txns)) {
		t.Errorf("%d are there of %d", last, len(txns))
	}
}

func TestFullSnapshot(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	if err := s.Snapshot(state); err != nil {
		t.Fatal(err)
	}
	_, got, _ := open(t, dir)
	same(t, got, state)
}

// A process that dies between the snapshot and the removal of the older files
// leaves both.
func TestOldFilesBesideASnapshot(t *testing.T) {
	dir, keep := t.TempDir(), t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	first := filepath.Join(dir, name(logPrefix, 1))
	b, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Snapshot(state); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(keep, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keep, name(logPrefix, 1)), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(keep, name(logPrefix, state.Zxid+1))); err != nil {
		t.Fatal(err)
	}
	again, got, _ := open(t, keep)
	same(t, got, state)
	do(t, again, got, 5, create("/more", 0))
	_, third, _ := open(t, keep)
	same(t, third, got)
}

func TestTornTailIsCutOffAnywhere(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	whole := s.size
	do(t, s, state, 5, create("/last", 0))
	b, err := os.ReadFile(filepath.Join(dir, name(logPrefix, 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, before, _ := open(t, dir)
	for size := whole; size < int64(len(b)); size++ {
		torn := t.TempDir()
		path := filepath.Join(torn, name(logPrefix, 1))
		if err := os.WriteFile(path, b[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s, got, notes := open(t, torn)
		if got.Zxid != before.Zxid-1 {
			t.Fatalf("torn at %d: zxid %d, want %d", size, got.Zxid, before.Zxid-1)
		}
		if noted := strings.Contains(notes.String(), "torn"); noted != (size > whole) {
			t.Errorf("torn at %d: notes %q", size, notes)
		}
		do(t, s, got, 5, create("/after", 0))
		s.Close()
		again, third, notes := open(t, torn)
		same(t, third, got)
		if notes.Len() > 0 {
			t.Errorf("still torn: %s", notes)
		}
		again.Close()
	}
}

func TestLogWithoutMagic(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name(logPrefix, 1)), []byte("LAB"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, state, notes := open(t, dir)
	if !strings.Contains(notes.String(), "3 bytes") {
		t.Errorf("notes: %q", notes)
	}
	fill(t, s, state)
	_, got, _ := open(t, dir)
	same(t, got, state)
}

func TestDamageThatIsNoTornTailIsAnError(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	first := filepath.Join(dir, name(logPrefix, 1))
	flip := func(path string, at int64) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(path string) {
		t.Helper()
		_, _, err := Open(dir, Options{})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error that names %s", err, path)
		}
	}
	// An older log: what follows it does not fit any more.
	if err := s.newLog(state.Zxid + 1); err != nil {
		t.Fatal(err)
	}
	do(t, s, state, 5, create("/c", 0))
	flip(first, 40)
	refused(first)
	flip(first, 40)
	if err := os.Rename(first, first+".moved"); err != nil {
		t.Fatal(err)
	}
	refused(name(logPrefix, state.Zxid))
	if err := os.Rename(first+".moved", first); err != nil {
		t.Fatal(err)
	}
	again, state, _ := open(t, dir)
	if err := again.Snapshot(state); err != nil {
		t.Fatal(err)
	}
	snapshot := filepath.Join(dir, name(snapshotPrefix, state.Zxid))
	flip(snapshot, 100)
	refused(snapshot)
}

func TestFailedWriteIsToldAndUndone(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	good := s.log
	readOnly, err := os.Open(good.(*os.File).Name())
	if err != nil {
		t.Fatal(err)
	}
	s.log = readOnly
	txn, _, _, _ := state.Do(1, 5, nil, create("/lost", 0))
	if err := s.Append(txn); err == nil {
		t.Error("no error")
	}
	s.log = good
	readOnly.Close()
	_, got, notes := open(t, dir)
	if _, ok := got.Tree.Stat("/lost"); ok || notes.Len() > 0 {
		t.Errorf("the failed write is there: %v, %q", ok, notes)
	}
}

func TestSnapshotFailureKeepsTheLog(t *testing.T) {
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	fill(t, s, state)
	// A folder of that name cannot be overwritten by a file.
	if err := os.MkdirAll(filepath.Join(dir, name(snapshotPrefix, state.Zxid), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Snapshot(state); err == nil {
		t.Fatal("no error")
	}
	do(t, s, state, 5, create("/after", 0))
	_, got, _ := open(t, dir)
	same(t, got, state)
}

func TestRandomHistory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	s, state, _ := open(t, dir)
	for i := range 1000 {
		session := int64(1 + rng.IntN(4))
		_, there := state.Sessions[session]
		p := fmt.Sprintf("/%d", rng.IntN(4))
		if rng.IntN(2) == 0 {
			p += fmt.Sprintf("/%d", rng.IntN(4))
		}
		switch {
		case !there:
			log(t, s, state, Txn{Kind: OpenSession, Session: session, Timeout: time.Second, Password: []byte{byte(i)}})
		case rng.IntN(15) == 0:
			log(t, s, state, Txn{Kind: CloseSession, Session: session})
		case rng.IntN(3) == 0:
			do(t, s, state, session, jute.DeleteRequest{Path: p, Version: -1})
		default:
			do(t, s, state, session, create(p, int32(rng.IntN(4))))
		}
		if rng.IntN(100) == 0 {
			if err := s.Snapshot(state); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(100) == 0 {
			s.Close()
			var got *State
			s, got, _ = open(t, dir)
			same(t, got, state)
			state = got
		}
	}
}

// journal notes what is done to a log, in order.
type journal struct {
	logFile
	done    []string
	syncErr error
}

func (j *journal) Write(b []byte) (int, error) {
	j.done = append(j.done, "write")
	return j.logFile.Write(b)
}

func (j *journal) Sync() error {
	j.done = append(j.done, "sync")
	return errors.Join(j.syncErr, j.logFile.Sync())
}

// TestSync has a disk that says no: what is not on it was not appended.
func TestSync(t *testing.T) {
	for _, flush := range []bool{false, true} {
		dir := t.TempDir()
		s, state, err := Open(dir, Options{Sync: flush})
		if err != nil {
			t.Fatal(err)
		}
		j := &journal{logFile: s.log}
		s.log = j
		do(t, s, state, 0, create("/a", 0))
		want := []string{"write"}
		if flush {
			want = append(want, "sync")
		}
		if !slices.Equal(j.done, want) {
			t.Errorf("sync %v: %q before Append returned, want %q", flush, j.done, want)
		}
		j.syncErr = errors.New("no")
		txn, _, _, _ := state.Do(1, 0, nil, create("/b", 0))
		if err := s.Append(txn); (err != nil) != flush {
			t.Errorf("sync %v: %v from a disk that refuses", flush, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, again, _ := open(t, dir)
		if _, found := again.Tree.Stat("/b"); found == flush {
			t.Errorf("sync %v: /b is there afterwards: %v", flush, found)
		}
	}
}
