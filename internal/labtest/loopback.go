package labtest

import (
	"net"
	"testing"
)

// needLoopback skips where an address is not there: macOS has only 127.0.0.1
// until aliases are made.
func needLoopback(t testing.TB, ip string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		Missing(t, "this computer has no address "+ip)
	}
	l.Close()
}
