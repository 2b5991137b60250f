package rig

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
)

// Subnet reserves a loopback /24 for the time of a test: no other test on this
// computer gets it meanwhile.
func Subnet(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(os.TempDir(), "lab-test-subnets")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		tb.Fatal(err)
	}
	for a := 200 + os.Getpid()%50; a <= 254; a++ {
		for b := range 8 {
			name := fmt.Sprintf("127.%d.%d", a, b)
			lock := flock.New(filepath.Join(dir, name))
			if ok, err := lock.TryLock(); err != nil {
				tb.Fatal(err)
			} else if !ok {
				continue
			}
			if subnet := name + ".0/24"; len(Listeners(subnet)) == 0 && bindable(name+".1") {
				tb.Cleanup(func() { lock.Unlock() })
				return subnet
			}
			lock.Unlock()
		}
	}
	tb.Fatal("no free loopback subnet for tests")
	return ""
}

func bindable(ip string) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
