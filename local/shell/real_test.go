package shell

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "write testdata/real anew with what this computer's bash, GNU coreutils, sed, grep, findutils and awk print")

// fixture is what every command of testdata/real finds in its directory.
const fixture = `printf 'one\ntwo\nthree\nfour\nfive\n' > n
printf 'b 2 x\na 10 y\nc 1 z\na 9 y\n' > t
printf 'name,size,kind\nApple,3,fruit\nbeet,10,root\n' > csv
printf 'no newline' > nn
printf 'tab\there\n\n\n\n  spaces  \n' > ws
mkdir d d/e; printf 'x\n' > d/f; printf 'hidden\n' > d/.h; printf 'deep\n' > d/e/g; ln -s f d/l
`

// transcript is a command and what is seen of it: output and errors, and an
// exit status other than 0.
type transcript struct{ script, seen string }

func parseTranscripts(text string) []transcript {
	var all []transcript
	for line := range strings.Lines(text) {
		if script, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, transcript{script: strings.TrimSuffix(script, "\n")})
		} else if len(all) > 0 {
			all[len(all)-1].seen += line
		}
	}
	return all
}

// asSeen writes down what a command printed.
func asSeen(out string, exit int) string {
	out = regexp.MustCompile(`(?m)^bash: line \d+: `).ReplaceAllString(out, "bash: ")
	out = regexp.MustCompile(`(?m)^Try '.*' for more information.\n`).ReplaceAllString(out, "") // there is no --help here
	out = regexp.MustCompile(`(?m)^(sed: -e expression #1), char \d+:`).ReplaceAllString(out, "$1:")
	if out != "" && !strings.HasSuffix(out, "\n") {
		out += "\n[no newline]\n"
	}
	if exit != 0 {
		out += fmt.Sprintf("[exit %d]\n", exit)
	}
	return out
}

// TestLikeTheReal runs the command lines of testdata/real, whose outputs were
// recorded from the real programs.
func TestLikeTheReal(t *testing.T) {
	files, err := filepath.Glob("testdata/real/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all := parseTranscripts(string(text))
			if *record {
				var b bytes.Buffer
				for _, x := range all {
					fmt.Fprintf(&b, "$ %s\n%s", x.script, realOutput(t, x.script))
				}
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, x := range all {
				if got := ourOutput(t, x.script); got != x.seen {
					t.Errorf("$ %s\n%swant\n%s", x.script, got, x.seen)
				}
			}
		})
	}
}

func ourOutput(t *testing.T, script string) string {
	t.Helper()
	w := newWorld(t)
	var out lockedBuffer
	cfg := w.cfg
	cfg.Stdin, cfg.Stdout, cfg.Stderr = strings.NewReader(""), &out, &out
	exit, err := Run(t.Context(), cfg, fixture+script)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return asSeen(out.String(), exit)
}

func realOutput(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", fixture+script)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "LC_ALL=C", "TZ=UTC", "USER=vagrant"}
	out, err := cmd.CombinedOutput()
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok && err != nil {
		t.Fatal(err)
	} else if ok {
		return asSeen(string(out), failed.ExitCode())
	}
	return asSeen(string(out), 0)
}
