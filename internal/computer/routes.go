package computer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
)

// routes asks the system: the networks of its interfaces and, on Linux, the
// main routing table.
func routes() ([]netip.Prefix, error) {
	own, err := addresses()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range own {
		out = append(out, a.Prefix.Masked())
	}
	table, err := os.ReadFile("/proc/net/route")
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	} else if err != nil {
		return nil, err
	}
	return append(out, ParseRoutes(table)...), nil
}

// ParseRoutes reads /proc/net/route (proc(5)): destination and mask are hex in
// the byte order of little-endian computers. Default routes are left out, and
// so are lines that say something else.
func ParseRoutes(table []byte) []netip.Prefix {
	var out []netip.Prefix
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 {
			continue
		}
		dest, err1 := hex.DecodeString(f[1])
		mask, err2 := hex.DecodeString(f[7])
		if err1 != nil || err2 != nil || len(dest) != 4 || len(mask) != 4 {
			continue
		}
		var d [4]byte
		binary.BigEndian.PutUint32(d[:], binary.LittleEndian.Uint32(dest))
		bits, ok := maskBits(binary.LittleEndian.Uint32(mask))
		if ok && bits > 0 {
			out = append(out, netip.PrefixFrom(netip.AddrFrom4(d), bits).Masked())
		}
	}
	return out
}

// maskBits counts the ones of a mask that has them in front only.
func maskBits(mask uint32) (bits int, ok bool) {
	for bits = 0; bits < 32 && mask&(1<<(31-bits)) != 0; bits++ {
	}
	return bits, bits == 32 || mask<<bits == 0
}
