package computer

import (
	"net/netip"
	"slices"
	"testing"
)

const routeTable = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100A8C0	0003	0	0	0	00000000	0	0	0
eth0	0000A8C0	00000000	0001	0	0	0	0000FFFF	0	0	0
br-1	003BA8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
host	0101000A	00000000	0005	0	0	0	FFFFFFFF	0	0	0
`

func TestParseRoutes(t *testing.T) {
	want := []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("192.168.59.0/24"), netip.MustParsePrefix("10.0.1.1/32")}
	if got := ParseRoutes([]byte(routeTable)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add([]byte(routeTable))
	f.Add([]byte("a 00 0 0 0 0 0 00FF00FF"))
	f.Fuzz(func(t *testing.T, table []byte) {
		for _, p := range ParseRoutes(table) {
			if !p.IsValid() || p.Bits() == 0 || p != p.Masked() {
				t.Errorf("%v", p)
			}
		}
	})
}
