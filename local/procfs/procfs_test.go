package procfs

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	p, started, ok := parseStat("42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 1000000 10 18446744073709551615 0 0")
	if !ok || p.PID != 42 || p.PPID != 7 || p.Command != "[a (b) c]" || p.CPU != 3*time.Second || p.Threads != 3 || started != 10*time.Second {
		t.Errorf("%+v %v %v", p, started, ok)
	}
	if p.RSS != 10*int64(os.Getpagesize()) {
		t.Errorf("rss %d", p.RSS)
	}
	for _, bad := range []string{"", "42", "42 (x) S", "x (x) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 1000000 10"} {
		if _, _, ok := parseStat(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 1000000 10 18446744073709551615")
	f.Add(") (")
	f.Fuzz(func(_ *testing.T, s string) { parseStat(s) })
}

// TestChild is the process that TestTree looks at.
func TestChild(t *testing.T) {
	if os.Getenv("PROCFS_TEST_CHILD") == "" {
		t.Skip("it is started by TestTree")
	}
	os.Stdin.Read(make([]byte, 1)) // until TestTree closes it
}

func TestTree(t *testing.T) {
	if runtime.GOOS != "linux" {
		if tree := Tree(os.Getpid()); tree != nil {
			t.Errorf("a tree without /proc: %v", tree)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "PROCFS_TEST_CHILD=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := map[int]Process{}
	for _, p := range Tree(os.Getpid()) {
		found[p.PID] = p
	}
	me, child := found[os.Getpid()], found[cmd.Process.Pid]
	if me.RSS == 0 || me.UID != os.Getuid() || me.Threads == 0 || time.Since(me.Started) < 0 || time.Since(me.Started) > time.Hour {
		t.Errorf("me: %+v", me)
	}
	if child.PPID != os.Getpid() || child.Command == "" {
		t.Errorf("child: %+v", child)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if tree := Tree(cmd.Process.Pid); tree != nil {
		t.Errorf("the dead have a tree: %v", tree)
	}
	if Tree(0) != nil || SystemCPU() == 0 {
		t.Errorf("pid 0 has a tree, or the system no CPU time")
	}
}
