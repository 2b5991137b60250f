package procfs

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestListeners(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	find := func() (found []Listener) {
		for _, f := range Listeners([]int{1 << 22, os.Getpid(), os.Getpid()}) {
			if f.Address == at {
				found = append(found, f)
			}
		}
		return found
	}
	if got := find(); len(got) != 1 || got[0].PID != os.Getpid() || got[0].Command != filepath.Base(os.Args[0]) {
		t.Errorf("%+v", got)
	}
	l.Close()
	if got := find(); len(got) != 0 {
		t.Errorf("closed: %+v", got)
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("0100007F:1F90")
	f.Add(":")
	f.Fuzz(func(_ *testing.T, text string) { parseAddress(text) })
}
