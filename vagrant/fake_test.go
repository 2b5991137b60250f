package vagrant

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain makes this test binary the vagrant of its own tests: called by
// that name, it asks the test in whose folder it stands what to say.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "vagrant" {
		os.Exit(fakeMain())
	}
	os.Exit(withFake(m))
}

func withFake(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lab-fake-vagrant")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "vagrant"))
	}
	if err == nil {
		err = os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	if err == nil {
		// A program with the race detector in it sleeps a second at its end.
		err = os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	}
	if err == nil {
		// These tests wait for silence far more than they compute.
		flag.Parse()
		err = flag.Set("test.parallel", "8")
	}
	if err != nil {
		panic(err)
	}
	return m.Run()
}

// worldFile names the address of the test in its lab's folder.
const worldFile = ".fake"

// hello is what the fake says first; frame is what it is told to do.
type hello struct {
	Args []string
	PID  int
	Dir  string
	Env  []string
}

type frame struct {
	Out   string `json:"out,omitempty"`
	Spawn bool   `json:"spawn,omitempty"` // start a child that outlives Ctrl-C
	Exit  *int   `json:"exit,omitempty"`
}

func fakeMain() int {
	interrupts := make(chan os.Signal, 8)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGPIPE)
	dir, _ := os.Getwd()
	addr, err := os.ReadFile(filepath.Join(dir, worldFile))
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake vagrant: no test here:", err)
		return 71
	}
	c, err := net.Dial("tcp", string(addr))
	if err != nil {
		return 72
	}
	defer c.Close()
	enc := json.NewEncoder(c)
	if enc.Encode(hello{Args: os.Args[1:], PID: os.Getpid(), Dir: dir, Env: os.Environ()}) != nil {
		return 73
	}
	go func() {
		for s := range interrupts {
			_ = enc.Encode(s.String())
		}
	}()
	dec := json.NewDecoder(bufio.NewReader(c))
	for {
		var f frame
		if dec.Decode(&f) != nil {
			return 74
		}
		if f.Spawn {
			child := exec.Command(os.Args[0], "child")
			child.Stdout, child.Stderr = os.Stdout, os.Stderr
			if child.Start() != nil {
				return 75
			}
		}
		// A closed pipe must not end the fake before it is told to.
		_, _ = os.Stdout.WriteString(f.Out)
		if f.Exit != nil {
			return *f.Exit
		}
	}
}
