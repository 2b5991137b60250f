package lab

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is an amount of memory or disk in bytes, written as people write it:
// 512MiB, 1GiB, 10G.
type Size int64

// Units of Size. The decimal-looking K, M, G, T mean their binary
// neighbours, as in the configuration of every VM provider.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// ParseSize reads 512MiB, 1GiB, 10G or a plain number of bytes.
func ParseSize(text string) (Size, error) {
	s := strings.TrimSpace(text)
	digits := strings.TrimRight(s, "KMGTiBbkmgt ")
	unit, ok := map[string]Size{
		"": 1, "b": 1, "k": KiB, "kib": KiB, "kb": KiB, "m": MiB, "mib": MiB, "mb": MiB,
		"g": GiB, "gib": GiB, "gb": GiB, "t": TiB, "tib": TiB, "tb": TiB,
	}[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n < 0 || (n > 0 && int64(unit) > (1<<62)/n) {
		return 0, fmt.Errorf("%q is no size: allowed are whole numbers with MiB or GiB, like 512MiB or 1GiB", text)
	}
	return Size(n) * unit, nil
}

// MiB returns the size in whole mebibytes, rounded down.
func (s Size) MiB() int64 { return int64(s / MiB) }

func (s Size) String() string {
	for _, u := range []struct {
		size Size
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	*s = v
	return err
}
