package jute

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func encode(v interface{ Encode(*Encoder) }) []byte {
	var e Encoder
	v.Encode(&e)
	return e.Bytes()
}

// one request of each type, with every field set to something of its own.
func everyRequest() []Request {
	acl := []ACL{{Perms: PermAll, Scheme: "world", ID: "anyone"}, {Perms: PermRead, Scheme: "ip", ID: "10.0.0.0/8"}}
	multi := MultiRequest{Ops: []Request{
		CreateRequest{Path: "/a", Data: []byte("x"), ACL: acl, Flags: FlagEphemeral | FlagSequence},
		CreateRequest{Path: "/b", WithStat: true},
		DeleteRequest{Path: "/c", Version: 3},
		SetDataRequest{Path: "/d", Data: []byte{}, Version: -1},
		CheckRequest{Path: "/e", Version: 9},
	}}
	return append([]Request{
		SetACLRequest{Path: "/a", ACL: acl, Version: 2},
		GetACLRequest{Path: "/a"},
		ExistsRequest{Path: "/a", Watch: true},
		GetDataRequest{Path: "/a"},
		GetChildrenRequest{Path: "/a", Watch: true},
		GetChildrenRequest{Path: "/a", WithStat: true},
		SyncRequest{Path: "/a"},
		SetWatchesRequest{RelativeZxid: 1 << 40, Data: []string{"/a", "/b"}, Child: []string{"/c"}},
		AuthRequest{Scheme: "digest", Auth: []byte("u:p")},
		multi,
	}, multi.Ops...)
}

func TestRequestsSurviveTheWire(t *testing.T) {
	for _, want := range everyRequest() {
		got, err := DecodeRequest(OpOf(want), encode(want))
		if err != nil {
			t.Errorf("%#v: %v", want, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	}
}

// Bytes written down by hand from zookeeper.jute, so that encoder and decoder
// cannot agree on a common mistake.
func TestLayout(t *testing.T) {
	tests := []struct {
		name string
		v    interface{ Encode(*Encoder) }
		want string
	}{
		{"request header", RequestHeader{Xid: -2, Op: OpPing}, "fffffffe 0000000b"},
		{"reply header", ReplyHeader{Xid: 1, Zxid: 2, Err: NoNode}, "00000001 0000000000000002 ffffff9b"},
		{"create", CreateRequest{Path: "/a", Data: []byte{7}, ACL: []ACL{{31, "world", "anyone"}}, Flags: 2},
			"00000002 2f61 00000001 07 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000002"},
		{"no data", SetDataRequest{Path: "/", Version: -1}, "00000001 2f ffffffff ffffffff"},
		{"connect", ConnectRequest{LastZxidSeen: 5, Timeout: 10000, SessionID: 6, Password: []byte{1, 2}},
			"00000000 0000000000000005 00002710 0000000000000006 00000002 0102"},
		{"connect 3.4", ConnectRequest{Password: []byte{}, HasReadOnly: true, ReadOnly: true},
			"00000000 0000000000000000 00000000 0000000000000000 00000000 01"},
		{"connected", ConnectResponse{Timeout: 4000, SessionID: 1, Password: []byte{9}, HasReadOnly: true},
			"00000000 00000fa0 0000000000000001 00000001 09 00"},
		{"stat", Stat{Czxid: 1, Mzxid: 2, Ctime: 3, Mtime: 4, Version: 5, Cversion: 6, Aversion: 7, EphemeralOwner: 8, DataLength: 9, NumChildren: 10, Pzxid: 11},
			"0000000000000001 0000000000000002 0000000000000003 0000000000000004 00000005 00000006 00000007 0000000000000008 00000009 0000000a 000000000000000b"},
		{"multi", MultiRequest{Ops: []Request{DeleteRequest{Path: "/", Version: 1}}},
			"00000002 00 ffffffff 00000001 2f 00000001 ffffffff 01 ffffffff"},
	}
	for _, tt := range tests {
		want, err := hex.DecodeString(strings.ReplaceAll(tt.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := encode(tt.v); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", tt.name, got, want)
		}
	}
}

func TestMultiResultsLayout(t *testing.T) {
	var e Encoder
	EncodeMultiResults(&e, []MultiResult{{Op: OpCreate, Path: "/a"}, {Op: OpDelete}, {Op: OpError, Err: NoNode}})
	want, err := hex.DecodeString("00000001" + "00" + "00000000" + "00000002" + "2f61" +
		"00000002" + "00" + "00000000" +
		"ffffffff" + "00" + "ffffff9b" + "ffffff9b" +
		"ffffffff" + "01" + "ffffffff")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(e.Bytes(), want) {
		t.Errorf("got %x, want %x", e.Bytes(), want)
	}
}

func TestReadOnlyFlagIsSeenOnlyWhenSent(t *testing.T) {
	for _, sent := range []bool{false, true} {
		var got ConnectRequest
		got.Decode(NewDecoder(encode(ConnectRequest{Password: []byte{1}, HasReadOnly: sent, ReadOnly: sent})))
		if got.HasReadOnly != sent || got.ReadOnly != sent {
			t.Errorf("sent %v, got %+v", sent, got)
		}
	}
}

func TestBadBytes(t *testing.T) {
	tests := []struct {
		name string
		op   Op
		hex  string
		want error
	}{
		{"empty", OpCreate, "", ErrShort},
		{"path longer than packet", OpExists, "00000010 2f", ErrShort},
		{"negative path", OpExists, "fffffffe 2f", ErrLength},
		{"huge path", OpExists, "7fffffff 2f", ErrLength},
		{"no watch flag", OpExists, "00000001 2f", ErrShort},
		{"huge vector", OpSetWatches, "0000000000000000 7fffffff", ErrLength},
		{"negative vector", OpSetWatches, "0000000000000000 80000000", ErrLength},
		{"container", Op(19), "", ErrUnknownOp},
		{"multi without end", OpMulti, "00000002 00 ffffffff 00000001 2f 00000001", ErrShort},
		{"multi in multi", OpMulti, "0000000e 00 ffffffff", ErrUnknownOp},
	}
	for _, tt := range tests {
		b, err := hex.DecodeString(strings.ReplaceAll(tt.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeRequest(tt.op, b); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, r := range everyRequest() {
		f.Add(int32(OpOf(r)), encode(r))
	}
	f.Add(int32(OpSetWatches), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, op int32, b []byte) {
		r, err := DecodeRequest(Op(op), b)
		if err != nil {
			return
		}
		if OpOf(r) != Op(op) {
			t.Fatalf("type %d decoded as %d", op, OpOf(r))
		}
		again, err := DecodeRequest(Op(op), encode(r))
		if err != nil {
			t.Fatalf("%#v does not decode again: %v", r, err)
		}
		if !reflect.DeepEqual(r, again) {
			t.Fatalf("%#v became %#v", r, again)
		}
	})
}

func FuzzConnectRequest(f *testing.F) {
	f.Add(encode(ConnectRequest{Timeout: 4000, Password: make([]byte, 16), HasReadOnly: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again ConnectRequest
		d := NewDecoder(b)
		if r.Decode(d); d.Err() != nil {
			return
		}
		again.Decode(NewDecoder(encode(r)))
		if !reflect.DeepEqual(r, again) {
			t.Fatalf("%#v became %#v", r, again)
		}
	})
}
