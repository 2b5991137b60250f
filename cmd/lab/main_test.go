package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mesoslab/lab/internal/labtest"
)

// TestMain makes this test binary act as the lab command, also when a lab
// starts its machines and their programs from a copy of it.
func TestMain(m *testing.M) {
	if isLab(os.Args) {
		os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
	}
	if isForeign(os.Args) {
		os.Exit(standIn(os.Args))
	}
	testscript.Main(tests(m), map[string]func(){
		"lab": func() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// isLab recognises the copy that a lab keeps of its binary.
func isLab(args []string) bool {
	return filepath.Base(args[0]) == "lab" && len(args) > 1 && (args[1] == "machine" || args[1] == "mini")
}

// TestScripts runs the scripts of testdata/script against the real command:
// arguments, output, errors and exit codes. Those that make labs use the
// subnets $SUBNET and $SUBNET2, which are theirs alone.
func TestScripts(t *testing.T) {
	const dir = "testdata/script"
	free := subnets(t, dir)
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("LAB_PROVIDER", "local") // not what happens to be ready on this computer
			return withLabs(e, free)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exit": exits, "imagefile": imageFile, "installs": installs, "holds": holds},
	})
}

// subnets reserves two subnets for each script.
func subnets(t *testing.T, dir string) chan string {
	scripts, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 2*len(scripts))
	for range cap(out) {
		if runtime.GOOS == "linux" { // elsewhere 127.0.0.1 is all there is
			out <- labtest.Subnet(t)
		}
	}
	close(out)
	return out
}

// withLabs lets a script make labs. Their machines die with the pipe's end,
// which is closed with the script, and by the kernel if the test dies first.
func withLabs(e *testscript.Env, subnets chan string) error {
	for _, name := range []string{"SUBNET", "SUBNET2"} {
		subnet := <-subnets
		e.Setenv(name, subnet)
		e.Setenv(strings.Replace(name, "SUBNET", "IP", 1), strings.TrimSuffix(subnet, "0/24"))
	}
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil { // inherited by the commands, unlike os.Pipe's
		return err
	}
	syscall.CloseOnExec(pipe[1])
	e.Setenv("LAB_DIE_WITH_FD", strconv.Itoa(pipe[0]))
	e.Defer(func() {
		syscall.Close(pipe[1])
		syscall.Close(pipe[0])
	})
	return nil
}

// exits runs a command and checks its exit code: "exit 2 lab create --slaves 0".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s (%v)", got, args[0], err)
	}
}
