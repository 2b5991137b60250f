package store

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

func history() []Txn {
	return []Txn{
		{Kind: OpenSession, Zxid: 1, Session: 9, Timeout: time.Second, Password: []byte("p")},
		{Kind: Changes, Zxid: 2, Time: 3, Session: 9, Changes: []tree.Change{
			{Kind: tree.Create, Path: "/a", Data: []byte("x"), ACL: tree.OpenACL()},
			{Kind: tree.Create, Path: "/a/e", ACL: tree.OpenACL(), Owner: 9},
			{Kind: tree.SetData, Path: "/a", Data: []byte{}},
			{Kind: tree.SetACL, Path: "/", ACL: tree.OpenACL()},
		}},
		{Kind: Failed, Zxid: 3, Session: 9},
		{Kind: CloseSession, Zxid: 4, Session: 9},
		{Kind: Changes, Zxid: 5, Changes: []tree.Change{{Kind: tree.Delete, Path: "/a"}}},
	}
}

// Whatever the bytes of a log are, replaying them does not panic, what is
// called good is good again, and the state stays one that a snapshot can hold.
func FuzzReplay(f *testing.F) {
	b := []byte(logMagic)
	for _, t := range history() {
		b = append(b, frame(t)...)
		f.Add(b, false)
	}
	f.Add(b[:len(b)-3], false)
	var payloads []byte
	for _, t := range history() {
		payloads = append(payloads, frame(t)...)
	}
	f.Add(payloads, true)
	f.Fuzz(func(t *testing.T, b []byte, reframe bool) {
		if reframe {
			b = withChecksums(b)
		}
		state := NewState()
		good, err := readLog(bytes.NewReader(b), func(txn Txn) error {
			_, err := state.Apply(txn)
			return err
		})
		if good > int64(len(b)) {
			t.Fatalf("%d good bytes of %d", good, len(b))
		}
		if good > 0 {
			if _, again := readLog(bytes.NewReader(b[:good]), func(Txn) error { return nil }); again != nil {
				t.Fatalf("good bytes are not good: %v", again)
			}
		}
		if err != nil {
			return
		}
		var e jute.Encoder
		encodeState(&e, state)
		got, err := decodeState(e.Bytes())
		if err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		if !reflect.DeepEqual(slices.Collect(got.Tree.All()), slices.Collect(state.Tree.All())) {
			t.Fatal("snapshot differs")
		}
	})
}

// withChecksums cuts b into records by the lengths it finds and gives each the
// right checksum, so that fuzzing reaches what is behind it.
func withChecksums(b []byte) []byte {
	out := []byte(logMagic)
	for len(b) >= 8 {
		n := min(int(binary.BigEndian.Uint32(b)), len(b)-8)
		if n < 0 {
			break
		}
		payload := b[8 : 8+n]
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		out = binary.BigEndian.AppendUint32(out, checksum(payload))
		out = append(out, payload...)
		b = b[8+n:]
	}
	return out
}

func FuzzSnapshot(f *testing.F) {
	state := NewState()
	for _, txn := range history()[:2] {
		if _, err := state.Apply(txn); err != nil {
			f.Fatal(err)
		}
	}
	var e jute.Encoder
	encodeState(&e, state)
	f.Add(e.Bytes())
	f.Fuzz(func(t *testing.T, payload []byte) {
		state, err := decodeState(payload)
		if err != nil {
			return
		}
		var e jute.Encoder
		encodeState(&e, state)
		again, err := decodeState(e.Bytes())
		if err != nil || !reflect.DeepEqual(slices.Collect(again.Tree.All()), slices.Collect(state.Tree.All())) {
			t.Fatalf("differs after another round: %v", err)
		}
	})
}
