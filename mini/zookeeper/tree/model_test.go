package tree

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// model is the plainest thing that behaves like the tree: values in a map,
// copied as a whole before each multi.
type model map[string]entry

type entry struct {
	data    string
	version int32
	made    int32
	owner   int64
}

func (m model) children(p string) (n int) {
	for q := range m {
		if q != "/" && path.Dir(q) == p {
			n++
		}
	}
	return n
}

func (m model) do(session int64, req jute.Request) jute.Code {
	switch r := req.(type) {
	case jute.CreateRequest:
		dir := path.Dir(r.Path)
		parent, ok := m[dir]
		if !ok {
			return jute.NoNode
		}
		name := r.Path
		if r.Flags&jute.FlagSequence != 0 {
			name += fmt.Sprintf("%010d", parent.made)
		}
		if _, ok := m[name]; ok {
			return jute.NodeExists
		}
		if parent.owner != 0 {
			return jute.NoChildrenForEphemerals
		}
		parent.made++
		m[dir] = parent
		e := entry{data: string(r.Data)}
		if r.Flags&jute.FlagEphemeral != 0 {
			e.owner = session
		}
		m[name] = e
	case jute.DeleteRequest:
		e, ok := m[r.Path]
		switch {
		case !ok:
			return jute.NoNode
		case r.Version != -1 && r.Version != e.version:
			return jute.BadVersion
		case m.children(r.Path) > 0:
			return jute.NotEmpty
		}
		delete(m, r.Path)
	case jute.SetDataRequest:
		e, ok := m[r.Path]
		switch {
		case !ok:
			return jute.NoNode
		case r.Version != -1 && r.Version != e.version:
			return jute.BadVersion
		}
		e.data, e.version = string(r.Data), e.version+1
		m[r.Path] = e
	}
	return jute.OK
}

func randomRequest(rng *rand.Rand) jute.Request {
	p := ""
	for range 1 + rng.IntN(3) {
		p += "/" + string(rune('a'+rng.IntN(3)))
	}
	version := int32(rng.IntN(4) - 1)
	data := []byte(strings.Repeat("x", rng.IntN(5)))
	switch rng.IntN(4) {
	case 0:
		return jute.DeleteRequest{Path: p, Version: version}
	case 1:
		return jute.SetDataRequest{Path: p, Data: data, Version: version}
	default:
		return jute.CreateRequest{Path: p, Data: data, ACL: OpenACL(), Flags: int32(rng.IntN(4))}
	}
}

func check(t *testing.T, tr *Tree, m model) {
	t.Helper()
	got := make(model)
	var size int64
	owned := make(map[int64][]string)
	for n := range tr.All() {
		size += int64(len(n.Path) + len(n.Data))
		if n.Owner != 0 {
			owned[n.Owner] = append(owned[n.Owner], n.Path)
		}
		got[n.Path] = entry{data: string(n.Data), version: n.Version, made: n.Creates, owner: n.Owner}
		if st, _ := tr.Stat(n.Path); int(st.NumChildren) != m.children(n.Path) || st.Cversion != 2*n.Creates-st.NumChildren {
			t.Fatalf("%s: %+v, want %d children", n.Path, st, m.children(n.Path))
		}
	}
	if !maps.Equal(got, m) {
		t.Fatalf("tree:  %v\nmodel: %v", got, m)
	}
	if size != tr.Size() || len(m) != tr.Len() {
		t.Fatalf("size %d, want %d; %d nodes, want %d", tr.Size(), size, tr.Len(), len(m))
	}
	if !slices.Equal(tr.Owners(), slices.Sorted(maps.Keys(owned))) {
		t.Fatalf("owners %v, want %v", tr.Owners(), owned)
	}
	for s, paths := range owned {
		if !slices.Equal(tr.Ephemerals(s), paths) {
			t.Fatalf("ephemerals of %d: %v, want %v", s, tr.Ephemerals(s), paths)
		}
	}
}

// Whatever is done, the tree looks like the model, its counts agree, replaying
// the logged changes gives the same tree, and so does restoring its nodes.
func TestTreeAgreesWithModel(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		tr, replica := New(), New()
		m := model{"/": {}, "/zookeeper": {}, "/zookeeper/quota": {}}
		for zxid := range int64(200) {
			tx := Tx{Zxid: zxid, Time: zxid * 10, Session: int64(1 + rng.IntN(3))}
			if rng.IntN(20) == 0 {
				tr.CloseSession(zxid, tx.Session)
				replica.CloseSession(zxid, tx.Session)
				maps.DeleteFunc(m, func(_ string, e entry) bool { return e.owner == tx.Session })
				continue
			}
			var reqs []jute.Request
			for range 1 + rng.IntN(3) {
				reqs = append(reqs, randomRequest(rng))
			}
			try, want := maps.Clone(m), jute.OK
			for _, r := range reqs {
				if want = try.do(tx.Session, r); want != jute.OK {
					break
				}
			}
			out, failed, err := tr.Do(tx, reqs...)
			if want == jute.OK {
				m = try
			}
			if (want == jute.OK) != (err == nil) || err != nil && !errors.Is(err, want) {
				t.Fatalf("seed %d: %+v: request %d: %v, want %v", seed, reqs, failed, err, want)
			}
			for _, c := range out.Changes {
				if _, _, err := replica.Apply(tx.Zxid, tx.Time, c); err != nil {
					t.Fatalf("seed %d: replay: %v", seed, err)
				}
			}
		}
		check(t, tr, m)
		nodes := slices.Collect(tr.All())
		if !reflect.DeepEqual(nodes, slices.Collect(replica.All())) {
			t.Fatalf("seed %d: the replica differs", seed)
		}
		restored, err := Restore(nodes)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		check(t, restored, m)
	}
}

func TestRestoreRefusesWhatIsNoTree(t *testing.T) {
	fresh := slices.Collect(New().All())
	for name, nodes := range map[string][]Node{
		"empty":             nil,
		"no quota":          fresh[:2],
		"orphan":            append(slices.Clone(fresh), Node{Path: "/x/y"}),
		"twice":             append(slices.Clone(fresh), fresh[0]),
		"bad path":          append(slices.Clone(fresh), Node{Path: "x"}),
		"ephemeral root":    {{Path: "/", Owner: 1}},
		"ephemeral parents": append(slices.Clone(fresh), Node{Path: "/e", Owner: 1}, Node{Path: "/e/f"}),
	} {
		if _, err := Restore(nodes); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
