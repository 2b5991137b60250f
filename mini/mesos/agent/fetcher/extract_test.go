package fetcher

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"slices"
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// announce makes an .xz stream's first block announce another dictionary: size
// is its code in the block's header, 28 for 64 MiB, 40 for 4 GiB.
func announce(t testing.TB, stream []byte, size byte) []byte {
	t.Helper()
	b := bytes.Clone(stream)
	header := b[12:]
	header = header[:4*(int(header[0])+1)]
	at := bytes.Index(header, []byte{0x21, 1}) // the filter LZMA2, and one byte for it
	if at < 2 {
		t.Fatalf("no filter in % x", header)
	}
	header[at+2] = size
	end := len(header) - 4
	binary.LittleEndian.PutUint32(header[end:], crc32.ChecksumIEEE(header[:end]))
	return b
}

// TestLargeDictionaries: what an archive announces is not allocated unless it is
// allowed, whichever of its streams announces it.
func TestLargeDictionaries(t *testing.T) {
	p := newPlace(t)
	good := packed(t, tarOf(t, item{name: "a", content: "a", mode: 0o644}), xzip)
	for _, c := range []struct {
		name    string
		archive []byte
		refused bool
	}{
		{"as xz packs", good, false},
		{"64 MiB", announce(t, good, 28), false},
		{"96 MiB", announce(t, good, 29), true},
		{"4 GiB", announce(t, good, 40), true},
		{"4 GiB, after a good stream", slices.Concat(packed(t, nil, xzip), announce(t, good, 40)), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t, p.sandbox = t, t.TempDir()
			p.files["/a.txz"] = c.archive
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := p.fetch(mesos.CommandInfo_URI{Value: p.url + "/a.txz"})
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 2*dictionary {
				t.Errorf("%d bytes were allocated", n)
			}
			const want = "failed to extract 'a.txz': it asks for a dictionary of more than 64 MiB"
			switch {
			case !c.refused:
				must(t, err)
				p.has("a", "a", 0o644)
			case err == nil || !strings.Contains(err.Error(), want):
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}
