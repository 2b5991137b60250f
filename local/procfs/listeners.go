package procfs

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Listener is a TCP port over IPv4 on which a process listens.
type Listener struct {
	Address netip.AddrPort
	PID     int
	Command string // the program's name
}

// Listeners are the ports on which processes listen, in the order of the
// processes, each port once. Processes that may not be looked into have none.
func Listeners(pids []int) []Listener {
	listening := listeningSockets()
	var out []Listener
	for _, pid := range pids {
		sockets, err := Sockets(pid)
		if err != nil {
			continue // another user's
		}
		for _, socket := range sockets {
			if at, listens := listening[socket.Inode]; listens {
				delete(listening, socket.Inode)
				out = append(out, Listener{Address: at, PID: pid, Command: name(pid)})
			}
		}
	}
	return out
}

// listeningSockets are the addresses of this network namespace's listeners, by
// inode.
func listeningSockets() map[string]netip.AddrPort {
	out := map[string]netip.AddrPort{}
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
			continue
		}
		if at, ok := parseAddress(f[1]); ok {
			out[f[9]] = at
		}
	}
	return out
}

// parseAddress reads 0100007F:1F90, the address as the kernel has it in memory.
func parseAddress(text string) (netip.AddrPort, bool) {
	ip, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(ip)
	p, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw) != 4 {
		return netip.AddrPort{}, false
	}
	var bytes [4]byte
	binary.NativeEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(raw))
	return netip.AddrPortFrom(netip.AddrFrom4(bytes), uint16(p)), true
}

// name is a process' program, without its folder.
func name(pid int) string {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(line), "\x00")
	return filepath.Base(first)
}
