//go:build unix

package labtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Subnet gives a test a loopback /24 (127.200–254.x) that no other test of
// this computer has at the same time, until the test ends. It skips where the
// computer has only 127.0.0.1.
func Subnet(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("lab-test-subnets-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		net := fmt.Sprintf("127.%d.%d", 200+rand.IntN(55), rand.IntN(256))
		f, err := os.OpenFile(filepath.Join(dir, net), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		// The lock goes with the process, however that ends.
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			continue
		} else if err != nil {
			t.Fatalf("lock subnet %s: %v", net, err)
		}
		t.Cleanup(func() { f.Close() })
		needLoopback(t, net+".1")
		return net + ".0/24"
	}
	t.Fatal("all subnets for tests are taken")
	return ""
}
