package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// foreign are the programs that this test binary can stand in for, called by
// their name.
var foreign = []string{"vagrant", "VBoxManage", "virsh", "ssh"}

// isForeign reports whether this process stands in for another program.
func isForeign(args []string) bool { return slices.Contains(foreign, filepath.Base(args[0])) }

// standIn prints what a file of the folder $FAKES says for this command line:
// "VBoxManage list vms" is the file VBoxManage_list_vms, and a slash is _, too.
// What begins with "error: " is a failure; "!mv a b" in front renames another
// file: what the program would have changed.
func standIn(args []string) int {
	line := strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " ")
	dir := os.Getenv("FAKES")
	text, err := os.ReadFile(filepath.Join(dir, strings.NewReplacer(" ", "_", "/", "_").Replace(line)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: unknown command:", line)
		return 1
	}
	out := string(text)
	if rest, ok := strings.CutPrefix(out, "!mv "); ok {
		first, after, _ := strings.Cut(rest, "\n")
		from, to, _ := strings.Cut(first, " ")
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			return 1
		}
		out = after
	}
	if strings.HasPrefix(out, "error: ") {
		fmt.Fprint(os.Stderr, out)
		return 1
	}
	fmt.Print(out)
	return 0
}

// installs makes lab and the named programs the only ones of a script:
// "installs vagrant VBoxManage". What they print lies in the folder fake.
func installs(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: installs PROGRAM…")
	}
	self, err := os.Executable()
	ts.Check(err)
	bin := ts.MkAbs("bin")
	ts.Check(os.RemoveAll(bin))
	ts.Check(os.MkdirAll(bin, 0o755))
	for _, name := range args {
		if !slices.Contains(foreign, name) {
			ts.Fatalf("%s is none of %v", name, foreign)
		}
		ts.Check(os.Symlink(self, filepath.Join(bin, name)))
	}
	list := string(os.PathListSeparator)
	labs := ts.Getenv("LABBIN")
	if labs == "" {
		labs, _, _ = strings.Cut(ts.Getenv("PATH"), list)
		ts.Setenv("LABBIN", labs)
	}
	ts.Setenv("PATH", bin+list+labs)
	ts.Setenv("FAKES", ts.MkAbs("fake"))
	ts.Setenv("GORACE", "atexit_sleep_ms=0")
}

// holds takes a TCP port until the script ends: "holds 127.200.1.1:8080".
func holds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: holds ADDRESS")
	}
	l, err := net.Listen("tcp4", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}
