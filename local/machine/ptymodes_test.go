//go:build unix

package machine

import (
	"encoding/binary"
	"testing"

	"github.com/mesoslab/lab/local/terminal"
)

func mode(pairs ...uint32) []byte {
	var out []byte
	for i := 0; i+1 < len(pairs); i += 2 {
		out = binary.BigEndian.AppendUint32(append(out, byte(pairs[i])), pairs[i+1])
	}
	return out
}

func TestPTYModes(t *testing.T) {
	with := func(edit func(*terminal.Mode)) terminal.Mode {
		m := terminal.Cooked()
		edit(&m)
		return m
	}
	for name, x := range map[string]struct {
		encoded []byte
		want    terminal.Mode
	}{
		"nothing":           {nil, terminal.Cooked()},
		"an end":            {[]byte{ttyOpEnd}, terminal.Cooked()},
		"no echo":           {append(mode(ttyECHO, 0), ttyOpEnd), with(func(m *terminal.Mode) { m.Echo = false })},
		"without an end":    {mode(ttyISIG, 0), with(func(m *terminal.Mode) { m.Signals = false })},
		"raw":               {mode(ttyICRNL, 0, ttyIXON, 0, ttyISIG, 0, ttyICANON, 0, ttyECHO, 0, ttyOPOST, 0), terminal.Raw()},
		"only one of two":   {mode(ttyOPOST, 1, ttyONLCR, 0), with(func(m *terminal.Mode) { m.Output = false })},
		"others":            {mode(1, 3, 128, 38400, ttyICANON, 0), with(func(m *terminal.Mode) { m.Canonical = false })},
		"behind the end":    {append([]byte{ttyOpEnd}, mode(ttyECHO, 0)...), terminal.Cooked()},
		"behind an unknown": {append([]byte{ttyUnknown}, mode(ttyECHO, 0)...), terminal.Cooked()},
		"cut off":           {mode(ttyECHO, 0)[:4], terminal.Cooked()},
		"any bit is on":     {mode(ttyECHO, 1<<31), terminal.Cooked()},
	} {
		if got := ptyModes(x.encoded); got != x.want {
			t.Errorf("%s: %+v, want %+v", name, got, x.want)
		}
	}
}

// FuzzPTYModes: what stands behind the end, or behind an opcode of unknown
// length, changes nothing.
func FuzzPTYModes(f *testing.F) {
	f.Add(mode(ttyECHO, 0, ttyICANON, 1), []byte{1})
	f.Add([]byte{ttyUnknown, 0}, mode(ttyISIG, 0))
	f.Add([]byte{53, 0, 0}, []byte{0, 0})
	f.Fuzz(func(t *testing.T, encoded, more []byte) {
		whole := encoded[:len(encoded)/5*5]
		for i := 0; i < len(whole); i += 5 {
			if whole[i] == ttyOpEnd || whole[i] >= ttyUnknown {
				whole = whole[:i]
			}
		}
		want := ptyModes(whole)
		for _, end := range []byte{ttyOpEnd, ttyUnknown, 255} {
			if got := ptyModes(append(append(append([]byte{}, whole...), end), more...)); got != want {
				t.Errorf("% x, then %d: %+v, want %+v", whole, end, got, want)
			}
		}
	})
}
