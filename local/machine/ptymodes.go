//go:build unix

package machine

import (
	"encoding/binary"

	"github.com/mesoslab/lab/local/terminal"
)

// The terminal modes of RFC 4254, section 8, that a terminal here has.
const (
	ttyOpEnd  = 0
	ttyICRNL  = 36
	ttyIXON   = 38
	ttyISIG   = 50
	ttyICANON = 51
	ttyECHO   = 53
	ttyOPOST  = 70
	ttyONLCR  = 72
	// Opcodes from here on end the list: their length is unknown.
	ttyUnknown = 160
)

// ptyModes is the mode that a client asks for: cooked, but for what it names.
func ptyModes(encoded []byte) terminal.Mode {
	m := terminal.Cooked()
	for len(encoded) >= 5 && encoded[0] != ttyOpEnd && encoded[0] < ttyUnknown {
		on := binary.BigEndian.Uint32(encoded[1:]) != 0
		switch encoded[0] {
		case ttyICRNL:
			m.Enter = on
		case ttyIXON:
			m.Flow = on
		case ttyISIG:
			m.Signals = on
		case ttyICANON:
			m.Canonical = on
		case ttyECHO:
			m.Echo = on
		case ttyOPOST, ttyONLCR:
			m.Output = m.Output && on
		}
		encoded = encoded[5:]
	}
	return m
}
